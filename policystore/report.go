package policystore

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// A Reporter takes what a replica says of itself, and answers with a proof of the head if it has one.
type Reporter interface {
	Report(ctx context.Context, m Member) (*HeadProof, error)
	// Goodbye takes the replica off the roll.
	Goodbye(ctx context.Context, id string) error
}

const (
	reportEvery  = time.Second
	reportApart  = 50 * time.Millisecond // at least, whatever is applied
	reportWithin = 2 * time.Second
)

// Report has the replica report itself, by its id and the version of its program, once a second and whenever something is
// applied, to the first of the reporters that takes it, until ctx ends; then it says goodbye, and Report returns nil.
func (r *Replica) Report(ctx context.Context, id, version string, to ...Reporter) error {
	if len(to) == 0 {
		return nil
	}
	l := reporting{replica: r, member: Member{ID: id, Version: version}, to: to}
	for ctx.Err() == nil {
		changed := r.Changed()
		l.report(ctx)
		pause(ctx, reportApart)
		timer := time.NewTimer(reportEvery - reportApart)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	l.goodbye(context.WithoutCancel(ctx))
	return nil
}

// reporting is how a replica reports.
type reporting struct {
	replica *Replica
	member  Member
	to      []Reporter
	current int  // to whom it reports
	failed  bool // nobody took the last one
}

func (l *reporting) report(ctx context.Context) {
	s := l.replica.state.Load()
	m := l.member
	if s.snapshot != nil {
		m.Position, m.StateHash = s.position, l.replica.stateHash(s)
	}
	m.Freshness = s.view(reading(), l.replica.spent).Freshness
	var err error
	for range l.to {
		if err = l.reportTo(ctx, m); err == nil || ctx.Err() != nil {
			l.failed = false
			return
		}
		l.current = (l.current + 1) % len(l.to)
	}
	if !l.failed {
		l.failed = true
		l.replica.logger.Warn("nobody takes reports: what is applied here cannot be proven", slog.Any("error", err))
	}
}

func (l *reporting) reportTo(ctx context.Context, m Member) error {
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	defer cancel()
	sent := time.Now()
	h, err := l.to[l.current].Report(ctx, m)
	if err != nil {
		return err
	}
	if h != nil {
		h.Received = sent
		l.replica.prove(nil, h)
	}
	return nil
}

func (l *reporting) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	defer cancel()
	if err := l.to[l.current].Goodbye(ctx, l.member.ID); err != nil {
		l.replica.logger.Warn("goodbye was not heard: it stays a member until it is forgotten", slog.Any("error", err))
	}
}

// hashed is a state hash that was computed.
type hashed struct {
	last atomic.Pointer[hashedState]
}

type hashedState struct {
	position Position
	hash     Hash
	next     time.Time // before which no other is computed
}

// hashShare is how much longer a state hash is not computed again than it took: it costs a hundredth of a processor at most.
const hashShare = 100

// stateHash returns the state hash of what is served, and zero where to compute it again would cost too much yet.
func (r *Replica) stateHash(s *state) Hash {
	before, began := r.hashed.last.Load(), time.Now()
	if before != nil && before.position == s.position {
		return before.hash
	}
	if s.hash != (Hash{}) { // a start does not compute again what it has just verified
		r.hashed.last.Store(&hashedState{position: s.position, hash: s.hash})
		return s.hash
	}
	if before != nil && began.Before(before.next) {
		return Hash{}
	}
	hash, err := StateHash(r.domain, s.view(reading(), r.spent))
	if err != nil {
		r.logger.Error("the state hash was not computed", slog.Any("error", err))
		return Hash{}
	}
	now := time.Now()
	r.hashed.last.Store(&hashedState{position: s.position, hash: hash, next: now.Add(hashShare * now.Sub(began))})
	return hash
}

// contradicts reports whether the replica's own state hash at a position is known, and another.
func (r *Replica) contradicts(at Position, hash Hash) bool {
	own := r.hashed.last.Load()
	return own != nil && own.position == at && hash != (Hash{}) && own.hash != hash
}
