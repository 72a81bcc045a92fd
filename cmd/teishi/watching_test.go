package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// played is a server whose streams say what a test wants, one after the other; after the last one the watch is ended.
type played struct {
	teishiv1.UnimplementedDecisionServiceServer
	streams []stream
	asked   []string // from where on each stream was asked for
	end     context.CancelFunc
}

// stream is what one stream says, and how it ends.
type stream struct {
	says []*teishiv1.WatchDecisionsResponse
	end  error // nil: it does not, and says nothing more
}

func (p *played) WatchDecisions(req *teishiv1.WatchDecisionsRequest, s teishiv1.DecisionService_WatchDecisionsServer) error {
	p.asked = append(p.asked, fmt.Sprintf("%d", req.GetResume().GetRevision()))
	if len(p.asked) > len(p.streams) {
		p.end()
		return nil
	}
	one := p.streams[len(p.asked)-1]
	for _, m := range one.says {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	if one.end == nil {
		<-s.Context().Done()
	}
	return one.end
}

// heardBy notes what a teller is told.
type heardBy struct{ list []string }

func (s *heardBy) note(format string, args ...any) error {
	s.list = append(s.list, fmt.Sprintf(format, args...))
	return nil
}

func (s *heardBy) changed(list []*teishiv1.DecisionChange, at *teishiv1.WatchPosition) error {
	text := ""
	for _, c := range list {
		text += fmt.Sprintf("%d %s ", c.Index, outcomeName(c.Response.Outcome))
	}
	return s.note("%sat %d", text, at.GetRevision())
}

func (s *heardBy) said(m *teishiv1.WatchDecisionsResponse) error {
	text, _, _ := strings.Cut(strings.Trim(jsonLine(m), `{"`), `"`)
	return s.note("%s", text)
}

func (s *heardBy) alive(*teishiv1.Freshness, *teishiv1.WatchPosition) error { return nil }
func (s *heardBy) lost(cause string) error                                  { return s.note("lost: %s", cause) }
func (s *heardBy) found() error                                             { return s.note("found") }

// seen is what a watch shows, from where on it asked for each stream, how long it took and how it ended.
type seen struct {
	told  []string
	asked string
	took  time.Duration
	err   error
}

// play returns what is seen of streams.
func play(t *testing.T, retells bool, streams ...stream) (all seen) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		server, listener := grpc.NewServer(grpc.WaitForHandlers(true)), bufconn.Listen(1<<20)
		p, s := &played{streams: streams, end: cancel}, &heardBy{}
		teishiv1.RegisterDecisionServiceServer(server, p)
		go server.Serve(listener)
		defer server.Stop()
		connection, problem := grpc.NewClient("passthrough:played", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		if problem != nil {
			t.Fatal(problem)
		}
		defer connection.Close()
		w := &watching{timeout: time.Second, request: &teishiv1.WatchDecisionsRequest{}, teller: s, retells: retells}
		began := time.Now()
		all.err = w.ask(ctx, teishiv1.NewDecisionServiceClient(connection))
		all.took = time.Since(began)
		server.Stop()
		all.told, all.asked = s.list, strings.Join(p.asked, " ")
	})
	return all
}

func at(revision int64) *teishiv1.WatchPosition { return &teishiv1.WatchPosition{Revision: revision} }

// answered is that the questions, from the first on, have these outcomes: A, D or I. Without a place there is more to come.
func answered(place *teishiv1.WatchPosition, first int, outcomes string) *teishiv1.WatchDecisionsResponse {
	all := &teishiv1.DecisionChanges{More: place == nil}
	for i, o := range outcomes {
		all.Changes = append(all.Changes, &teishiv1.DecisionChange{Index: int32(first + i), Response: &teishiv1.CheckResponse{
			Outcome: teishiv1.Outcome(1 + strings.IndexRune("ADI", o)), Revision: place.GetRevision()}})
	}
	return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Changes{Changes: all}, Position: place}
}

func synced(place *teishiv1.WatchPosition) *teishiv1.WatchDecisionsResponse {
	return &teishiv1.WatchDecisionsResponse{Position: place, Event: &teishiv1.WatchDecisionsResponse_Synced{
		Synced: &teishiv1.WatchSynced{Freshness: &teishiv1.Freshness{State: teishiv1.Freshness_STATE_FRESH}}}}
}

func beat(place *teishiv1.WatchPosition, state teishiv1.Freshness_State) *teishiv1.WatchDecisionsResponse {
	return &teishiv1.WatchDecisionsResponse{Position: place, Event: &teishiv1.WatchDecisionsResponse_Heartbeat{
		Heartbeat: &teishiv1.WatchHeartbeat{Freshness: &teishiv1.Freshness{State: state}}}}
}

func restart() *teishiv1.WatchDecisionsResponse {
	return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Restarted{Restarted: &teishiv1.WatchRestarted{}}}
}

