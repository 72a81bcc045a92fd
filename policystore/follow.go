package policystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

const (
	minRetry = 50 * time.Millisecond
	maxRetry = 5 * time.Second
	// believeAgain is after what time, at least, an origin is tried again that gave what does not verify.
	believeAgain = time.Second

	maxSilence    = 3 * time.Second // without a proof, then the next origin is followed
	maxUnreached  = time.Second     // with a proof of what is not delivered, and nothing delivered meanwhile
	maxBehind     = 5 * time.Second // with a proof of what is not delivered yet, whatever is delivered meanwhile
	lookEvery     = 250 * time.Millisecond
	restoreWithin = 2 * time.Minute // a checkpoint is read, however slow the link
	repeatedAfter = time.Minute     // trouble of the same sort is logged again
)

// Why an origin is left that did not err.
var (
	errSilent    = &TroubleError{Silent, fmt.Errorf("it has proven nothing for %s", maxSilence)}
	errUnreached = &TroubleError{Silent, errors.New("it does not deliver what it proves")}
	errNoWay     = &TroubleError{Missing, errors.New("it has neither the entries that follow nor a checkpoint after them")}
	errEnded     = errors.New("it ended")
)

// turn is how it went with an origin.
type turn struct {
	again    time.Time     // it is not followed before
	retry    time.Duration // how long it is left alone next time
	poisoned error         // what it gave that does not verify; nil once it has given anything that does
	refused  error         // what was wrong with its newest checkpoint; nil unless all were refused
	said     Trouble       // the sort of the error logged last: what an error says may differ each time
	saidAt   time.Time
}

// A preferredError says that a preferred origin can be followed again.
type preferredError struct{ origin int }

func (e *preferredError) Error() string { return fmt.Sprintf("origin %d is preferred", e.origin) }

// Run follows the origins until ctx ends; then it returns nil. The next one is followed when one errs, is silent or does not
// deliver, and a preferred one is taken back when it has proven itself. What an origin gives and may not be skipped is
// never skipped: the replica keeps what it had, and while there is no origin that it believes it is frozen, and grows
// old. Run is called once.
func (r *Replica) Run(ctx context.Context) error {
	kept := r.Begin()
	var keeping sync.WaitGroup
	defer keeping.Wait()
	keeping.Go(func() { r.keepLocal(ctx, kept) })
	for i := 0; ctx.Err() == nil; {
		if wait := time.Until(r.turns[i].again); wait > 0 {
			pause(ctx, wait)
			continue
		}
		err := r.follow(ctx, i)
		if ctx.Err() != nil {
			return nil
		}
		i = r.next(i, err)
	}
	return nil
}

// next returns which origin is followed after one has ended so: of those that need not wait the one after it, else the one
// that waits the least.
func (r *Replica) next(i int, err error) int {
	if preferred, ok := errors.AsType[*preferredError](err); ok {
		r.turns[preferred.origin].again = time.Time{}
		return preferred.origin
	}
	r.rest(i, err)
	best := (i + 1) % len(r.turns)
	for step := range len(r.turns) {
		j := (i + 1 + step) % len(r.turns)
		if !r.turns[j].again.After(time.Now()) {
			return j
		}
		if r.turns[j].again.Before(r.turns[best].again) {
			best = j
		}
	}
	return best
}

// rest leaves an origin alone for a while.
func (r *Replica) rest(i int, err error) {
	t, name := &r.turns[i], r.origins[i].Name
	t.retry = min(max(2*t.retry, minRetry), maxRetry)
	r.metrics.sourceErrors.WithLabelValues(name, string(TroubleOf(err))).Inc()
	if poisonous(err) {
		t.poisoned, t.retry = err, max(t.retry, believeAgain)
		r.metrics.poisoned(name, err)
		if r.believesNone() {
			r.freeze(err)
		}
	}
	if failpoint.Without("backoff") {
		t.retry = time.Millisecond
	}
	t.again = time.Now().Add(t.retry/2 + rand.N(t.retry))
	if sort := TroubleOf(err); sort != t.said || time.Since(t.saidAt) > repeatedAfter {
		t.said, t.saidAt = sort, time.Now()
		r.logger.Warn("following was interrupted", slog.String("source", name), slog.String("setting", r.origins[i].Setting),
			slog.String("trouble", string(TroubleOf(err))), slog.Any("error", err), slog.Duration("retry", t.retry))
	}
}

