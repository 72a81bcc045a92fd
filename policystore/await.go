package policystore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// MaxWait bounds how long View waits for a revision.
const MaxWait = 5 * time.Second

// View returns what is in force. It waits for a revision demanded until ctx ends or for MaxWait: then it is a
// NotReachedError. ErrUnavailable says that there is no policy at hand, ErrTooStale and ErrEpochMismatch what they say.
func (r *Replica) View(ctx context.Context, d Demand) (View, error) {
	s := r.state.Load()
	if s.snapshot == nil || !s.reaches(d) && !failpoint.Without("min-revision") {
		var err error
		if s, err = r.await(ctx, d); err != nil {
			return View{}, err
		}
	}
	v := s.view(reading(), r.spent)
	if d.MaxStaleness > 0 && v.Freshness.Age > d.MaxStaleness {
		return View{}, tooStale(v, d)
	}
	return v, nil
}

func tooStale(v View, d Demand) error {
	if v.Freshness.Age == Never {
		return fmt.Errorf("%w: nothing proves its age yet", ErrTooStale)
	}
	return fmt.Errorf("%w: %s old, %s demanded", ErrTooStale, v.Freshness.Age.Round(time.Millisecond), d.MaxStaleness)
}

func (r *Replica) await(ctx context.Context, d Demand) (*state, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxWait)
	var aides sync.WaitGroup
	defer aides.Wait()
	defer cancel()
	r.wake()
	assist := time.NewTimer(assistAfter)
	defer assist.Stop()
	for {
		s := r.state.Load()
		switch {
		case s.snapshot == nil:
			return nil, r.unavailable()
		case d.Epoch != 0 && d.Epoch < s.position.Epoch:
			return nil, &EpochError{Wanted: d.Epoch, Epoch: s.position.Epoch}
		case s.reaches(d):
			return s, nil
		case s.frozen != nil:
			return nil, notReached(s, d)
		}
		select {
		case <-s.sequel.there:
		case <-assist.C:
			aides.Go(func() { r.assist(ctx, d) })
			assist.Reset(absentFor)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, notReached(s, d)
		}
	}
}

func notReached(s *state, d Demand) error {
	return &NotReachedError{Wanted: d.MinRevision, Epoch: d.Epoch, Applied: s.position, Head: s.head}
}

func (r *Replica) unavailable() error {
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: nothing was read yet", ErrUnavailable)
}

// Err returns why the replica is frozen, or nil. It heals when an origin gives again what verifies.
func (r *Replica) Err() error { return r.state.Load().frozen }

// Changed returns a channel that is closed when another entry is applied, or when the replica freezes. Take it before
// looking, so that nothing slips between.
func (r *Replica) Changed() <-chan struct{} { return r.state.Load().sequel.there }

// WaitReady waits until there is policy and a proof that it is FRESH. It returns what froze the replica instead.
func (r *Replica) WaitReady(ctx context.Context) error {
	for {
		s := r.state.Load()
		if s.frozen != nil {
			return s.frozen
		}
		select {
		case <-r.fresh:
			return nil
		case <-s.sequel.there:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
}

// unprovenFor is for how long a start waits for a proof of the policy that it has.
const unprovenFor = 5 * time.Second

// WaitServing waits until there is policy to serve: until it is FRESH, or for a while once there is any. Policy that nothing
// proves is served as EXPIRED, frozen or not, since a DENIED is as good as ever.
func (r *Replica) WaitServing(ctx context.Context) error {
	var unproven <-chan time.Time
	for {
		s := r.state.Load()
		if s.snapshot != nil && unproven == nil {
			timer := time.NewTimer(unprovenFor)
			defer timer.Stop()
			unproven = timer.C
		}
		select {
		case <-r.fresh:
			return nil
		case <-unproven:
			return nil
		case <-s.sequel.there:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
}
