package postgres

import (
	"context"
	"iter"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Tail yields the entries after p as they are appended, by whomever, and head proofs, as policystore.Follow does.
func (l *Log) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		defer l.watch()()
		policystore.Follow(ctx, followed{l}, l.domain, l.authority, p)(yield)
	}
}

// followed is the log as the connections for those who follow read it.
type followed struct{ *Log }

func (f followed) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	return f.read(ctx, f.following, from, n)
}

// Changed returns a channel that is closed when there may be more to read.
func (l *Log) Changed() <-chan struct{} { return *l.changed.Load() }

// Closed returns a channel that is closed when the log is.
func (l *Log) Closed() <-chan struct{} { return l.closed }

// Wake has those who follow look at once.
func (l *Log) Wake() {
	changed := make(chan struct{})
	close(*l.changed.Swap(&changed))
}

// watch has the head polled until the caller, and whoever else follows, has left.
func (l *Log) watch() (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.followers++; l.followers == 1 {
		l.startPolling()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.followers--; l.followers == 0 && l.stopPolling != nil {
			l.stopPolling()
			l.stopPolling = nil
		}
	}
}

// startPolling starts the one goroutine that polls, unless the log is closed. It is called with mu held.
func (l *Log) startPolling() {
	select {
	case <-l.closed:
		return
	default:
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stopPolling = stop
	l.polling.Go(func() { l.poll(ctx) })
}

// poll reads the head again and again until ctx ends, and wakes those who follow when it is another. Where it cannot be read
// they learn it themselves, from their proofs, and it is read less often.
func (l *Log) poll(ctx context.Context) {
	var last policystore.Position
	wait := time.NewTimer(l.every)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		next := l.every
		switch head, err := l.Head(ctx); {
		case err != nil:
			next = max(next, policystore.ProveEvery)
		case head != last:
			last = head
			l.Wake()
		}
		wait.Reset(next)
	}
}