func (r *Replica) believesNone() bool {
	for _, t := range r.turns {
		if t.poisoned == nil {
			return false
		}
	}
	return true
}

// pause waits for the span, or until ctx ends.
func pause(ctx context.Context, span time.Duration) {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// follow takes what an origin yields from where the replica is, until it errs or is left.
func (r *Replica) follow(ctx context.Context, i int) error {
	ctx, leave := context.WithCancelCause(ctx)
	var aides sync.WaitGroup
	defer r.revert()
	defer aides.Wait()
	defer leave(nil)
	aides.Go(func() { r.probe(ctx, i, leave) })
	var lost error
	if r.position().Revision == 0 {
		lost = ErrNotFound
	}
	for {
		before := r.position()
		if lost != nil {
			if err := r.restore(ctx, i, lost); err != nil {
				return err
			}
		}
		err := r.tail(ctx, i, leave)
		if !lostPlace(err) || lostPlace(lost) && r.position() == before {
			return err // or it said so before, and nothing has come of it
		}
		lost = err
		r.metrics.gaps.WithLabelValues(r.origins[i].Name).Inc()
		r.logger.Info("a checkpoint is needed", slog.String("source", r.origins[i].Name), slog.Any("error", err))
	}
}

// lostPlace reports whether an error says that the entries that follow are not to be had, and a checkpoint is needed.
func lostPlace(err error) bool { return errors.Is(err, ErrCompacted) || errors.Is(err, ErrEpoch) }

// begin notes that an origin is followed from now on, and returns from where.
func (r *Replica) begin(o *Origin) Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followed.begin(o, r.current.position, time.Now())
	return r.current.position
}

// position returns where the fold is that the next entry goes on.
func (r *Replica) position() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current.position
}

// tail takes what an origin yields, and leaves it when it is silent.
func (r *Replica) tail(ctx context.Context, i int, leave context.CancelCauseFunc) error {
	o, t := &r.origins[i], &r.turns[i]
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	at := r.begin(o)
	watching.Go(func() { r.watch(ctx, leave) })
	for event, err := range o.Source.Tail(ctx, at) {
		alive := err == nil
		switch {
		case err != nil:
			return fmt.Errorf("follow %s from %s: %w", o.Name, r.position(), err)
		case event.Entry != nil:
			failpoint.Hit(ctx, "apply")
			if err := r.apply(o, event.Entry); err != nil {
				return &refusal{err}
			}
		case event.Head != nil:
			alive = r.prove(o, event.Head)
		}
		if alive {
			t.poisoned, t.retry = nil, 0
			r.metrics.follows(o.Name)
		}
	}
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return errEnded
	case errors.Is(cause, errSilent):
		r.offer(o)
		return cause
	default:
		return cause
	}
}

// offer serves what was restored from an origin that proves nothing but has not refused to go on from there: it is later than what
// was served, and better than no answer.
func (r *Replica) offer(o *Origin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Load().position != r.current.position {
		r.current.source = o.Name
		r.publish(nil, reading())
	}
}

// watch leaves the origin that is followed when it proves nothing, or does not deliver what it proves, until ctx ends.
func (r *Replica) watch(ctx context.Context, leave context.CancelCauseFunc) {
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	for {
		select {
		case <-looks.C:
		case <-ctx.Done():
			return
		}
		if err := r.stalled(time.Now()); err != nil {
			leave(err)
			return
		}
	}
}

// stalled reports as an error that the origin that is followed has nothing more to give.
func (r *Replica) stalled(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if failpoint.Without("silence") {
		return nil
	}
	served := r.state.Load().position
	return r.followed.stalled(now, later(served, r.current.position) == served && served != r.current.position)
}

// followed is what the origin in use has given since it is followed. What another helped out with, or the answer to a report,
// shows at the most what it owes.
type followed struct {
	origin *Origin
	at     Position  // how far it has delivered
	sign   time.Time // when it last proved something that is not old
	step   time.Time // when it last delivered an entry
	owed   Position  // a head that was proven, and that it has not delivered
	since  time.Time // when it began to owe that
	behind time.Time // when what is folded was last seen to lie behind what is served
}

