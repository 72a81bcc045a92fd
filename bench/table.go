//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// machine says what the figures are of.
func (b *benchmark) machine() {
	fmt.Fprintf(b.out, "%s, %s/%s, %d processors, load %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load())
}

// load returns the load averages, by which a noisy machine is known.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

func (b *benchmark) describe(w *world, t traffic) {
	fmt.Fprintf(b.out, "%s: %d questions, all answered as decided in this process: %d ALLOWED, %d DENIED, %d INDETERMINATE\n", w.name, len(w.checks),
		t.outcomes[teishiv1.Outcome_OUTCOME_ALLOWED], t.outcomes[teishiv1.Outcome_OUTCOME_DENIED], t.outcomes[teishiv1.Outcome_OUTCOME_INDETERMINATE])
	fmt.Fprintf(b.out, "bytes of messages: Check %d → %d, BatchCheck %d → %d\n\n",
		t.check.request, t.check.response, t.batch.request, t.batch.response)
}

// measure reads one figure off a sample.
type measure func(sample) float64

// column returns the figure of one side, round by round, in order of size.
func column[R ~[]S, S any](rounds []R, which int, m func(S) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, m(r[which]))
	}
	slices.Sort(all)
	return all
}

// median returns the median of the figure of one side, and greatest the greatest.
func median[R ~[]S, S any](rounds []R, which int, m func(S) float64) float64 {
	return quantile(column(rounds, which, m), 0.5)
}

func greatest[R ~[]S, S any](rounds []R, which int, m func(S) float64) float64 {
	return quantile(column(rounds, which, m), 1)
}

// ratios returns the figure of one side to another's within a round, in order of size.
func ratios[R ~[]S, S any](rounds []R, which, to int, m func(S) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, m(r[which])/m(r[to]))
	}
	slices.Sort(all)
	return all
}

// ratio returns the median of our figure to another's within a round.
func ratio[R ~[]S, S any](rounds []R, to int, m func(S) float64) float64 {
	return quantile(ratios(rounds, ofTeishi, to, m), 0.5)
}

// target is a figure to reach; none has no text.
type target struct {
	text string
	met  bool
}

func atMost(got, most float64, text string) target   { return target{"≤ " + text, got <= most} }
func atLeast(got, least float64, text string) target { return target{"≥ " + text, got >= least} }

func (t target) String() string {
	switch {
	case t.text == "":
		return ""
	case t.met:
		return t.text + " met"
	}
	return t.text + " MISSED"
}

const columns = "%-46s %11s %11s %11s %8s %8s  %s\n"

func (b *benchmark) head(title string) {
	fmt.Fprintf(b.out, columns, title, "teishi", "echo", "bytes", "÷ echo", "÷ bytes", "target")
}

// line prints a figure of each side; the target may depend on the ratio to the echo.
func (b *benchmark) line(name string, rounds []round, m measure, format func(float64) string, aim func(ratio float64) target) {
	toEcho, toBytes := ratio(rounds, ofEcho, m), ratio(rounds, ofBytes, m)
	var t target
	if aim != nil {
		t = aim(toEcho)
	}
	fmt.Fprintf(b.out, columns, "  "+name, format(median(rounds, ofTeishi, m)), format(median(rounds, ofEcho, m)), format(median(rounds, ofBytes, m)),
		fmt.Sprintf("%.2f", toEcho), fmt.Sprintf("%.2f", toBytes), t)
}

func microseconds(ns float64) string { return fmt.Sprintf("%.1f µs", ns/1e3) }
func rate(perSecond float64) string  { return fmt.Sprintf("%.0f/s", perSecond) }

func p50(s sample) float64 { return float64(s.p50) }
func p99(s sample) float64 { return float64(s.p99) }

func (b *benchmark) printCalls(many, one, hundred []round) {
	perDecision := func(s sample) float64 { return s.cpuPerCall() / batchSize }
	b.head(fmt.Sprintf("Check, %d callers on %d connections", b.callers, b.connections))
	b.line("server CPU per call", many, sample.cpuPerCall, microseconds, func(r float64) target { return atMost(r, 1.15, "1.15 × echo") })
	b.line("throughput", many, sample.perSecond, rate, func(r float64) target { return atLeast(r, 0.9, "0.90 × echo") })
	b.line("p50", many, p50, microseconds, nil)
	b.line("p99", many, p99, microseconds, nil)
	b.head("Check, one caller")
	b.line("server CPU per call", one, sample.cpuPerCall, microseconds, nil)
	b.line("p50", one, p50, microseconds, nil)
	b.line("p99", one, p99, microseconds, nil)
	b.head(fmt.Sprintf("BatchCheck of %d, %d callers on %d connections", batchSize, b.callers, b.connections))
	spent := median(hundred, ofTeishi, perDecision)
	b.line("server CPU per decision", hundred, perDecision, microseconds, func(float64) target {
		return atMost(spent, float64(3*time.Microsecond), "3 µs")
	})
	b.line("decisions", hundred, func(s sample) float64 { return s.perSecond() * batchSize }, rate, nil)
	b.line("p50", hundred, p50, microseconds, nil)
	b.line("p99", hundred, p99, microseconds, nil)
	fmt.Fprintf(b.out, "a decision in a batch takes %.3f of the CPU that the echo takes for one Check\n", spent/median(many, ofEcho, sample.cpuPerCall))
}

func (b *benchmark) printStreams(rounds []round) {
	b.head(fmt.Sprintf("StreamCheck, %d streams, %d questions ahead", b.callers, window))
	b.line("server CPU per decision", rounds, sample.cpuPerCall, microseconds, nil)
	b.line("decisions", rounds, sample.perSecond, rate, nil)
	b.line("p50", rounds, p50, microseconds, nil)
	b.line("p99", rounds, p99, microseconds, nil)
	fmt.Fprintf(b.out, "a decision in a stream takes %.2f of the CPU of a Check in the same rounds, and there are %.2f times as many\n",
		ratio(rounds, ofCheck, sample.cpuPerCall), ratio(rounds, ofCheck, sample.perSecond))
}

// printMemory prints what servers have resident after all that.
func (b *benchmark) printMemory(ours, empty *served) error {
	for _, s := range []struct {
		name string
		*served
	}{{"teishi", ours}, {"the empty server", empty}} {
		resident, peak, err := s.memory()
		if err != nil {
			return err
		}
		fmt.Fprintf(b.out, "resident after that: %s %s, at most %s\n", s.name, mebibytes(resident), mebibytes(peak))
	}
	fmt.Fprintln(b.out)
	return nil
}
