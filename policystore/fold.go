package policystore

import (
	"fmt"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// fold is the state after the entry at its position: what a replica serves, what history answers from, and what
// verification compares are folded by this code and no other. It is a value: a step yields another one.
type fold struct {
	domain   string
	snapshot *policy.Snapshot
	position Position
	time     policy.Instant // of the entry at the position
	hash     Hash           // of the state, if it was restored from a checkpoint; else zero
	previous Position       // what the entry at the position follows; zero if it was restored
	changes  []policy.Change
}

// born returns the fold before the first entry.
func born(domain string) fold {
	return fold{domain: domain, snapshot: policy.New()}
}

// next verifies that the entry follows and applies it.
func (f fold) next(e *Entry) (fold, error) {
	next, err := f.link(e)
	if err != nil {
		return f, err
	}
	if next.snapshot, err = f.snapshot.Apply(e.Revision, next.changes); err != nil {
		return f, fmt.Errorf("apply entry %d: %w", e.Revision, err)
	}
	return next, nil
}

// link verifies that the entry follows and can be read, and returns where it leads, without a state.
func (f fold) link(e *Entry) (fold, error) {
	if err := e.Follows(f.position, f.time, f.domain); err != nil && !failpoint.Without("chain") {
		return f, err
	}
	changes, err := e.Changes()
	if err != nil {
		return f, err
	}
	return fold{domain: f.domain, position: e.Position(), time: e.Time, previous: f.position, changes: changes}, nil
}
