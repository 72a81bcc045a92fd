//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// TestEchoSizes sees that the echo carries as many bytes as it is told to. One less is all there is where its length would
// take another byte.
func TestEchoSizes(t *testing.T) {
	e := &echo{zeros: make([]byte, maxEcho)}
	for _, want := range []size{{6, 3}, {106, 75}, {128, 129}, {10_763, 8_006}, {16_386, 16_387}} {
		question := echoQuestion(want.request, want.response)
		answer, err := e.Echo(t.Context(), question)
		if err != nil {
			t.Fatal(err)
		}
		got := size{proto.Size(question), proto.Size(answer)}
		if short := (size{want.request - got.request, want.response - got.response}); short.request>>1 != 0 || short.response>>1 != 0 {
			t.Errorf("echoed %v, want %v", got, want)
		}
	}
	if _, err := e.Echo(t.Context(), &wrapperspb.BytesValue{}); err == nil {
		t.Error("answered what states no size")
	}
}

func said(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func TestListening(t *testing.T) {
	got, err := listening(said("serving the record teishi from /tmp/a on b.db at revision 2 on 127.0.0.1:4711; try: grpcurl\n"))
	if err != nil || got != "127.0.0.1:4711" {
		t.Errorf("listening = %q, %v", got, err)
	}
	for _, line := range []string{"", "no address\n", "cut short on 127.0.0.1:4"} {
		if got, err := listening(said(line)); err == nil {
			t.Errorf("%q: listening = %q, want an error", line, got)
		}
	}
}

func TestRatio(t *testing.T) {
	rounds := []round{
		{{calls: 10}, {calls: 5}, {calls: 10}},
		{{calls: 30}, {calls: 10}, {calls: 10}},
		{{calls: 90}, {calls: 9}, {calls: 10}},
	}
	calls := func(s sample) float64 { return float64(s.calls) }
	if got := ratio(rounds, ofEcho, calls); got != 3 {
		t.Errorf("ratio = %v, want the median of 2, 3 and 10", got)
	}
	if got := median(rounds, ofTeishi, calls); got != 30 {
		t.Errorf("median = %v, want 30", got)
	}
}

// TestRound sends news to a receiver that needs 2 ms and one that needs 5 ms, and sees from when on that is counted.
func TestRound(t *testing.T) {
	ms := time.Millisecond
	for _, test := range []struct {
		name   string
		polled bool
		want   passage
	}{
		{"polled, from the acknowledgement", true, passage{sending: 1 * ms, first: 2 * ms, last: 5 * ms}},
		{"waiting, from the call", false, passage{sending: 1 * ms, first: 3 * ms, last: 6 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := way{polled: test.polled}
				var arrivals []chan int
				for _, needs := range []time.Duration{5 * ms, 2 * ms} {
					arrival := make(chan int, 1)
					arrivals = append(arrivals, arrival)
					w.receivers = append(w.receivers, func(_ context.Context, i int) error {
						if got := <-arrival; got != i {
							t.Errorf("news %d came as %d", i, got)
						}
						time.Sleep(needs)
						return nil
					})
				}
				w.send = func(_ context.Context, i int) error {
					time.Sleep(ms)
					for _, arrival := range arrivals {
						arrival <- i
					}
					return nil
				}
				got, err := w.round(t.Context(), 7, 3)
				if err != nil {
					t.Fatal(err)
				}
				if want := []passage{test.want, test.want, test.want}; !slices.Equal(got, want) {
					t.Errorf("round = %v, want %v", got, want)
				}
			})
		})
	}
}

// slowStream answers each question 1 ms after the one before, and knows how many it has not answered.
type slowStream struct {
	grpc.ClientStream
	ahead, most int
	closed      bool
}

func (s *slowStream) Send(*int) error {
	s.ahead++
	s.most = max(s.most, s.ahead)
	return nil
}

func (s *slowStream) Recv() (*int, error) {
	if s.ahead == 0 && s.closed {
		return nil, io.EOF
	}
	time.Sleep(time.Millisecond)
	s.ahead--
	return new(int), nil
}

func (s *slowStream) CloseSend() error {
	s.closed = true
	return nil
}

// TestDialogue sees that a caller keeps its window full until the end, and then waits for what is under way.
func TestDialogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := &slowStream{}
		var asked []int
		d := dialogue[int, int]{
			open: func(context.Context, *grpc.ClientConn) (grpc.BidiStreamingClient[int, int], error) {
				return stream, nil
			},
			question: func(i int) *int { asked = append(asked, i); return &i },
		}
		took, err := d.ask(t.Context(), nil, 5, time.Now().Add(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if len(took) != 99+window || stream.most != window || stream.ahead != 0 {
			t.Errorf("%d answers, %d questions ahead at most and %d at last, want %d, %d and 0", len(took), stream.most, stream.ahead, 99+window, window)
		}
		if asked[0] != 5 || asked[len(asked)-1] != 5+len(took)-1 {
			t.Errorf("asked from %d to %d, %d answers", asked[0], asked[len(asked)-1], len(took))
		}
		if took[0] != time.Millisecond || took[window] != window*time.Millisecond {
			t.Errorf("the first took %s, and one of a full window %s", took[0], took[window])
		}
	})
}

