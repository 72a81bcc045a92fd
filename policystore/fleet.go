package policystore

import (
	"context"
	"time"
)

// Member is a replica as it last reported itself.
type Member struct {
	ID        string // its name: the same after a restart
	Position  Position
	StateHash Hash // of what is at the position; zero where it was not computed
	Freshness Freshness
	Version   string        // of its program
	Authority string        // who took the report
	Reported  time.Time     // by the clock of the store
	Silence   time.Duration // since then, by the same clock
}

// A Roll is where authorities keep what replicas report: in the store, beside the log and no part of it. Membership is
// sticky: whoever has reported is a member until it is forgotten.
type Roll interface {
	// Enrol keeps each of the members as it is told here, and when: now, by the clock of the store. Reported and Silence
	// are not looked at.
	Enrol(ctx context.Context, members []Member) error
	// Members returns all of them, ordered by id.
	Members(ctx context.Context) ([]Member, error)
	// Forget takes a member off; ErrNotFound if there is none.
	Forget(ctx context.Context, id string) error
}
