package policystore

import (
	"context"
	"iter"

	"github.com/teishi-dev/teishi/policy"
)

// Applied is policy that a replica has served.
type Applied struct {
	*policy.Snapshot
	Position Position
	Time     policy.Instant // of the entry at the position
	// Previous is what that entry follows, and Changes what it changed; zero where a checkpoint was restored instead.
	Previous Position
	Changes  []policy.Change
}

// Applied yields the policy that is served and then whatever is served after it, in order and none left out, until ctx ends. Who
// takes long keeps what he has not taken in memory.
func (r *Replica) Applied(ctx context.Context) iter.Seq[Applied] {
	return func(yield func(Applied) bool) {
		var last Position
		for s := r.state.Load(); ; s = s.sequel.next {
			if s.snapshot != nil && s.position != last {
				last = s.position
				if !yield(Applied{s.snapshot, s.position, s.time, s.previous, s.changes}) {
					return
				}
			}
			select {
			case <-s.sequel.there:
			case <-ctx.Done():
				return
			}
		}
	}
}
