package policystore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

const (
	fresh   = policystore.Fresh
	stale   = policystore.Stale
	expired = policystore.Expired
)

// Policy grows old unless it is proven, and only proofs make it young.
func TestFreshness(t *testing.T) {
	h := history(t, 3)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[:2]...)
		s.want(h[1].Position(), expired, policystore.Never) // entries prove nothing
		s.prove(h[1].Position())
		s.want(h[1].Position(), fresh, 0)
		s.pass(5 * time.Second)
		s.want(h[1].Position(), fresh, 5*time.Second)
		s.pass(time.Microsecond)
		s.want(h[1].Position(), stale, 5*time.Second+time.Microsecond)
		s.give(h[2])
		s.want(h[2].Position(), stale, 5*time.Second+time.Microsecond)
		s.pass(55*time.Second - time.Microsecond)
		s.want(h[2].Position(), stale, 60*time.Second)
		s.pass(time.Nanosecond)
		s.want(h[2].Position(), expired, 60*time.Second+time.Nanosecond)
		s.prove(h[2].Position())
		s.want(h[2].Position(), fresh, 0)
	})
}

// A proof of what is still to come counts from its own time, once that has come, even if newer ones wait behind it.
func TestProofOfWhatIsToCome(t *testing.T) {
	h := history(t, 4)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		s.prove(h[2].Position())
		s.pass(2 * time.Second)
		s.prove(h[3].Position())
		s.pass(2 * time.Second)
		s.want(h[0].Position(), expired, policystore.Never)
		s.give(h[1])
		s.want(h[1].Position(), expired, policystore.Never)
		s.give(h[2])
		s.want(h[2].Position(), fresh, 4*time.Second)
		s.give(h[3])
		s.want(h[3].Position(), fresh, 2*time.Second)
	})
}

// A proof of what was applied before is one that nothing was missing then.
func TestProofOfWhatWas(t *testing.T) {
	h := history(t, 3)
	play(t, func(t *testing.T, s *stage) {
		s.give(h...)
		s.prove(h[1].Position())
		s.want(h[2].Position(), fresh, 0)
	})
}

func TestProofsThatProveNothing(t *testing.T) {
	h := history(t, 3)
	later := func(d time.Duration) func(*policystore.HeadProof) {
		return func(p *policystore.HeadProof) { p.IssuedTime = p.IssuedTime.Add(d) }
	}
	for name, c := range map[string]struct {
		at     policystore.Position
		change func(*policystore.HeadProof)
	}{
		"of another domain":                 {h[1].Position(), func(p *policystore.HeadProof) { p.Domain = "other" }},
		"of long ago":                       {h[1].Position(), later(-10*time.Second - 1)},
		"of the future":                     {h[1].Position(), later(10*time.Second + 1)},
		"repeated":                          {h[1].Position(), later(-3 * time.Second)},
		"of another hash":                   {policystore.Position{Epoch: 1, Revision: 2, Hash: h[2].Hash}, later(0)},
		"of another hash before":            {policystore.Position{Epoch: 1, Revision: 1, Hash: h[2].Hash}, later(0)},
		"of an epoch before":                {policystore.Position{Epoch: 0, Revision: 2, Hash: h[1].Hash}, later(0)},
		"of an epoch to come":               {policystore.Position{Epoch: 2, Revision: 2, Hash: h[1].Hash}, later(0)},
		"of nothing":                        {policystore.Position{}, later(0)},
		"of another history, not yet there": {policystore.Position{Epoch: 1, Revision: 3, Hash: h[0].Hash}, later(0)},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.give(h[:2]...)
				s.prove(h[1].Position())
				s.pass(3 * time.Second)
				s.prove(c.at, c.change)
				s.want(h[1].Position(), fresh, 3*time.Second)
				s.give(h[2])
				s.want(h[2].Position(), fresh, 3*time.Second)
			})
		})
	}
}

// A proof whose time lies a little ahead is no younger than its arrival.
func TestProofAheadOfTheClock(t *testing.T) {
	h := history(t, 1)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		s.prove(h[0].Position(), func(p *policystore.HeadProof) { p.IssuedTime = p.IssuedTime.Add(9 * time.Second) })
		s.want(h[0].Position(), fresh, 0)
		s.pass(6 * time.Second)
		s.want(h[0].Position(), stale, 6*time.Second)
	})
}

// Of the proofs of several authorities the newest counts, in whatever order they come.
func TestOlderProofOfAnotherAuthority(t *testing.T) {
	h := history(t, 2)
	of := func(authority string, age time.Duration) func(*policystore.HeadProof) {
		return func(p *policystore.HeadProof) {
			p.Authority, p.IssuedTime = authority, p.IssuedTime.Round(0).Add(-age)
		}
	}
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		s.prove(h[0].Position(), of("a", 0))
		s.pass(time.Second)
		s.prove(h[0].Position(), of("b", 4*time.Second))
		s.want(h[0].Position(), fresh, time.Second)
		s.prove(h[1].Position(), of("c", 4*time.Second))
		s.give(h[1])
		s.want(h[1].Position(), fresh, time.Second)
		s.prove(h[1].Position(), of("b", 0))
		s.want(h[1].Position(), fresh, 0)
	})
}

// A proof that took its time is as old as it says.
func TestProofThatTookItsTime(t *testing.T) {
	h := history(t, 1)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		s.prove(h[0].Position(), func(p *policystore.HeadProof) { p.IssuedTime = p.IssuedTime.Round(0).Add(-4 * time.Second) })
		s.want(h[0].Position(), fresh, 4*time.Second)
	})
}

func TestMaxStaleness(t *testing.T) {
	h := history(t, 1)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		if _, err := s.replica.View(t.Context(), policystore.Demand{MaxStaleness: time.Hour}); !errors.Is(err, policystore.ErrTooStale) {
			t.Errorf("View before any proof = %v, want ErrTooStale", err)
		}
		s.prove(h[0].Position())
		s.pass(time.Second)
		if _, err := s.replica.View(t.Context(), policystore.Demand{MaxStaleness: time.Second}); err != nil {
			t.Errorf("View of a second = %v", err)
		}
		if _, err := s.replica.View(t.Context(), policystore.Demand{MaxStaleness: time.Second - 1}); !errors.Is(err, policystore.ErrTooStale) {
			t.Errorf("View of less than a second = %v, want ErrTooStale", err)
		}
	})
}