func ends(code codes.Code, reason string, retry time.Duration) error {
	s, err := status.New(code, "over").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "teishi.v1"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func speech(all ...*teishiv1.WatchDecisionsResponse) []*teishiv1.WatchDecisionsResponse { return all }

var gone = status.Error(codes.Unavailable, "over")

// What a watch shows of streams, and from where on it asks for each.
func TestWatching(t *testing.T) {
	begin := stream{speech(answered(at(1), 0, "AA"), synced(at(1))), gone}
	compacted := stream{end: ends(codes.OutOfRange, "COMPACTED", 0)}
	absent := stream{end: ends(codes.Unavailable, "REVISION_NOT_REACHED", 0)}
	first := []string{"0 ALLOWED 1 ALLOWED at 1", "synced"}
	for name, c := range map[string]struct {
		retells bool
		streams []stream
		told    []string // after the first
		asked   string
	}{
		"a place is told as a whole": {
			streams: []stream{begin, {speech(answered(nil, 0, "D")), gone}, {speech(answered(nil, 0, "D"), answered(at(2), 1, "D")), gone}},
			told:    []string{"lost: over", "found", "lost: over", "found", "0 DENIED 1 DENIED at 2", "lost: over"},
			asked:   "0 1 1 2",
		},
		"where the place is not at hand it begins anew, and shows what differs": {
			streams: []stream{begin, compacted, {speech(answered(at(5), 0, "AD"), synced(at(5))), gone}},
			told:    []string{"lost: over", "found", "1 DENIED at 5", "synced", "lost: over"},
			asked:   "0 1 0 5",
		},
		"where the epoch is over too": {
			streams: []stream{begin, {end: ends(codes.FailedPrecondition, "EPOCH_MISMATCH", 0)}},
			told:    []string{"lost: over"},
			asked:   "0 1 0",
		},
		"servers that have not come as far are tried again, not for ever": {
			streams: []stream{begin, absent, absent, absent, absent, absent, absent},
			told:    []string{"lost: over"},
			asked:   "0 1 1 1 1 1 1 0",
		},
		"a stream that ends in time is not lost": {
			streams: []stream{{begin.says, ends(codes.Unavailable, "STREAM_ENDED", 0)}, {speech(synced(at(3))), ends(codes.Unavailable, "DRAINING", 0)}},
			told:    []string{"synced", "lost: over"},
			asked:   "0 1 3",
		},
		"a stream that says nothing is lost": {
			streams: []stream{{begin.says, nil}, {speech(synced(at(3))), nil}},
			told:    []string{"lost: it says nothing", "found", "synced", "lost: it says nothing"},
			asked:   "0 1 3",
		},
		"all again: to people what differs": {
			streams: []stream{begin, {speech(restart(), answered(at(3), 0, "AI"), synced(at(3))), gone}},
			told:    []string{"lost: over", "found", "restarted", "1 INDETERMINATE at 3", "synced", "lost: over"},
			asked:   "0 1 3",
		},
		"all again: to scripts all": {
			retells: true,
			streams: []stream{begin, {speech(restart(), answered(at(3), 0, "AI"), synced(at(3))), gone}},
			told:    []string{"lost: over", "found", "restarted", "0 ALLOWED 1 INDETERMINATE at 3", "synced", "lost: over"},
			asked:   "0 1 3",
		},
		"all again, and not all of it came": {
			streams: []stream{begin, {speech(restart(), answered(nil, 0, "A")), gone}},
			told:    []string{"lost: over", "found", "restarted", "lost: over"},
			asked:   "0 1 0",
		},
		"of heartbeats, where freshness is another": {
			streams: []stream{begin, {speech(synced(at(1)), beat(at(2), teishiv1.Freshness_STATE_FRESH),
				beat(at(2), teishiv1.Freshness_STATE_STALE), beat(at(3), teishiv1.Freshness_STATE_STALE)), gone}},
			told:  []string{"lost: over", "found", "synced", "heartbeat", "lost: over"},
			asked: "0 1 3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(t, c.retells, c.streams...)
			if want := append(slices.Clone(first), c.told...); !slices.Equal(got.told, want) || got.err != nil {
				t.Errorf("shown is %q (%v), want %q", got.told, got.err, want)
			}
			if got.asked != c.asked {
				t.Errorf("asked from %s, want %s", got.asked, c.asked)
			}
		})
	}
}

// A server is not asked again before it wants to be, nor much later, nor by everybody at once.
func TestWatchingWaits(t *testing.T) {
	begin := speech(answered(at(1), 0, "A"), synced(at(1)))
	failing := []stream{{begin, gone}}
	for range 20 {
		failing = append(failing, stream{end: gone})
	}
	for name, c := range map[string]struct {
		streams     []stream
		least, most time.Duration
	}{
		"told when":  {[]stream{{begin, ends(codes.ResourceExhausted, "LIMIT_EXCEEDED", 40*time.Second)}}, 40 * time.Second, 51 * time.Second},
		"many times": {failing, 35 * time.Second, 130 * time.Second},
	} {
		took := map[time.Duration]bool{}
		for range 3 {
			took[play(t, false, c.streams...).took.Truncate(time.Millisecond)] = true
		}
		for d := range took {
			if d < c.least || d > c.most || len(took) == 1 {
				t.Errorf("%s: asked again after %v, want %s to %s, and not always the same", name, took, c.least, c.most)
			}
		}
	}
}

// Before everything was answered once an error ends it; later what would be the same again.
func TestWatchingEnds(t *testing.T) {
	refused := status.Error(codes.PermissionDenied, "not for you")
	begin := stream{speech(answered(at(1), 0, "A"), synced(at(1))), gone}
	for name, c := range map[string]struct {
		streams []stream
		want    codes.Code
	}{
		"no server":            {[]stream{{end: gone}}, codes.Unavailable},
		"half an answer":       {[]stream{{speech(answered(at(1), 0, "A")), gone}}, codes.Unavailable},
		"silence":              {[]stream{{}}, codes.DeadlineExceeded},
		"refused":              {[]stream{{end: refused}}, codes.PermissionDenied},
		"refused later":        {[]stream{begin, {end: refused}}, codes.PermissionDenied},
		"unregistered, anew":   {[]stream{begin, {end: ends(codes.OutOfRange, "COMPACTED", 0)}, {end: ends(codes.InvalidArgument, "UNKNOWN_REFERENCE", 0)}}, codes.InvalidArgument},
		"nothing to end it by": {[]stream{begin}, codes.OK},
	} {
		if err := play(t, false, c.streams...).err; status.Code(err) != c.want {
			t.Errorf("%s: it ends with %v, want %s", name, err, c.want)
		}
	}
}
