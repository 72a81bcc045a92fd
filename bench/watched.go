//go:build linux

package main

import (
	"fmt"
	"time"
)

// news is what it took to tell all that the outcome is another.
type news struct {
	acknowledged time.Duration   // from the call
	after        []time.Duration // the call, each was told; sorted
	cpu          time.Duration   // of the server
	bytes        int             // of a message
}

func (n news) p50() float64       { return float64(quantile(n.after, 0.50)) }
func (n news) p99() float64       { return float64(quantile(n.after, 0.99)) }
func (n news) last() float64      { return float64(quantile(n.after, 1)) }
func (n news) lastSince() float64 { return n.last() - float64(n.acknowledged) } // the acknowledgement
func (n news) each() float64      { return float64(n.cpu) / float64(len(n.after)) }

// both is news from our server, and then from the empty one.
type both []news

// printWatched prints a table of what many watchers take.
func (b *benchmark) printWatched(ours, empty *hall, rounds []both) {
	const columns = "%-60s %11s %11s %8s  %s\n"
	fmt.Fprintf(b.out, columns, fmt.Sprintf("%d watchers on %d connections, %d halts for all of them", b.watchers, b.watchers/perConnection+1, haltRounds),
		"teishi", "echo", "÷ echo", "target")
	line := func(what string, format func(float64) string, a, c, ratio float64, t target) {
		fmt.Fprintf(b.out, columns, "  "+what, format(a), format(c), fmt.Sprintf("%.2f", ratio), t)
	}
	state := func(what string, of func(*hall) float64, format func(float64) string, aim func(float64) target) {
		a, c := of(ours), of(empty)
		line(what, format, a, c, a/c, aim(a))
	}
	told := func(what string, of func(news) float64, format func(float64) string, aim func(float64) target) {
		a := median(rounds, ofTeishi, of)
		line(what, format, a, median(rounds, ofEcho, of), ratio(rounds, ofEcho, of), aim(a))
	}
	small := func(got float64) target { return atMost(got, 32<<10, "32 KiB") }
	soon := func(got float64) target { return atMost(got, float64(500*time.Millisecond), "500ms") }
	state("opened, until all are answered", func(h *hall) float64 { return float64(h.opened) }, milliseconds, free)
	state("resident for each watcher, after "+idleFor.String(), func(h *hall) float64 { return h.each(float64(h.seated - h.empty)) }, kibibytes, small)
	state("at most, until the end", func(h *hall) float64 { return h.each(float64(h.most - h.empty)) }, kibibytes, small)
	state("CPU while nothing changes, of one processor", func(h *hall) float64 { return h.idle.Seconds() / idleFor.Seconds() }, share, free)
	state("for each heartbeat", func(h *hall) float64 { return h.each(float64(h.idle) * float64(heartbeat) / float64(idleFor)) }, microseconds, free)
	told("CPU of the server for each that is told", news.each, microseconds, free)
	told("from the acknowledgement until the last is told", news.lastSince, milliseconds, soon)
	told("from the call until the last is told", news.last, milliseconds, free)
	told("p99", news.p99, milliseconds, free)
	told("p50", news.p50, milliseconds, free)
	fmt.Fprintf(b.out, "  the slowest of %d, from the acknowledgement: %s, echo %s; a message of %d bytes, echo %d\n", haltRounds,
		milliseconds(greatest(rounds, ofTeishi, news.lastSince)), milliseconds(greatest(rounds, ofEcho, news.lastSince)),
		rounds[0][ofTeishi].bytes, rounds[0][ofEcho].bytes)
}

func (h *hall) each(all float64) float64 { return all / float64(h.watchers) }

// printByTime prints how late all were told what time brings.
func (b *benchmark) printByTime(late []time.Duration, early int) {
	after := func(q float64) string { return milliseconds(float64(quantile(late, q))) }
	fmt.Fprintf(b.out, "  %d halts by time, told after their instant: p50 %s, p99 %s, max %s; decided for before it: %d of %d, %s\n",
		timedHalts, after(0.50), after(0.99), after(1), early, len(late), atMost(float64(early), 0, "0"))
	fmt.Fprintf(b.out, "  load by then: %s\n\n", load())
}

// free is the target of what has none.
func free(float64) target { return target{} }

func milliseconds(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }
func kibibytes(n float64) string     { return fmt.Sprintf("%.1f KiB", n/1024) }
func share(f float64) string         { return fmt.Sprintf("%.2f %%", 100*f) }