// begin starts to follow an origin from a position.
func (f *followed) begin(o *Origin, at Position, now time.Time) {
	*f = followed{origin: o, at: at, sign: now, step: now}
}

func (f *followed) delivers(o *Origin, at Position, now time.Time) {
	if o != f.origin {
		return
	}
	f.at, f.step = at, now
	if later(f.owed, at) == at {
		f.owed = Position{}
	}
}

func (f *followed) proves(o *Origin, now time.Time) {
	if o == f.origin {
		f.sign = now
	}
}

// owes notes a head that somebody has proven.
func (f *followed) owes(head Position, now time.Time) {
	if f.owed.Revision == 0 && later(f.at, head) != f.at {
		f.owed, f.since = head, now
	}
}

// stalled may be told that what is folded lies behind what is served: that takes as long as it takes, while it goes on.
func (f *followed) stalled(now time.Time, behind bool) error {
	if behind {
		f.behind = now
	}
	switch owing := now.Sub(f.since); {
	case now.Sub(f.sign) > maxSilence:
		return errSilent
	case f.owed.Revision == 0:
		return nil
	case min(owing, now.Sub(f.step)) > maxUnreached, min(owing, now.Sub(f.behind)) > maxBehind:
		return errUnreached
	}
	return nil
}

// restore goes on from an origin's checkpoint, where there is no other way: at the start, and where the entries that follow
// are lost. A checkpoint is a copy: one that does not verify or cannot be read is not used. An older one is, or what it
// stands for is folded again from the entries, as far as there are any.
func (r *Replica) restore(ctx context.Context, i int, lost error) error {
	ctx, cancel := context.WithTimeout(ctx, restoreWithin)
	defer cancel()
	o, t, began := &r.origins[i], &r.turns[i], time.Now()
	served := r.state.Load().position
	f, refused, err := restoreNewest(ctx, o.Source, r.domain, r.trust, served, math.MaxInt64)
	if err != nil {
		return err
	}
	found := f.position.Revision > 0
	if refused != nil {
		r.metrics.checkpointsRefused.WithLabelValues(o.Name).Inc()
		if !found && t.refused != nil {
			return &refusal{fmt.Errorf("no way on but a checkpoint that is refused: %w", refused)}
		}
		r.logger.Error("a checkpoint is refused; reading an older one or the entries instead",
			slog.String("source", o.Name), slog.Any("error", refused))
	}
	switch {
	case found:
		r.restart(f)
		t.refused = nil
		r.metrics.checkpointsLoaded.WithLabelValues(o.Name).Inc()
		r.logger.Info("restored", slog.String("source", o.Name), slog.Int64("revision", int64(f.position.Revision)),
			slog.Int64("epoch", f.position.Epoch), slog.Duration("took", time.Since(began)))
	case errors.Is(lost, ErrCompacted) && refused != nil:
		return &refusal{refused}
	case errors.Is(lost, ErrCompacted):
		return errNoWay
	default:
		r.restart(born(r.domain))
		t.refused = refused
	}
	return nil
}

// restart goes on from another fold, of which nothing is known but itself. What is served stays until it is reached.
func (r *Replica) restart(f fold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if served := r.state.Load().position; f.position.Epoch > served.Epoch && served.Epoch > 0 {
		r.logger.Error("the record was rewound: what was served is no longer its history",
			slog.String("served", served.String()), slog.String("record", f.position.String()))
	}
	if before := r.current.position.Epoch; before > 0 && before != f.position.Epoch {
		r.current.proof, r.current.former = nil, nil // they prove nothing of another epoch
	}
	r.current.fold = f
	r.current.head = later(r.current.head, f.position)
	r.recent.clear()
	r.proofs.forget()
	r.proofs.applied(f.position)
}

// revert goes on from what is served, if the fold has not got there: what an origin began is not for the next to finish.
func (r *Replica) revert() {
	r.mu.Lock()
	defer r.mu.Unlock()
	served := r.state.Load()
	if served.snapshot == nil || later(served.position, r.current.position) == r.current.position || failpoint.Without("monotone") {
		return
	}
	r.current.fold = served.fold
	r.proofs.forget()
	r.proofs.applied(served.position)
}
