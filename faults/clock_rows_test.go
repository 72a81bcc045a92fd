package faults

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

// clockRows set clocks.
var clockRows = []row{
	{"18a", "the clock of a decision point is an hour ahead", "I6 I7 I12", plan{tagged: true}, func(h *house) { h.clockOf(h.points[0], time.Hour) }},
	{"18b", "the clock of a decision point is an hour behind", "I6 I7 I12", plan{tagged: true}, func(h *house) { h.clockOf(h.points[0], -time.Hour) }},
	{"18c", "the clock of one authority is an hour ahead", "I6 I7 I12", plan{tagged: true, noRedis: true}, func(h *house) {
		h.breaks("authority-0", "clock 1h")
		h.follows("grpc-2")
		h.breaks("authority-0")
		h.follows("grpc")
	}},
}

// clockOf sets the clock of a server: it is never FRESH while the clock is wrong, and denies what is suspended at either time.
func (h *house) clockOf(s *cluster.Teishi, off time.Duration) {
	h.Helper()
	now := time.Now()
	h.suspendFor("soon", 100, now.Add(30*time.Minute))
	h.wait("that it is suspended", func(ctx context.Context) error { return h.outcome(ctx, s, 100, teishiv1.Outcome_OUTCOME_DENIED) })
	h.breaks(s.Name(), "clock "+off.String())
	set := time.Now()
	h.wait("until it is no longer FRESH", func(ctx context.Context) error {
		resp, err := h.asks(ctx, s, 0)
		if err != nil || resp.GetFreshness().GetState() == fresh {
			return fmt.Errorf("it is %s, %v", resp.GetFreshness().GetState(), err)
		}
		return nil
	})
	for range 20 {
		if err := h.outcome(h.ctx, s, 100, teishiv1.Outcome_OUTCOME_DENIED); err != nil {
			h.problem("I7: %s after its clock was set: %v", time.Since(set).Round(time.Millisecond), err)
		}
	}
	h.breaks(s.Name())
	h.wait("until it is FRESH again", func(ctx context.Context) error { return h.is(ctx, s, fresh, 0, 0) })
	if err := h.outcome(h.ctx, s, 100, teishiv1.Outcome_OUTCOME_DENIED); err != nil {
		h.problem("I7: after its clock was set right: %v", err)
	}
}

// suspendFor suspends an app of its own until an instant.
func (h *house) suspendFor(id string, app int, until time.Time) {
	h.Helper()
	h.register(app)
	d := haltOf(id, app)
	d.ExpireTime = timestamppb.New(until.Truncate(time.Microsecond))
	_, err := teishiv1.NewDirectiveServiceClient(h.authorities[0].Conn()).IssueDirective(h.ctx, &teishiv1.IssueDirectiveRequest{Directive: d, Reason: "a test", RequestId: id})
	h.must(err)
}

// register registers an app that the load leaves alone.
func (h *house) register(app int) {
	h.Helper()
	_, err := teishiv1.NewRegistryServiceClient(h.authorities[0].Conn()).PutApp(h.ctx, &teishiv1.PutAppRequest{
		App: &teishiv1.App{Id: appID(app)}, Reason: "a test", RequestId: fmt.Sprint("app-", app)})
	h.must(err)
}

// outcome reports as an error that a server answers otherwise about an app.
func (h *house) outcome(ctx context.Context, s *cluster.Teishi, app int, want teishiv1.Outcome) error {
	resp, err := h.asks(ctx, s, app)
	if err != nil {
		return err
	}
	if resp.Outcome != want {
		return fmt.Errorf("%s answers %s, %s, want %s", s.Name(), resp.Outcome, resp.Reason, want)
	}
	return nil
}
