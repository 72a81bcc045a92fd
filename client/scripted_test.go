package client_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/service"
)

// stream is what a scripted watch is told through.
type stream = grpc.ServerStreamingServer[teishiv1.WatchDecisionsResponse]

// actor is a server that says what a test wants it to. It lives in memory, so that a test may have a time of its own.
type actor struct {
	teishiv1.UnimplementedDecisionServiceServer
	check func(ctx context.Context, n int, req *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error)
	// watches are the streams that come one after the other; the last is for all that come after it too.
	watches  []func(*teishiv1.WatchDecisionsRequest, stream) error
	checks   atomic.Int64
	mu       sync.Mutex
	asked    []*teishiv1.WatchDecisionsRequest
	askedAt  []time.Time
	listener *bufconn.Listener
	server   *grpc.Server
}

// Check says what the test says to the n-th question.
func (a *actor) Check(ctx context.Context, req *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
	return a.check(ctx, int(a.checks.Add(1)), req)
}

// WatchDecisions says what the test says in the next stream.
func (a *actor) WatchDecisions(req *teishiv1.WatchDecisionsRequest, s stream) error {
	a.mu.Lock()
	a.asked, a.askedAt = append(a.asked, req), append(a.askedAt, time.Now())
	watch := a.watches[min(len(a.asked), len(a.watches))-1]
	a.mu.Unlock()
	return watch(req, s)
}

// request returns the n-th request for a stream.
func (a *actor) request(n int) *teishiv1.WatchDecisionsRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[n]
}

func (a *actor) streams() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// perform serves the actor, and returns a client of it and what ends both. It is ended within a time of its own.
func (a *actor) perform(t *testing.T, c client.Config) (*client.Remote, func()) {
	t.Helper()
	a.listener = bufconn.Listen(1 << 20)
	a.server = grpc.NewServer(service.Transport()...)
	teishiv1.RegisterDecisionServiceServer(a.server, a)
	healthy := health.NewServer()
	grpc_health_v1.RegisterHealthServer(a.server, healthy)
	var serving sync.WaitGroup
	serving.Go(func() { _ = a.server.Serve(a.listener) })
	dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return a.listener.DialContext(ctx) })
	c.Insecure, c.DialOptions = true, []grpc.DialOption{dialer}
	r, err := client.Dial("passthrough:///actor", c)
	if err != nil {
		t.Fatal(err)
	}
	return r, func() {
		_ = r.Close()
		a.server.Stop()
		serving.Wait()
	}
}

// answered returns an answer of now that may be kept for 5 s.
func answered(o teishiv1.Outcome, r teishiv1.Reason) *teishiv1.CheckResponse {
	now := time.Now()
	return &teishiv1.CheckResponse{
		Outcome:        o,
		Reason:         r,
		Revision:       1,
		Epoch:          1,
		DecisionTime:   timestamppb.New(now),
		CacheUntilTime: timestamppb.New(now.Add(5 * time.Second)),
		Freshness:      &teishiv1.Freshness{State: teishiv1.Freshness_STATE_FRESH, Age: durationpb.New(0), Source: "actor"},
	}
}

func yes() *teishiv1.CheckResponse {
	return answered(teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Reason_REASON_NO_DIRECTIVE)
}

func no() *teishiv1.CheckResponse {
	return answered(teishiv1.Outcome_OUTCOME_DENIED, teishiv1.Reason_REASON_SUSPENDED)
}

// trouble returns an error of the server.
func trouble(code codes.Code, reason string, retry time.Duration) error {
	s, err := status.New(code, "trouble").WithDetails(&errdetails.ErrorInfo{Domain: "teishi.v1", Reason: reason})
	if err == nil && retry > 0 {
		s, err = s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	}
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func at(revision int64) *teishiv1.WatchPosition {
	return &teishiv1.WatchPosition{Epoch: 1, Revision: revision, Time: timestamppb.Now(), Selectors: 7}
}

// changes are answers by the number of their question; nil is left out.
func changes(place *teishiv1.WatchPosition, more bool, answers ...*teishiv1.CheckResponse) *teishiv1.WatchDecisionsResponse {
	c := &teishiv1.DecisionChanges{More: more}
	for i, m := range answers {
		if m != nil {
			c.Changes = append(c.Changes, &teishiv1.DecisionChange{Index: int32(i), Response: m})
		}
	}
	return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Changes{Changes: c}, Position: place}
}

func fresh(age time.Duration) *teishiv1.Freshness {
	return &teishiv1.Freshness{State: teishiv1.Freshness_STATE_FRESH, Age: durationpb.New(age)}
}

func synced(place *teishiv1.WatchPosition) *teishiv1.WatchDecisionsResponse {
	return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Synced{Synced: &teishiv1.WatchSynced{Freshness: fresh(0)}}, Position: place}
}

func beat(place *teishiv1.WatchPosition, f *teishiv1.Freshness) *teishiv1.WatchDecisionsResponse {
	return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Heartbeat{Heartbeat: &teishiv1.WatchHeartbeat{Freshness: f}}, Position: place}
}

func restarted() *teishiv1.WatchDecisionsResponse {
	return &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Restarted{Restarted: &teishiv1.WatchRestarted{}}}
}

// plays says these messages, and then ends so; nil stays open.
func plays(end error, messages ...*teishiv1.WatchDecisionsResponse) func(*teishiv1.WatchDecisionsRequest, stream) error {
	return func(_ *teishiv1.WatchDecisionsRequest, s stream) error {
		for _, m := range messages {
			if err := s.Send(m); err != nil {
				return err
			}
		}
		if end == nil {
			<-s.Context().Done()
		}
		return end
	}
}
