package decisionlog_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// watchdog bounds what a test waits for. It is never what a test measures.
const watchdog = time.Minute

var (
	denied  = &teishiv1.CheckResponse{Outcome: teishiv1.Outcome_OUTCOME_DENIED, Reason: teishiv1.Reason_REASON_SUSPENDED}
	allowed = &teishiv1.CheckResponse{Outcome: teishiv1.Outcome_OUTCOME_ALLOWED, Reason: teishiv1.Reason_REASON_NO_DIRECTIVE}
	asked   = &teishiv1.Query{Organization: "mic", App: "line"}
)

// line is what the tests look at of a line.
type line struct {
	Sequence int64
	Dropped  int64
	Run      string
	Outcome  string
	Share    float64
}

// writes begins a log to a sink until the test ends.
func writes(t *testing.T, c decisionlog.Config) *decisionlog.Log {
	t.Helper()
	c.Replica = "replica-1"
	l := decisionlog.New(c)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		l.Close(ctx)
	})
	return l
}

// file opens a sink that is a file, and returns its name.
func file(t *testing.T) (decisionlog.Sink, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "decisions.json")
	sink, err := decisionlog.File(name)
	if err != nil {
		t.Fatal(err)
	}
	return sink, name
}

// say puts one answer into a log, if it is chosen.
func say(ctx context.Context, l *decisionlog.Log, q *teishiv1.Query, r *teishiv1.CheckResponse) error {
	if !l.Chooses(r.Outcome) {
		return nil
	}
	e := l.Begin(decisionlog.Call{Method: "M", Principal: "local"})
	e.Add(q, r)
	return e.Commit(ctx)
}

func finish(t *testing.T, l *decisionlog.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), watchdog)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parse reads lines, of which each has to be one of JSON.
func parse(t *testing.T, text []byte) (all []line) {
	t.Helper()
	for one := range bytes.Lines(text) {
		var l line
		if err := json.Unmarshal(one, &l); err != nil {
			t.Fatalf("%q: %v", one, err)
		}
		all = append(all, l)
	}
	return all
}

// counted returns what a counter is at.
func counted(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("nothing counts %s", name)
	return 0
}

