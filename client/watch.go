package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	maxWatched = 1000 // questions of one watch
	// beatEvery is how often a server is asked to say that a watch lives.
	beatEvery = 2 * time.Second
	// maxSilence is for how long a stream may say nothing: then another is opened.
	maxSilence = 15 * time.Second
	// maxAbsent is how often in a row servers may not have come as far as the watch, before it begins anew.
	maxAbsent = 5
)

// Why a watch leaves a stream by itself.
var (
	errSilent  = errors.New("the stream says nothing")
	errLost    = errors.New("no server has said anything for too long")
	errForeign = errors.New("the server tells what was not asked")
)

// Watch tells answers and what becomes of them. Where no server has been heard for a minute, what was ALLOWED is told as
// undecided, or as IfUndecided says.
func (r *Remote) Watch(ctx context.Context, queries ...Query) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if err := watchable(queries); err != nil {
			yield(Change{}, undecided(err))
			return
		}
		w := newWatch(r, queries, yield)
		r.watches.add(w)
		defer r.watches.remove(w)
		w.run(ctx)
	}
}

// watchable checks the questions of a watch.
func watchable(queries []Query) error {
	if n := len(queries); n == 0 || n > maxWatched {
		return &policy.InvalidError{Field: "queries", Problem: fmt.Sprintf("%d of them: 1 to %d can be watched", n, maxWatched)}
	}
	for i := range queries {
		q := &queries[i]
		if _, err := q.local(); err != nil {
			return fmt.Errorf("query %d: %w", i, err)
		}
		if q.demanding() {
			return &policy.InvalidError{Field: "queries", Problem: "a watch demands neither a revision nor an age"}
		}
		if q.Language != queries[0].Language {
			return &policy.InvalidError{Field: "queries", Problem: "a watch is in one language"}
		}
	}
	return nil
}

// watch is what a watch has told, and where it goes on from.
type watch struct {
	*Remote
	queries []Query
	keys    []string
	yield   func(Change, error) bool
	left    bool // the loop was left: nothing more is to be told

	place    *teishiv1.WatchPosition // nil: begin anew
	pending  []*teishiv1.DecisionChange
	absent   int // how often in a row no server had come as far
	failures int // in a row
	told     []Decision
	known    known
}

func newWatch(r *Remote, queries []Query, yield func(Change, error) bool) *watch {
	w := &watch{Remote: r, queries: queries, yield: yield, told: make([]Decision, len(queries))}
	for i := range queries {
		w.keys = append(w.keys, queries[i].key())
	}
	w.known.begin(w.keys)
	return w
}

// run follows one stream after the other.
func (w *watch) run(ctx context.Context) {
	var delay time.Duration
	for {
		err := w.follow(ctx, delay)
		w.pause()
		switch {
		case w.left || ctx.Err() != nil:
			return
		case w.ctx.Err() != nil:
			w.yield(Change{}, undecided(errClosed))
			return
		case w.over(err):
			w.yield(Change{}, undecided(err))
			return
		}
		delay = w.again(err)
		w.resumed.Add(1)
		w.logger.Info("a watch goes on", slog.Any("after", err), slog.Duration("in", delay), slog.Bool("anew", w.place == nil))
	}
}

// pause forgets what was half told: nothing is known until a stream says so again.
func (w *watch) pause() {
	w.pending = nil
	w.known.desync()
}

// over reports whether another stream would end the same way.
func (w *watch) over(err error) bool {
	switch e := undecided(err); e.Code {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return true
	case codes.ResourceExhausted:
		return e.Reason == "MESSAGE_TOO_LARGE"
	case codes.FailedPrecondition:
		return w.place == nil
	}
	return false
}

// again decides where the next stream begins, and returns after what time.
func (w *watch) again(err error) time.Duration {
	e := undecided(err)
	switch {
	case errors.Is(err, errLost):
		w.place = nil
		return 0
	case e.Reason == "REVISION_NOT_REACHED":
		if w.absent++; w.absent > maxAbsent {
			w.place, w.absent = nil, 0
		}
	case e.Code == codes.OutOfRange, e.Code == codes.FailedPrecondition, errors.Is(err, errForeign):
		w.place = nil
	}
	w.failures++
	wait := min(minBackoff<<min(w.failures-1, 10), maxBackoff)
	return max(spread(wait), e.RetryAfter+rand.N(e.RetryAfter/4+minBackoff))
}

// spread returns a span that is not the same for everybody.
func spread(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// follow tells what one stream says, after a delay, until it ends.
func (w *watch) follow(ctx context.Context, delay time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(w.ctx, cancel)()
	messages := make(chan heard)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer cancel()
	req := w.request()
	listening.Go(func() { w.listen(ctx, delay, req, messages) })
	patience := time.NewTimer(0)
	defer patience.Stop()
	for silence := delay + maxSilence; ; silence = maxSilence {
		patience.Reset(min(silence, w.known.untilLost()))
		select {
		case h := <-messages:
			if err := w.take(h); err != nil || w.left {
				return err
			}
		case <-patience.C:
			return w.lose()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take takes a message.
func (w *watch) take(h heard) error {
	if h.err != nil {
		return h.err
	}
	w.known.hear(reading())
	var err error
	switch e := h.message.Event.(type) {
	case *teishiv1.WatchDecisionsResponse_Changes:
		err = w.changes(e.Changes, h)
	case *teishiv1.WatchDecisionsResponse_Synced:
		w.failures, w.absent = 0, 0
		w.known.beat(h, e.Synced.GetFreshness(), true)
	case *teishiv1.WatchDecisionsResponse_Heartbeat:
		w.known.beat(h, e.Heartbeat.GetFreshness(), false)
	case *teishiv1.WatchDecisionsResponse_Restarted:
		w.pause()
		w.place = nil
	}
	if h.message.Position != nil && err == nil {
		w.place = h.message.Position
	}
	return err
}

// changes takes changes of one place, and tells them once they are whole.
func (w *watch) changes(m *teishiv1.DecisionChanges, h heard) error {
	w.known.change()
	if w.pending = append(w.pending, m.GetChanges()...); len(w.pending) > len(w.queries) {
		return errForeign
	}
	if m.GetMore() {
		return nil
	}
	whole := w.pending
	w.pending = nil
	for _, c := range whole {
		if c.Index < 0 || int(c.Index) >= len(w.queries) || c.Response == nil {
			return errForeign
		}
	}
	w.known.learn(whole, h)
	for _, c := range whole {
		w.answers.drop(w.keys[c.Index])
		if w.tell(int(c.Index), DecisionOf(c.Response)); w.left {
			return nil
		}
	}
	return nil
}

// tell tells an answer, unless it is what was told last.
func (w *watch) tell(i int, d Decision) {
	if w.left || same(&w.told[i], &d) {
		return
	}
	w.told[i] = d
	w.left = !w.yield(Change{Index: i, Query: w.queries[i], Decision: d}, nil)
	w.known.hear(reading()) // whoever listens may have been slow, and not a server
}

// lose gives up a stream that says nothing, and with it, if no other has said anything for too long, what it permitted.
func (w *watch) lose() error {
	if w.known.untilLost() > 0 {
		return errSilent
	}
	w.known.hear(reading())
	cause := &UndecidedError{Code: codes.Unavailable, Err: fmt.Errorf("%w: %s", errLost, policystore.ExpireAfter)}
	for i := range w.told {
		if d := &w.told[i]; d.outcome != 0 && d.Allowed() {
			d, _ := w.fail(&w.queries[i], cause)
			w.tell(i, d)
		}
	}
	return errLost
}
