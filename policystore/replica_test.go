package policystore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

// Nothing is not policy: before the first entry there is no view.
func TestNothingIsNotPolicy(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.prove(policystore.Position{})
		if _, err := s.replica.View(t.Context(), policystore.Demand{}); !errors.Is(err, policystore.ErrUnavailable) {
			t.Errorf("View of an empty record = %v, want ErrUnavailable", err)
		}
	})
}

func TestWaitReady(t *testing.T) {
	h := history(t, 1)
	play(t, func(t *testing.T, s *stage) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.give(h[0])
		if err := s.replica.WaitReady(ctx); !errors.Is(err, policystore.ErrUnavailable) {
			t.Errorf("WaitReady without a proof = %v, want ErrUnavailable", err)
		}
		s.prove(h[0].Position())
		if err := s.replica.WaitReady(t.Context()); err != nil {
			t.Errorf("WaitReady = %v", err)
		}
	})
}

func TestChanged(t *testing.T) {
	h := history(t, 2)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		changed := s.replica.Changed()
		s.prove(h[0].Position())
		select {
		case <-changed:
			t.Error("Changed by a proof")
		default:
		}
		s.give(h[1])
		<-changed
	})
}

// A revision that is demanded is waited for, but not for ever.
func TestMinRevision(t *testing.T) {
	h := history(t, 3)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		s.prove(h[2].Position())
		began := time.Now()
		_, err := s.replica.View(t.Context(), policystore.Demand{MinRevision: 2})
		missed, ok := errors.AsType[*policystore.NotReachedError](err)
		if !ok || missed.Applied != h[0].Position() || missed.Head != h[2].Position() || missed.Wanted != 2 {
			t.Errorf("View = %+v, want a NotReachedError from %s, head %s", err, h[0].Position(), h[2].Position())
		}
		if waited := time.Since(began); waited != policystore.MaxWait {
			t.Errorf("View waited %s, want %s", waited, policystore.MaxWait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.replica.View(ctx, policystore.Demand{MinRevision: 2}); !errors.Is(err, policystore.ErrNotReached) {
			t.Errorf("View until a deadline = %v, want ErrNotReached", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := s.replica.View(ctx, policystore.Demand{MinRevision: 2}); !errors.Is(err, context.Canceled) {
			t.Errorf("View until it is cancelled = %v, want Canceled", err)
		}
		time.AfterFunc(time.Second, func() { s.events <- step{event: policystore.Event{Entry: &h[1]}} })
		if v, err := s.replica.View(t.Context(), policystore.Demand{MinRevision: 2}); err != nil || v.Position != h[1].Position() {
			t.Errorf("View = %s, %v, want %s", v.Position, err, h[1].Position())
		}
	})
}

func TestEpoch(t *testing.T) {
	h := history(t, 2)
	for i := range h {
		h[i].Epoch = 1
	}
	play(t, func(t *testing.T, s *stage) {
		s.give(h...)
		if _, err := s.replica.View(t.Context(), policystore.Demand{Epoch: 1, MinRevision: 2}); err != nil {
			t.Errorf("View in the epoch = %v", err)
		}
		_, err := s.replica.View(t.Context(), policystore.Demand{Epoch: -1})
		if over, ok := errors.AsType[*policystore.EpochError](err); !ok || over.Epoch != 1 || !errors.Is(err, policystore.ErrEpochMismatch) {
			t.Errorf("View in an epoch that is over = %v, want ErrEpochMismatch", err)
		}
		began := time.Now()
		_, err = s.replica.View(t.Context(), policystore.Demand{Epoch: 2})
		if waited := time.Since(began); !errors.Is(err, policystore.ErrNotReached) || waited != policystore.MaxWait {
			t.Errorf("View in an epoch to come = %v after %s, want ErrNotReached after %s", err, waited, policystore.MaxWait)
		}
	})
}

// What may not be skipped freezes the replica: it keeps what it had, says why, and grows old, until it is given what verifies.
func TestFreezes(t *testing.T) {
	h := history(t, 4)
	unknown := follower(h[1], []byte{0x0a, 0x05, 0x0a, 0x03, 0xfa, 0x01, 0x00})
	rubbish := follower(h[1], []byte("\xff"))
	unfoldable := follower(h[1], impossible(t))
	edited, moved, forked, late := h[2], h[2], h[2], h[2]
	edited.Reason = "another"
	moved.Revision++
	forked.PreviousHash = h[0].Hash
	late.Time = 0
	for _, e := range []*policystore.Entry{&moved, &forked, &late} {
		e.Hash = e.Sum(domain)
	}
	for name, c := range map[string]struct {
		entry policystore.Entry
		want  error
	}{
		"an unknown kind":          {unknown, policystore.ErrFormat},
		"rubbish":                  {rubbish, policystore.ErrFormat},
		"what cannot be folded":    {unfoldable, nil},
		"an edited entry":          {edited, policystore.ErrBroken},
		"a gap":                    {moved, policystore.ErrBroken},
		"a gap of the same record": {h[3], policystore.ErrBroken},
		"a fork":                   {forked, policystore.ErrBroken},
		"an entry of before":       {late, policystore.ErrBroken},
		"another entry again":      {reworded(h[1]), policystore.ErrDiverged},
		"an edited entry again":    {retold(h[1]), policystore.ErrBroken},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.give(h[:2]...)
				s.prove(h[1].Position())
				s.give(c.entry)
				wantFrozen(s, c.want)
				s.want(h[1].Position(), fresh, 0)
				s.pass(61 * time.Second)
				s.want(h[1].Position(), expired, 61*time.Second)
				s.give(h[2])
				s.prove(h[2].Position())
				s.want(h[2].Position(), fresh, 0)
				if err := s.replica.Err(); err != nil {
					t.Errorf("after the right entry it is still frozen: %v", err)
				}
				if began := s.began(); slices.ContainsFunc(began[1:], func(p policystore.Position) bool { return p != h[1].Position() }) {
					t.Errorf("tails began at %v, want all but the first at %s", began, h[1].Position())
				}
			})
		})
	}
}