// A line has all that an answer rests on, and none of its texts.
func TestLine(t *testing.T) {
	sink, name := file(t)
	l := writes(t, decisionlog.Config{Sink: sink, Masked: []string{"device"}})
	e := l.Begin(decisionlog.Call{Method: "teishi.v1.DecisionService/Check", Principal: "user:a#b", ID: "call-1"})
	e.Add(&teishiv1.Query{Organization: "m\"i\nc", App: "ios:\xff", Purpose: "service", Attributes: map[string]string{"device": "personal", "act": "使う"}},
		&teishiv1.CheckResponse{
			Outcome: teishiv1.Outcome_OUTCOME_INDETERMINATE,
			Reason:  teishiv1.Reason_REASON_MISSING_ATTRIBUTE,
			Citations: []*teishiv1.Citation{
				{Directive: "halt", Provision: "all", Title: "TEXT", Message: "TEXT", Number: "TEXT"},
				{Directive: "halt", Provision: "some", Release: "pay"},
			},
			CitationsTotal:    40,
			Obligations:       []*teishiv1.Obligation{{Id: "report", Text: "TEXT"}, {Id: "tell"}},
			PermittedPurposes: []string{"service.local", "service.payment"},
			Missing:           &teishiv1.Missing{Attributes: []string{"platform"}, Purpose: true},
			Unrecognized:      []string{"device=personal"},
			Hypothetical:      true,
			Revision:          7,
			Epoch:             2,
		})
	e.Add(asked, denied)
	if err := e.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	finish(t, l)
	text := read(t, name)
	var got map[string]any
	first, second, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(first, &got); err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	for _, differs := range []string{"time", "run"} {
		if s, ok := got[differs].(string); !ok || s == "" {
			t.Errorf("%s is %v", differs, got[differs])
		}
		delete(got, differs)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte(`{"sequence":1,"replica":"replica-1","method":"teishi.v1.DecisionService/Check","principal":"user:a#b","call":"call-1",
		"query":{"organization":"m\"i\nc","app":"ios:\ufffd","purpose":"service","attributes":{"act":"使う","device":"masked"}},
		"outcome":"INDETERMINATE","reason":"MISSING_ATTRIBUTE",
		"directives":[{"directive":"halt","provision":"all"},{"directive":"halt","provision":"some","release":"pay"}],"citations_total":40,
		"obligations":["report","tell"],"permitted_purposes":["service.local","service.payment"],
		"missing":{"purpose":true,"attributes":["platform"]},"hypothetical":true,"revision":7,"epoch":2,
		"decision_time":"1970-01-01T00:00:00.000000Z","freshness":{"state":"UNSPECIFIED"},"share":1}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a line is not what it should be:\n%s", diff)
	}
	if two := parse(t, second); len(two) != 1 || two[0].Sequence != 2 || two[0].Outcome != "DENIED" {
		t.Errorf("the second line is %s", second)
	}
	for _, secret := range []string{"TEXT", "personal"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s is in the log: %s", secret, text)
		}
	}
}

// Of what is ALLOWED a share is written, and the lines say which.
func TestShare(t *testing.T) {
	for _, share := range []float64{0, 0.5, 1} {
		sink, name := file(t)
		l := writes(t, decisionlog.Config{Sink: sink, Allowed: share})
		const n = 1000
		for range n {
			if err := errors.Join(say(t.Context(), l, asked, allowed), say(t.Context(), l, asked, denied)); err != nil {
				t.Fatal(err)
			}
		}
		finish(t, l)
		lines := parse(t, read(t, name))
		others := len(slices.DeleteFunc(lines, func(l line) bool { return l.Outcome == "ALLOWED" && l.Share == share }))
		if chosen := len(lines) - others; others != n || share == 0 && chosen != 0 || share == 1 && chosen != n || share == 0.5 && (chosen < n/3 || chosen > n*2/3) {
			t.Errorf("of %d ALLOWED and as many DENIED, %d are written as ALLOWED with the share %v, and %d others", n, chosen, share, others)
		}
	}
}

// However many call at once, lines are numbered in the order in which they stand, without a gap.
func TestSequence(t *testing.T) {
	for _, block := range []bool{false, true} {
		sink, name := file(t)
		l := writes(t, decisionlog.Config{Sink: sink, Block: block})
		const callers, calls = 16, 50
		var calling sync.WaitGroup
		for range callers {
			calling.Go(func() {
				for range calls {
					e := l.Begin(decisionlog.Call{Method: "M"})
					e.Add(asked, denied)
					e.Add(asked, denied)
					if err := e.Commit(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		calling.Wait()
		if block && len(parse(t, read(t, name))) != callers*calls*2 {
			t.Errorf("a call was answered before its lines were written")
		}
		finish(t, l)
		lines := parse(t, read(t, name))
		for i, one := range lines {
			if one.Sequence != int64(i+1) || one.Run != lines[0].Run {
				t.Fatalf("line %d is %+v", i, one)
			}
		}
		if len(lines) != callers*calls*2 {
			t.Errorf("%d lines are written, want %d", len(lines), callers*calls*2)
		}
	}
}

// What is dropped is counted, by the program and in the log, and shows as a gap.
func TestDrop(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	l := writes(t, decisionlog.Config{Sink: decisionlog.Stream(writer), Registry: registry})
	big := &teishiv1.Query{Organization: "mic", App: "line", Attributes: map[string]string{"note": strings.Repeat("x", 32<<10)}}
	said := 0
	for counted(t, registry, "teishi_decision_log_dropped_total") < 3 { // nobody reads
		if err := say(t.Context(), l, big, denied); err != nil {
			t.Fatal(err)
		}
		said++
	}
	var text bytes.Buffer
	confessed := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		told := sync.OnceFunc(func() { close(confessed) })
		for from := bufio.NewReader(reader); ; {
			line, err := from.ReadBytes('\n')
			text.Write(line)
			if bytes.HasPrefix(line, []byte(`{"dropped":`)) || err != nil {
				told()
			}
			if err != nil {
				return
			}
		}
	})
	<-confessed
	if err := say(t.Context(), l, asked, denied); err != nil {
		t.Fatal(err)
	}
	finish(t, l)
	writer.Close()
	reading.Wait()
	lines := parse(t, text.Bytes())
	var dropped, missing, last int64
	for _, one := range lines {
		if dropped += one.Dropped; one.Dropped == 0 {
			missing += one.Sequence - last - 1
			last = one.Sequence
		}
	}
	if dropped != 3 || missing != 3 || last != int64(said+1) || counted(t, registry, "teishi_decision_log_written_total") != float64(said-2) {
		t.Errorf("of %d, 3 of them dropped: the log says %d, lacks %d and ends with %d", said+1, dropped, missing, last)
	}
}

// A log that blocks lets nobody go before the line is written: neither by a sink that is slow nor by one that is full.
func TestBlock(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var alarms bytes.Buffer
	l := writes(t, decisionlog.Config{Sink: decisionlog.Stream(writer), Block: true, Logger: slog.New(slog.NewTextHandler(&alarms, nil))})
	big := &teishiv1.Query{Organization: "mic", App: "line", Attributes: map[string]string{"note": strings.Repeat("x", 1<<20)}}
	for range 8 { // the first is under way, four wait to be, the others have no room
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := say(ctx, l, big, denied)
		cancel()
		if !errors.Is(err, decisionlog.ErrNotLogged) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("with nobody to read it, Commit = %v", err)
		}
	}
	if n := strings.Count(alarms.String(), "decisions are refused"); n != 1 {
		t.Errorf("the program's log says it %d times, want once: %s", n, &alarms)
	}
	var text bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { text.ReadFrom(reader) })
	if err := say(t.Context(), l, asked, denied); err != nil {
		t.Errorf("when it is read again, Commit = %v", err)
	}
	finish(t, l)
	if err := say(t.Context(), l, asked, denied); !errors.Is(err, decisionlog.ErrNotLogged) {
		t.Errorf("after Close, Commit = %v", err)
	}
	writer.Close()
	reading.Wait()
	for i, one := range parse(t, text.Bytes()) {
		if one.Sequence != int64(i+1) {
			t.Errorf("line %d is %+v: who did not get in must leave no gap", i, one)
		}
	}
}

// Where the disk is full, a log that blocks refuses, one that drops counts, and both say so once.
func TestFull(t *testing.T) {
	for _, block := range []bool{false, true} {
		sink, err := decisionlog.File("/dev/full")
		if err != nil {
			t.Fatal(err)
		}
		var alarms bytes.Buffer
		registry := prometheus.NewRegistry()
		l := writes(t, decisionlog.Config{Sink: sink, Block: block, Registry: registry, Logger: slog.New(slog.NewTextHandler(&alarms, nil))})
		const n = 10
		for range n {
			if err := say(t.Context(), l, asked, denied); errors.Is(err, decisionlog.ErrNotLogged) != block {
				t.Errorf("onto a full disk, with block = %v, Commit = %v", block, err)
			}
		}
		finish(t, l)
		if got := counted(t, registry, "teishi_decision_log_dropped_total"); got != n {
			t.Errorf("%v are counted, want %d", got, n)
		}
		if text := alarms.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "no space left") {
			t.Errorf("the program's log says %s", text)
		}
	}
}

// However often it fails, the log says what is missing once it goes on.
func TestMissing(t *testing.T) {
	sink, name := file(t)
	l := writes(t, decisionlog.Config{Sink: sink, Block: true})
	directory := filepath.Dir(name)
	if err := os.Rename(directory, directory+"-away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := say(t.Context(), l, asked, denied); !errors.Is(err, decisionlog.ErrNotLogged) {
			t.Errorf("without a directory, Commit = %v", err)
		}
	}
	if err := os.Rename(directory+"-away", directory); err != nil {
		t.Fatal(err)
	}
	if err := say(t.Context(), l, asked, denied); err != nil {
		t.Error(err)
	}
	if lines := parse(t, read(t, name)); len(lines) != 2 || lines[0].Dropped != 3 || lines[1].Sequence != 4 {
		t.Errorf("written is %+v", lines)
	}
}
