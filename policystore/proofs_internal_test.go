package policystore

import (
	"errors"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// What follows needs a clock that is set: package synctest has none, so the judge is asked directly.

var at1 = Position{Epoch: 1, Revision: 1}

// proofAt is a proof of position 1 by an authority whose clock shows the time, seconds after some instant.
func proofAt(seconds float64) (*HeadProof, moment) {
	now := time.Unix(1_000_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
	return &HeadProof{Domain: "d", Position: at1, Authority: "a", IssuedTime: now}, moment{mono: now, wall: now}
}

// judging judges proofs as a replica does.
func judging() proofs { return proofs{skew: defaultClockSkew} }

// When the clock that proofs are made and judged by is set back, they count again from the second one on; when it is set
// forward, at once.
func TestClockSet(t *testing.T) {
	p := judging()
	for i, c := range []struct {
		seconds float64
		want    error
	}{{0, nil}, {1, nil}, {3600, nil}, {3601, nil}, {2, errProofOld}, {3, nil}, {4, nil}, {-3600, errProofOld}, {-3599, nil}} {
		h, now := proofAt(c.seconds)
		if _, err := p.judge(h, "d", at1, now); !errors.Is(err, c.want) {
			t.Errorf("proof %d at %v s: %v, want %v", i, c.seconds, err, c.want)
		}
	}
}

// An authority whose clock is set back by less than may be off counts again when it has caught up with itself: until then
// its proofs might be repeated ones.
func TestClockSetBackALittle(t *testing.T) {
	p := judging()
	for i, c := range []struct {
		seconds float64
		want    error
	}{{0, nil}, {5, nil}, {1, errProofOld}, {4, errProofOld}, {5, errProofSeen}, {6, nil}} {
		h, now := proofAt(c.seconds)
		if _, err := p.judge(h, "d", at1, now); !errors.Is(err, c.want) {
			t.Errorf("proof %d at %v s: %v, want %v", i, c.seconds, err, c.want)
		}
	}
}

// Age is the larger of the wall and the monotonic time since: a step of the clock makes policy older, never younger.
func TestAgeAcrossClockSteps(t *testing.T) {
	made := time.Now()
	h := &HeadProof{IssuedTime: made, Received: made}
	p := proven(h, made)
	later := moment{mono: made.Add(2 * time.Second), wall: made.Round(0).Add(2 * time.Second)}
	if age := p.age(later); age != 2*time.Second {
		t.Errorf("age = %s, want 2s", age)
	}
	later.wall = later.wall.Add(time.Hour) // the wall clock was set forward since
	if age := p.age(later); age != time.Hour+2*time.Second {
		t.Errorf("the clock set forward: age = %s, want 1h0m2s", age)
	}
	later.wall = later.wall.Add(-2 * time.Hour) // and back
	if age := p.age(later); age != 2*time.Second {
		t.Errorf("the clock set back: age = %s, want 2s", age)
	}
}

// The proofs that wait are bounded, and the newest are kept.
func TestWaitingProofsAreBounded(t *testing.T) {
	p := judging()
	for i := range 2 * keptProofs {
		h, now := proofAt(float64(i))
		h.Position.Revision = policy.Revision(2 + i)
		if got, err := p.judge(h, "d", at1, now); got != nil || err != nil {
			t.Fatalf("proof %d counts: %v, %v", i, got, err)
		}
	}
	if len(p.waiting) != keptProofs || p.waiting[0].position.Revision != 2+keptProofs {
		t.Errorf("%d proofs wait, the first of %s", len(p.waiting), p.waiting[0].position)
	}
}

func TestProofOfLongAgo(t *testing.T) {
	p := judging()
	var applied Position
	for r := policy.Revision(1); r <= keptPositions+1; r++ {
		applied = Position{Epoch: 1, Revision: r}
		p.applied(applied)
	}
	h, now := proofAt(0)
	if _, err := p.judge(h, "d", applied, now); !errors.Is(err, errProofUnknown) {
		t.Errorf("a proof of a position no longer known: %v", err)
	}
	h, now = proofAt(1)
	h.Position.Revision = 2
	if got, err := p.judge(h, "d", applied, now); got == nil || err != nil {
		t.Errorf("a proof of the last position known: %v, %v", got, err)
	}
}
