//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/teishi-dev/teishi/cluster"
)

// What is read of a server that must not grow.
const (
	goroutines = iota
	descriptors
	resident
	heap
	heapGoal
	allFigures
)

type figures [allFigures]float64

// figure is one of them: by which metric it is read, if it is one, and how much it may grow in a minute. Less is noise, and
// even a goroutine that each wave leaves behind is more.
var figureOf = [allFigures]struct {
	name, metric string
	most         float64
	format       func(float64) string
}{
	goroutines:  {"goroutines", "go_goroutines", 5, count},
	descriptors: {"open descriptors", "", 1, count},
	resident:    {"resident", "", 2 << 20, megabytes},
	heap:        {"heap", "go_memstats_heap_alloc_bytes", 2 << 20, megabytes},
	heapGoal:    {"heap before it is collected", "go_memstats_next_gc_bytes", 2 << 20, megabytes},
}

func count(n float64) string     { return fmt.Sprintf("%.1f", n) }
func megabytes(n float64) string { return fmt.Sprintf("%.1f MiB", n/(1<<20)) }

// reading is what a server had at some time.
type reading struct {
	at time.Duration
	figures
}

func (r reading) String() string {
	var words []string
	for i, f := range figureOf {
		words = append(words, fmt.Sprintf("%s %s", f.name, f.format(r.figures[i])))
	}
	return strings.Join(words, ", ")
}

// meter reads the metrics of a server.
type meter struct{ url string }

// read reads all figures.
func (s *soaking) read(ctx context.Context) (r reading, err error) {
	if err := s.meter.read(ctx, &r.figures); err != nil {
		return r, fmt.Errorf("read the metrics of the server: %w", err)
	}
	u, err := cluster.UsageOf(s.cmd.Process.Pid)
	r.figures[descriptors], r.figures[resident] = float64(u.Descriptors), float64(u.Resident)
	return r, err
}

// read reads the figures that are metrics. It leaves no connection behind.
func (m meter) read(ctx context.Context, into *figures) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return into.parse(resp.Body)
}

// parse reads metrics as Prometheus does.
func (f *figures) parse(r io.Reader) error {
	found := make(map[string]float64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			found[name] = v
		}
	}
	for i, of := range figureOf {
		if of.metric == "" {
			continue
		}
		v, ok := found[of.metric]
		if !ok {
			return fmt.Errorf("there is no %s", of.metric)
		}
		f[i] = v
	}
	return lines.Err()
}

// trend is how much something grows in a minute, by least squares, and the standard error of that.
type trend struct{ slope, off float64 }

// trendOf returns the trend of one figure of at least three readings, taken at different times.
func trendOf(all []reading, which int) trend {
	n := float64(len(all))
	var x, y float64 // means
	for _, r := range all {
		x, y = x+r.at.Minutes()/n, y+r.figures[which]/n
	}
	var xx, xy, rest float64
	for _, r := range all {
		dx := r.at.Minutes() - x
		xx, xy = xx+dx*dx, xy+dx*(r.figures[which]-y)
	}
	slope := xy / xx
	for _, r := range all {
		d := r.figures[which] - y - slope*(r.at.Minutes()-x)
		rest += d * d
	}
	return trend{slope, math.Sqrt(rest / (n - 2) / xx)}
}

// grows reports whether the trend is more than noise, and more than so much in a minute.
func (t trend) grows(most float64) bool { return t.slope > most && t.slope > 3*t.off }

// fewest is how many readings a trend takes to be believed.
const fewest = 20

// printSlopes prints the trend of each figure and a verdict; that something grows is an error. The first fifth is left out,
// in which everything grows to its size.
func printSlopes(out io.Writer, watchers int, all []reading) error {
	late := all[len(all)/5:]
	if len(late) < fewest {
		fmt.Fprintf(out, "verdict: none after %d waves: soak for longer\n", len(all))
		return nil
	}
	const columns = "%-30s %12s %12s %14s %14s  %s\n"
	fmt.Fprintf(out, columns, fmt.Sprintf("%d waves of %d watchers", len(all), watchers), "at first", "in the end", "in a minute", "±", "most")
	first, last := late[0], late[len(late)-1]
	perMinute := float64(len(late)*watchers) / (last.at - first.at).Minutes()
	var growing []string
	for i, f := range figureOf {
		t := trendOf(late, i)
		verdict := f.format(f.most)
		if t.grows(f.most) {
			verdict += fmt.Sprintf(" GROWS by %.2f for each watcher", t.slope/perMinute)
			growing = append(growing, f.name)
		}
		fmt.Fprintf(out, columns, "  "+f.name, f.format(first.figures[i]), f.format(last.figures[i]), f.format(t.slope), f.format(t.off), verdict)
	}
	if len(growing) > 0 {
		fmt.Fprintln(out, "verdict: GROWS")
		return fmt.Errorf("the server grows with watchers that have gone: %s", strings.Join(growing, ", "))
	}
	fmt.Fprintln(out, "verdict: steady, nothing is left of watchers that have gone")
	return nil
}
