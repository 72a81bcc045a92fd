package policystore

import (
	"errors"
	"fmt"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

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
	errProofSeen    = errors.New("it is the authority's last once more")
)

// proofTrouble names, for metrics, why a proof proves nothing.
func proofTrouble(err error) string {
	for _, row := range []struct {
		is   error
		name string
	}{{ErrSignature, "signature"}, {errProofDomain, "domain"}, {errProofClock, "clock"}, {errProofOld, "old"}, {errProofHistory, "history"}} {
		if errors.Is(err, row.is) {
			return row.name
		}
	}
	return "position"
}

// proofs judges head proofs.
type proofs struct {
	skew    time.Duration        // how far the time of one may be off the clock
	last    map[string]time.Time // of each authority, without monotonic reading
	past    [keptPositions]Position
	waiting []*proof             // of positions above what is applied, as they came
	said    map[string]time.Time // when it was last said that one proves nothing, by why
}

// judge returns the proof if it is of what is applied, nothing if it is of what is yet to come, and an error if it
// proves nothing.
func (p *proofs) judge(h *HeadProof, domain string, applied Position, now moment) (*proof, error) {
	if err := p.plausible(h, domain, now); err != nil {
		return nil, err
	}
	if err := p.later(h, now); err != nil {
		return nil, err
	}
	at := h.Position
	switch {
	case at == applied:
		return proven(h, now.mono), nil
	case at.Epoch > applied.Epoch, at.Epoch == applied.Epoch && at.Revision > applied.Revision:
		p.await(proven(h, now.mono))
		return nil, nil
	case at.Epoch < applied.Epoch, at.Revision == applied.Revision:
		return nil, fmt.Errorf("%w: %s, applied %s", errProofHistory, at, applied)
	}
	switch known := p.at(at.Revision); {
	case known == at:
		return proven(h, now.mono), nil
	case known.Revision == at.Revision:
		return nil, fmt.Errorf("%w: %s, applied %s", errProofHistory, at, known)
	}
	return nil, errProofUnknown
}

// plausible checks the domain of a proof, and its time against the clock.
func (p *proofs) plausible(h *HeadProof, domain string, now moment) error {
	if h.Domain != domain {
		return errProofDomain
	}
	if off := now.wall.Sub(h.IssuedTime.Round(0)); off.Abs() > p.skew && !failpoint.Without("skew") {
		return fmt.Errorf("%w: by %s, and --max-clock-skew (TEISHI_MAX_CLOCK_SKEW) is %s: set the clock of this machine or of that authority right",
			errProofClock, off.Round(time.Millisecond), p.skew)
	}
	return nil
}

// maxAuthorities bounds how many names of authorities are remembered.
const maxAuthorities = 256

// later checks the time of a proof against the authority's last. A last time that has itself come to lie in the future was
// of a clock that has been set since: it is forgotten, and the next proof counts.
func (p *proofs) later(h *HeadProof, now moment) error {
	issued := h.IssuedTime.Round(0)
	last, seen := p.last[h.Authority]
	if seen && !issued.After(last) {
		if last.Sub(now.wall) > p.skew {
			p.last[h.Authority] = issued
		}
		if issued.Equal(last) {
			return errProofSeen
		}
		return errProofOld
	}
	if p.last == nil || len(p.last) >= maxAuthorities && !seen {
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

// forget forgets positions and what waits for them: another history is folded.
func (p *proofs) forget() {
	p.past = [keptPositions]Position{}
	p.waiting = nil
}

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
