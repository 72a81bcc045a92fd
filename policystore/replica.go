package policystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// ReplicaConfig says what a Replica follows.
type ReplicaConfig struct {
	Source Source
	Name   string       // of the source, in answers; "record" if empty
	Domain string       // of the record
	Logger *slog.Logger // nil discards
}

// Replica keeps the state of a record that it follows. It verifies everything it is given and serves the last state that
// was good; View may be called by any number of goroutines and never waits for Run unless it is demanded to.
type Replica struct {
	source Source
	name   string
	domain string
	logger *slog.Logger
	state  atomic.Pointer[state]
	fresh  chan struct{} // closed when what is applied was first proven
	frozen chan struct{} // closed when err is set
	err    error

	// Of Run alone.
	current  state // what is swapped in with the next event
	proofs   proofs
	refusing bool  // the last head proof proved nothing
	proven   bool  // fresh is closed
	restored bool  // the checkpoints were looked at
	refused  error // what was wrong with the newest; nil unless all were refused
}

// NewReplica returns a replica that has nothing until Run follows the source.
func NewReplica(c ReplicaConfig) *Replica {
	r := &Replica{
		source: c.Source,
		name:   c.Name,
		domain: c.Domain,
		logger: c.Logger,
		fresh:  make(chan struct{}),
		frozen: make(chan struct{}),
	}
	if r.name == "" {
		r.name = "record"
	}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	r.current = state{fold: born(c.Domain), changed: make(chan struct{})}
	r.state.Store(&state{changed: r.current.changed})
	return r
}

const (
	minRetry = 50 * time.Millisecond
	maxRetry = 5 * time.Second
)

// Run follows the source until ctx ends; then it returns nil. What the source gives and may not be skipped freezes the
// replica: it keeps what it had, Err says why, and it grows old. Run is called once.
func (r *Replica) Run(ctx context.Context) error {
	retry := minRetry
	for ctx.Err() == nil {
		before := r.state.Load()
		err := r.follow(ctx)
		switch {
		case ctx.Err() != nil:
		case final(err):
			r.freeze(err)
			<-ctx.Done()
		default:
			if r.state.Load() != before {
				retry = minRetry
			}
			r.logger.Warn("following was interrupted", slog.Any("error", err), slog.Duration("retry", retry))
			pause(ctx, retry)
			retry = min(2*retry, maxRetry)
		}
	}
	return nil
}

// final reports whether an error of following will be met again at the same place.
func final(err error) bool {
	_, refused := errors.AsType[*refusal](err)
	return refused || errors.Is(err, ErrDiverged) || errors.Is(err, ErrBroken)
}

// A refusal is an entry or a checkpoint that the replica may not take, whatever the reason.
type refusal struct{ err error }

func (e *refusal) Error() string { return e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// pause waits for about the span, jittered, or until ctx ends.
func pause(ctx context.Context, span time.Duration) {
	timer := time.NewTimer(span/2 + rand.N(span))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// follow takes what the source yields from where the replica is, until it errs.
func (r *Replica) follow(ctx context.Context) error {
	if err := r.restore(ctx); err != nil {
		return err
	}
	for event, err := range r.source.Tail(ctx, r.current.position) {
		switch {
		case errors.Is(err, ErrCompacted), errors.Is(err, ErrEpoch):
			r.restored = false
			return err
		case err != nil:
			return fmt.Errorf("follow from %s: %w", r.current.position, err)
		case event.Entry != nil:
			if err := r.apply(event.Entry); err != nil {
				return &refusal{err}
			}
		case event.Head != nil:
			r.prove(event.Head, time.Now())
		}
	}
	return errors.New("the source ended")
}

// restore goes on from the source's checkpoint, at the start and whenever there is no other way. A checkpoint is a copy: one
// that does not verify or cannot be read is not used. An older one is, or what it stands for is folded again from the
// entries, as far as there are any.
func (r *Replica) restore(ctx context.Context) error {
	if r.restored {
		return nil
	}
	began := time.Now()
	f, refused, err := restoreNewest(ctx, r.source, r.domain, r.current.position, math.MaxInt64)
	if err != nil {
		return err
	}
	r.restored = true
	found := f.position.Revision > 0
	if refused != nil {
		if !found && r.refused != nil {
			return &refusal{fmt.Errorf("no way on but a checkpoint that is refused: %w", refused)}
		}
		r.logger.Error("a checkpoint is refused; reading an older one or the entries instead", slog.Any("error", refused))
	}
	if !found {
		r.refused = refused
		return nil
	}
	r.current.fold, r.refused = f, nil
	r.current.head = later(r.current.head, f.position)
	r.logger.Info("restored", slog.Int64("revision", int64(f.position.Revision)), slog.Duration("took", time.Since(began)))
	return nil
}

// apply verifies an entry and folds it in.
func (r *Replica) apply(e *Entry) error {
	f, err := r.current.next(e)
	if err != nil {
		return err
	}
	r.current.fold = f
	r.current.payload += int64(len(e.Payload))
	r.current.head = later(r.current.head, f.position)
	r.proofs.applied(f.position)
	r.publish(r.proofs.due(), time.Now())
	return nil
}

// prove takes a head proof for what it is worth.
func (r *Replica) prove(h *HeadProof, now time.Time) {
	p, err := r.proofs.judge(h, r.domain, r.current.position, now)
	if err == nil {
		r.current.head = later(r.current.head, h.Position)
	} else if !r.refusing { // once is enough to say
		r.logger.Warn("a head proof proves nothing", slog.String("authority", h.Authority), slog.Any("error", err))
	}
	r.refusing = err != nil
	r.publish(p, now)
}

// publish swaps the state in, with a newer proof if there is one, and wakes whoever waits for another revision.
func (r *Replica) publish(p *proof, now time.Time) {
	if p != nil && p.age(now) <= r.current.proof.age(now) {
		r.current.proof = p
	}
	if r.current.position.Revision == 0 {
		return // nothing is not policy
	}
	before, next := r.state.Load(), r.current
	if before.position != next.position {
		r.current.changed = make(chan struct{})
		next.changed = r.current.changed
		defer close(before.changed)
	}
	r.state.Store(&next)
	if !r.proven && freshness(next.proof.age(now)) == Fresh {
		r.proven = true
		close(r.fresh)
	}
}

func (r *Replica) freeze(err error) {
	r.logger.Error("frozen: this may not be skipped", slog.Any("error", err), slog.Int64("revision", int64(r.current.position.Revision)))
	r.err = fmt.Errorf("%w at %s: %w", ErrFrozen, r.current.position, err)
	close(r.frozen)
}

func later(a, b Position) Position {
	if b.Epoch > a.Epoch || b.Epoch == a.Epoch && b.Revision > a.Revision {
		return b
	}
	return a
}