func TestParseCrowd(t *testing.T) {
	hash := strings.Repeat("0f", 32)
	url, readers, from, err := parseCrowd([]string{"redis://127.0.0.1:1", "500", "12", hash})
	if err != nil || url != "redis://127.0.0.1:1" || readers != 500 || from.Revision != 12 || from.Hash.String() != hash {
		t.Errorf("parseCrowd = %s, %d, %v, %v", url, readers, from, err)
	}
	for _, args := range [][]string{nil, {"redis://a", "x", "12", hash}, {"redis://a", "1", "x", hash}, {"redis://a", "1", "12", "x"}} {
		if _, _, _, err := parseCrowd(args); err == nil {
			t.Errorf("parsed %q, want an error", args)
		}
	}
}

func TestParseAudience(t *testing.T) {
	address, watchers, tellings, err := parseAudience([]string{"127.0.0.1:1", "500", "12"})
	if err != nil || address != "127.0.0.1:1" || watchers != 500 || tellings != 12 {
		t.Errorf("parseAudience = %s, %d, %d, %v", address, watchers, tellings, err)
	}
	for _, args := range [][]string{nil, {"a", "x", "12"}, {"a", "1", "x"}} {
		if _, _, _, err := parseAudience(args); err == nil {
			t.Errorf("parsed %q, want an error", args)
		}
	}
}

// TestHear sees what counts as a telling: another outcome, not the first answer, nor another answer with the same outcome.
func TestHear(t *testing.T) {
	const allowed, denied = teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Outcome_OUTCOME_DENIED
	answer := func(o teishiv1.Outcome, at int64) *teishiv1.WatchDecisionsResponse {
		change := &teishiv1.DecisionChange{Response: &teishiv1.CheckResponse{Outcome: o, DecisionTime: &timestamppb.Timestamp{Seconds: at}}}
		return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Changes{Changes: &teishiv1.DecisionChanges{Changes: []*teishiv1.DecisionChange{change}}}}
	}
	synced := &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Synced{Synced: &teishiv1.WatchSynced{}}}
	lives := &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Heartbeat{Heartbeat: &teishiv1.WatchHeartbeat{}}}
	a := newAudience(nil, "", 1, 2)
	s := seat{audience: a}
	for i, m := range []*teishiv1.WatchDecisionsResponse{answer(allowed, 0), synced, answer(allowed, 1), lives, answer(denied, 3), answer(denied, 4), synced, answer(allowed, 5), answer(denied, 9)} {
		s.hear(m, time.Unix(int64(100+i), 0))
	}
	a.synced.Wait()
	for i, want := range []*telling{{Arrived: []int64{104e9}, Decided: []int64{3e9}}, {Arrived: []int64{107e9}, Decided: []int64{5e9}}} {
		got := a.tellings[i]
		got.left.Wait()
		if !slices.Equal(got.Arrived, want.Arrived) || !slices.Equal(got.Decided, want.Decided) || got.Bytes == 0 {
			t.Errorf("telling %d: arrived %v, decided for %v, %d bytes, want %v and %v", i, got.Arrived, got.Decided, got.Bytes, want.Arrived, want.Decided)
		}
	}
}

func TestTelling(t *testing.T) {
	began := time.Unix(100, 0)
	told := &telling{Arrived: []int64{102e9, 101e9}, Decided: []int64{100e9 - 1, 100e9}}
	if got := told.since(began); !slices.Equal(got, []time.Duration{time.Second, 2 * time.Second}) {
		t.Errorf("since = %v", got)
	}
	if got := told.early(began); got != 1 {
		t.Errorf("early = %d, want the one a nanosecond before", got)
	}
}

func TestParseMetrics(t *testing.T) {
	const all = "# HELP go_goroutines Number.\ngo_goroutines 59\ngo_memstats_heap_alloc_bytes 2.5e+07\ngo_memstats_next_gc_bytes 1e+08\nother{a=\"b c\"} 7\n"
	var f figures
	if err := f.parse(strings.NewReader(all)); err != nil || f[goroutines] != 59 || f[heap] != 25e6 || f[heapGoal] != 1e8 {
		t.Errorf("parse = %v, %v", f, err)
	}
	if err := f.parse(strings.NewReader("go_goroutines 59\n")); err == nil {
		t.Error("parsed what lacks the heap")
	}
}

// grown returns readings, six a minute, of a server whose goroutines grow so much in a minute, and go up and down by 10.
func grown(perMinute float64) (all []reading) {
	for i := range 60 {
		r := reading{at: time.Duration(i) * 10 * time.Second}
		r.figures[goroutines] = 50 + perMinute*r.at.Minutes() + float64(i%2*10)
		all = append(all, r)
	}
	return all
}

func TestTrend(t *testing.T) {
	for _, c := range []struct {
		perMinute float64
		grows     bool
	}{{0, false}, {-20, false}, {4, false}, {6, true}} {
		got := trendOf(grown(c.perMinute), goroutines)
		if d := got.slope - c.perMinute; max(d, -d) > 0.1 || got.off <= 0 || got.off > 0.5 {
			t.Errorf("%v a minute: slope = %v ± %v", c.perMinute, got.slope, got.off)
		}
		if got.grows(5) != c.grows {
			t.Errorf("%v a minute: grows = %v, want %v", c.perMinute, !c.grows, c.grows)
		}
	}
	if (trend{slope: 6, off: 3}).grows(5) {
		t.Error("it grows by noise")
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		readings []reading
		says     string
		fails    bool
	}{{grown(0), "verdict: steady", false}, {grown(30), "verdict: GROWS", true}, {grown(30)[:20], "verdict: none", false}} {
		var out strings.Builder
		if err := printSlopes(&out, 500, c.readings); (err != nil) != c.fails || !strings.Contains(out.String(), c.says) {
			t.Errorf("of %d readings: %v, want %q:\n%s", len(c.readings), err, c.says, &out)
		}
	}
}
