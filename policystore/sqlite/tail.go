package sqlite

import (
	"context"
	"iter"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Tail yields the entries after p as they are appended, and head proofs, as policystore.Follow does.
func (l *Log) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return policystore.Follow(ctx, followed{l}, l.domain, l.authority, p)
}

// followed is the log as its own connection reads it.
type followed struct{ *Log }

func (f followed) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	return f.read(ctx, f.follows.entries, from, n)
}

func (f followed) Changed() <-chan struct{} { return *f.changed.Load() }
func (f followed) Closed() <-chan struct{}  { return f.closed }

// Wake has those who follow look at once.
func (l *Log) Wake() {
	changed := make(chan struct{})
	close(*l.changed.Swap(&changed))
}
