package policystore

import (
	"context"
	"slices"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

const (
	assistAfter  = 100 * time.Millisecond // of waiting for a revision that is demanded
	assistWithin = 2 * time.Second
	absentFor    = time.Second
)

// absence says that no origin had heard of a revision beyond a head.
type absence struct {
	head  Position
	until time.Time
}

// assist asks the origins after the one that is followed for a revision that is demanded. Who already does it for another
// does it for all.
func (r *Replica) assist(ctx context.Context, d Demand) {
	if !r.assisting.TryLock() {
		return
	}
	defer r.assisting.Unlock()
	if d.MinRevision > r.absent.head.Revision && time.Now().Before(r.absent.until) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, assistWithin)
	defer cancel()
	used := r.inUse()
	for step := range len(r.origins) - 1 {
		o := &r.origins[(used+1+step)%len(r.origins)]
		head, reached := r.fetch(ctx, o, d)
		if reached || ctx.Err() != nil {
			return
		}
		r.absent = absence{head: head, until: time.Now().Add(absentFor)}
	}
}

// inUse returns which origin is followed, or was last.
func (r *Replica) inUse() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, slices.IndexFunc(r.origins, func(o Origin) bool { return r.followed.origin != nil && o.Name == r.followed.origin.Name }))
}

// fetch applies what an origin yields until what is demanded is reached or the head that it proves is.
func (r *Replica) fetch(ctx context.Context, o *Origin, d Demand) (head Position, reached bool) {
	at := r.position()
	if at != r.state.Load().position {
		return at, false // another epoch is being folded
	}
	for event, err := range o.Source.Tail(ctx, at) {
		switch {
		case err != nil:
			return head, false
		case event.Entry != nil:
			failpoint.Hit(ctx, "apply")
			if r.apply(o, event.Entry) != nil {
				return head, false
			}
		case event.Head != nil:
			r.prove(o, event.Head)
			head = event.Head.Position
		}
		s := r.state.Load()
		if s.reaches(d) || head.Revision > 0 && head == s.position {
			return head, s.reaches(d)
		}
	}
	return head, false
}

// wake has the origin that is followed look at once, if it is one that looks now and then.
func (r *Replica) wake() {
	for _, o := range r.origins {
		if w, ok := o.Source.(Waker); ok {
			w.Wake()
		}
	}
}