// reworded is the entry with another reason, and the hash of that.
func reworded(e policystore.Entry) policystore.Entry {
	e.Reason = "another"
	e.Hash = e.Sum(domain)
	return e
}

// retold is the entry with another reason, and its hash.
func retold(e policystore.Entry) policystore.Entry {
	e.Reason = "another"
	return e
}

// An entry that was applied already is verified and skipped.
func TestDuplicatesAreSkipped(t *testing.T) {
	h := history(t, 3)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0], h[1], h[0], h[1], h[1])
		s.prove(h[1].Position())
		s.want(h[1].Position(), fresh, 0)
		s.give(h[2])
		s.want(h[2].Position(), fresh, 0)
	})
}

func wantFrozen(s *stage, want error) {
	s.t.Helper()
	err := s.replica.Err()
	if !errors.Is(err, policystore.ErrFrozen) || want != nil && !errors.Is(err, want) {
		s.t.Errorf("frozen by %v, want %v", err, want)
	}
	began := time.Now()
	if _, err := s.replica.View(s.t.Context(), policystore.Demand{MinRevision: 9}); !errors.Is(err, policystore.ErrNotReached) || time.Since(began) > 0 {
		s.t.Errorf("View of what a frozen replica will not reach = %v after %s", err, time.Since(began))
	}
}

func TestDivergedFreezes(t *testing.T) {
	h := history(t, 2)
	play(t, func(t *testing.T, s *stage) {
		s.give(h...)
		s.fail(policystore.ErrDiverged)
		wantFrozen(s, policystore.ErrDiverged)
	})
	play(t, func(t *testing.T, s *stage) {
		s.fail(policystore.ErrDiverged)
		if err := s.replica.WaitReady(t.Context()); !errors.Is(err, policystore.ErrFrozen) {
			t.Errorf("WaitReady = %v, want ErrFrozen", err)
		}
		if _, err := s.replica.View(t.Context(), policystore.Demand{}); !errors.Is(err, policystore.ErrUnavailable) || !errors.Is(err, policystore.ErrFrozen) {
			t.Errorf("View = %v, want ErrUnavailable because ErrFrozen", err)
		}
	})
}

// After any other error the replica goes on from what it has applied.
func TestInterruptionsHeal(t *testing.T) {
	h := history(t, 3)
	play(t, func(t *testing.T, s *stage) {
		for i := range h {
			s.give(h[i])
			s.prove(h[i].Position())
			s.fail(errors.New("the connection broke"))
			s.pass(10 * time.Second)
			synctest.Wait()
		}
		s.prove(h[2].Position())
		s.want(h[2].Position(), fresh, 0)
		want := []policystore.Position{{}, h[0].Position(), h[1].Position(), h[2].Position()}
		if began := slices.Compact(s.began()); !slices.Equal(began, want) {
			t.Errorf("tails began at %v, want %v", began, want)
		}
	})
}
