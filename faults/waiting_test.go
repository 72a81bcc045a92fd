package faults

import (
	"context"
	"fmt"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

const (
	fresh   = teishiv1.Freshness_STATE_FRESH
	stale   = teishiv1.Freshness_STATE_STALE
	expired = teishiv1.Freshness_STATE_EXPIRED
)

// wait waits for a condition that has to come, and notes how long it took.
func (h *house) wait(what string, condition func(context.Context) error) {
	h.Helper()
	h.until("I12", what, condition)
}

// writesFlow holds once five more writes are acknowledged than there are now.
func (h *house) writesFlow() func(context.Context) error {
	before, _ := h.history.acknowledged()
	return h.reach(before + 5)
}

// reach holds once a revision is acknowledged.
func (h *house) reach(revision int64) func(context.Context) error {
	return func(context.Context) error {
		if now, _ := h.history.acknowledged(); now < revision {
			return fmt.Errorf("revision %d is acknowledged, want %d", now, revision)
		}
		return nil
	}
}

// answers holds once every decision point has answered so many questions since.
func (h *house) answers(n int) func(context.Context) error {
	since := time.Now()
	return func(context.Context) error {
		by := answered(h.history.since(since))
		for _, p := range h.points {
			if got := len(by[p.Name()]); got < n {
				return fmt.Errorf("%s has answered %d questions, want %d", p.Name(), got, n)
			}
		}
		return nil
	}
}

// follows waits until the decision points follow a source and are FRESH. An answer may come from one that only helped out.
func (h *house) follows(source string) {
	h.Helper()
	h.wait("until decision points follow "+source, func(ctx context.Context) error {
		for _, p := range h.points {
			if err := h.is(ctx, p, fresh, 0, 0); err != nil {
				return err
			}
			used, err := h.metric(ctx, p, fmt.Sprintf("teishi_source_in_use{source=%q}", source))
			if err != nil {
				return err
			}
			if used != 1 {
				return fmt.Errorf("%s does not follow %s", p.Name(), source)
			}
		}
		return nil
	})
}

// become waits until servers answer in that state.
func (h *house) become(state teishiv1.Freshness_State, servers ...*cluster.Teishi) {
	h.Helper()
	h.wait(fmt.Sprintf("until %d servers are %s", len(servers), stateName(state)), func(ctx context.Context) error {
		return h.each(ctx, servers, state)
	})
}

func stateName(s teishiv1.Freshness_State) string { return s.String()[len("STATE_"):] }

// undisturbed checks that since a moment every question without a demand was answered, whatever was broken.
func (h *house) undisturbed(since time.Time) {
	h.Helper()
	for _, c := range h.history.since(since) {
		if c.answer == nil && c.min == 0 {
			h.problem("I11: %s did not answer a check: %s, after %s", c.replica, c.refusal, c.answered.Sub(c.asked).Round(time.Millisecond))
		}
	}
}
