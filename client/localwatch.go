package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// lookEvery is how often it is looked whether policy has grown old or the clock was set.
const lookEvery = time.Second

// Watch tells answers and what becomes of them. Each question must be about what is registered when it begins.
func (l *Local) Watch(ctx context.Context, queries ...Query) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if err := watchable(queries); err != nil {
			yield(Change{}, undecided(err))
			return
		}
		w := &localWatch{Local: l, queries: queries, yield: yield, told: make([]Decision, len(queries))}
		if err := w.run(ctx); err != nil && ctx.Err() == nil {
			yield(Change{}, undecided(err))
		}
	}
}

// localWatch is what a watch in this process has told.
type localWatch struct {
	*Local
	queries []Query
	yield   func(Change, error) bool
	left    bool // the loop was left
	told    []Decision
	seen    circumstances
	at      policy.Instant // that was decided for
	edge    policy.Instant // the first at which an answer may change by time
}

// circumstances are what answers depend on beside the time.
type circumstances struct {
	position policystore.Position
	expired  bool
	spent    bool
	doubted  int
}

// run looks whenever something may have changed, until ctx ends or the loop is left.
func (w *localWatch) run(ctx context.Context) error {
	if err := w.Ready(ctx); err != nil {
		return err
	}
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		changed := w.replica.Changed() // taken before looking, so that nothing slips between
		if err := w.look(ctx); err != nil || w.left {
			return err
		}
		rest.Reset(w.rest())
		select {
		case <-changed:
		case <-rest.C:
		case <-w.ctx.Done():
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look tells the answers that are not what they were.
func (w *localWatch) look(ctx context.Context) error {
	var v policystore.View
	if err := w.view(ctx, &Query{}, &v); err != nil {
		return err
	}
	now, instead := w.clock()
	at := policy.InstantOf(now)
	seen := circumstances{v.Position, v.Freshness.State == policystore.Expired, v.Freshness.Spent, len(instead)}
	if seen == w.seen && w.at <= at && at < w.edge && len(instead) == 0 {
		return nil
	}
	first := w.seen == circumstances{}
	w.seen, w.at, w.edge = seen, at, policy.Forever
	answers := make([]Decision, len(w.queries))
	for i := range w.queries {
		if err := w.answer(&answers[i], i, &v, now, instead); err != nil {
			return err
		}
		if err := unregistered(i, &answers[i]); first && err != nil {
			return err
		}
	}
	w.tell(answers)
	return nil
}

func (w *localWatch) answer(d *Decision, i int, v *policystore.View, now time.Time, instead []time.Time) error {
	asked, err := w.queries[i].local()
	if err != nil {
		return err
	}
	d.local.view, d.local.language = *v, w.queries[i].Language
	d.decide(&asked, now, instead)
	w.edge = min(w.edge, d.local.edge())
	return nil
}

// unregistered refuses to watch what is not there.
func unregistered(i int, d *Decision) error {
	switch r := d.Reason(); r {
	case UnknownOrganization, UnknownApp, UnknownPurpose:
		return &UndecidedError{Code: codes.InvalidArgument, Reason: "UNKNOWN_REFERENCE", Err: fmt.Errorf("query %d: %s", i, r)}
	}
	return nil
}

// tell tells the answers that are not what they were, and keeps all: an older one would keep the policy that it was made from.
func (w *localWatch) tell(answers []Decision) {
	before := w.told
	w.told = answers
	for i := range answers {
		if w.left || same(&before[i], &answers[i]) {
			continue
		}
		w.left = !w.yield(Change{Index: i, Query: w.queries[i], Decision: answers[i]}, nil)
	}
}

// rest returns for how long there is nothing to look at, unless something changes.
func (w *localWatch) rest() time.Duration {
	now, _ := w.clock()
	if !w.edge.Finite() {
		return lookEvery
	}
	return min(lookEvery, max(0, w.edge.Time().Sub(now)))
}
