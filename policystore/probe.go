package policystore

import (
	"context"
	"math/rand/v2"
	"time"
)

// A preferred origin is probed after a while, and less often while it fails.
const (
	minProbe    = time.Second
	maxProbe    = 30 * time.Second
	probeWithin = 5 * time.Second
)

// probe tries the origins that are preferred to the one that is followed, now and then, and leaves that one for the first
// that proves a head at or after what is applied and delivers the entries up to it.
func (r *Replica) probe(ctx context.Context, followed int, leave context.CancelCauseFunc) {
	for between := 2 * minProbe; followed > 0; between = min(2*between, maxProbe) {
		pause(ctx, minProbe+rand.N(between))
		if ctx.Err() != nil {
			return
		}
		for i := range followed {
			if r.delivers(ctx, &r.origins[i]) {
				leave(&preferredError{i})
				return
			}
		}
	}
}

// delivers reports whether an origin yields, from what is applied on, entries that follow each other up to a head that it
// proves.
func (r *Replica) delivers(ctx context.Context, o *Origin) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	at := r.position()
	if at.Revision == 0 {
		_, err := o.Source.Checkpoint(ctx)
		return err == nil
	}
	for event, err := range o.Source.Tail(ctx, at) {
		switch {
		case err != nil:
			return false
		case event.Entry != nil:
			e := event.Entry
			if e.PreviousHash != at.Hash || r.trust.VerifyEntry(r.domain, e) != nil || e.Hash != e.Sum(r.domain) {
				return false
			}
			at = e.Position()
		case r.proves(o, event.Head, at):
			return true
		}
	}
	return false
}

// proves reports whether a proof is one of what an origin has delivered, and no less than what is applied.
func (r *Replica) proves(o *Origin, h *HeadProof, at Position) bool {
	if r.signedHead(o, h) != nil {
		return false
	}
	now := reading()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proofs.plausible(h, r.domain, now) == nil && h.Position == at && later(r.current.position, at) == at
}
