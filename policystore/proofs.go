package policystore

import (
	"errors"
	"fmt"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// MaxClockSkew is how far the time of a head proof may be off the clock.
const MaxClockSkew = 10 * time.Second

// keptProofs bounds the proofs that wait for what they prove, a second each: an older one would prove policy EXPIRED.
// keptPositions bounds how far behind what is applied a proof may be.
const (
	keptProofs    = 64
	keptPositions = 1024
)

var (
	errProofDomain  = errors.New("it is of another domain")
	errProofClock   = errors.New("its time is too far off the clock")
	errProofOld     = errors.New("it is not later than the authority's last")
	errProofHistory = errors.New("it is of another history")
	errProofUnknown = errors.New("it is of a position long past")
)

// proofs judges head proofs. It belongs to the goroutine that follows.
type proofs struct {
	last    map[string]time.Time // of each authority, without monotonic reading
	past    [keptPositions]Position
	waiting []*proof // of positions above what is applied, as they came
}

// judge returns the proof if it is of what is applied, nothing if it is of what is yet to come, and an error if it
// proves nothing.
func (p *proofs) judge(h *HeadProof, domain string, applied Position, now time.Time) (*proof, error) {
	if h.Domain != domain {
		return nil, errProofDomain
	}
	if err := p.timely(h, now); err != nil {
		return nil, err
	}
	at := h.Position
	switch {
	case at == applied:
		return proven(h, now), nil
	case at.Epoch > applied.Epoch, at.Epoch == applied.Epoch && at.Revision > applied.Revision:
		p.await(proven(h, now))
		return nil, nil
	case at.Epoch < applied.Epoch, at.Revision == applied.Revision:
		return nil, fmt.Errorf("%w: %s, applied %s", errProofHistory, at, applied)
	}
	switch known := p.at(at.Revision); {
	case known == at:
		return proven(h, now), nil
	case known.Revision == at.Revision:
		return nil, fmt.Errorf("%w: %s, applied %s", errProofHistory, at, known)
	}
	return nil, errProofUnknown
}

// timely checks the time of a proof against the clock and the authority's last. A last time that has itself come to lie
// in the future was of a clock that has been set since: it is forgotten, and the next proof counts.
func (p *proofs) timely(h *HeadProof, now time.Time) error {
	now, issued := now.Round(0), h.IssuedTime.Round(0)
	if off := now.Sub(issued); off > MaxClockSkew || off < -MaxClockSkew {
		return fmt.Errorf("%w: %s", errProofClock, off)
	}
	last, seen := p.last[h.Authority]
	if seen && !issued.After(last) {
		if last.Sub(now) > MaxClockSkew {
			p.last[h.Authority] = issued
		}
		return errProofOld
	}
	if p.last == nil {
		p.last = make(map[string]time.Time)
	}
	p.last[h.Authority] = issued
	return nil
}

func (p *proofs) await(w *proof) {
	if len(p.waiting) == keptProofs {
		p.waiting = p.waiting[:copy(p.waiting, p.waiting[1:])]
	}
	p.waiting = append(p.waiting, w)
}

// applied remembers a position that the replica has reached.
func (p *proofs) applied(at Position) { p.past[at.Revision%keptPositions] = at }

func (p *proofs) at(r policy.Revision) Position { return p.past[r%keptPositions] }

// due returns the newest of the proofs that waited for a position reached since, and forgets those that are reached.
func (p *proofs) due() *proof {
	var newest *proof
	kept := p.waiting[:0]
	for _, w := range p.waiting {
		switch known := p.at(w.position.Revision); {
		case known == w.position:
			newest = w // they are kept as they came
		case known.Revision != w.position.Revision:
			kept = append(kept, w)
		}
	}
	p.waiting = kept
	return newest
}
