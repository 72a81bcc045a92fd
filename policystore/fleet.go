package policystore

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
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
	Foreign   bool          // the record does not have its position: only Wait looks
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

// Fleet is the fleet as an authority knows it: it takes reports, and says who has arrived where. It is a Reporter, for the
// authority's own replica.
type Fleet struct {
	roll      Roll
	authority *Authority
	flushing  sync.Mutex // held while reports are written to the roll

	mu      sync.Mutex
	pending map[string]Member // reported and not yet on the roll
	wake    chan struct{}     // holds one: there is something pending
	flushed chan struct{}     // closed when the roll was written
}

// NewFleet returns the fleet of the roll.
func NewFleet(roll Roll, a *Authority) *Fleet {
	return &Fleet{
		roll:      roll,
		authority: a,
		pending:   make(map[string]Member),
		wake:      make(chan struct{}, 1),
		flushed:   make(chan struct{}),
	}
}

// enrolWithin bounds one writing of the roll.
const enrolWithin = 5 * time.Second

// Run writes reports to the roll as they come, those that came while others were written together, until ctx ends; then it
// returns nil.
func (f *Fleet) Run(ctx context.Context) error {
	for failed := false; ; {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil
		}
		if err := f.flush(ctx); err != nil && ctx.Err() == nil {
			if !failed {
				f.authority.logger.Warn("reports of replicas are not kept", slog.Any("error", err))
			}
			failed = true
			pause(ctx, minRetry)
			continue
		}
		failed = false
	}
}

func (f *Fleet) flush(ctx context.Context) error {
	f.flushing.Lock()
	defer f.flushing.Unlock()
	f.mu.Lock()
	members := slices.Collect(maps.Values(f.pending))
	clear(f.pending)
	f.mu.Unlock()
	if len(members) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, enrolWithin)
	defer cancel()
	err := f.roll.Enrol(ctx, members)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		for _, m := range members {
			if _, newer := f.pending[m.ID]; !newer {
				f.pending[m.ID] = m
			}
		}
		f.notify()
		return err
	}
	close(f.flushed)
	f.flushed = make(chan struct{})
	return nil
}

func (f *Fleet) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Report takes a report of the authority's own replica, which reads the head itself.
func (f *Fleet) Report(_ context.Context, m Member) (*HeadProof, error) {
	f.Take(m)
	return nil, nil
}

// Take takes a report, and answers with the newest proof of the head; nil while nothing is proven.
func (f *Fleet) Take(m Member) *HeadProof {
	if f.authority.replica.contradicts(m.Position, m.StateHash) {
		f.authority.metrics.stateMismatches.Inc()
		f.authority.logger.Error("a replica has another state at the same position", slog.String("id", m.ID), slog.String("position", m.Position.String()))
	}
	m.Authority = f.authority.name
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending[m.ID] = m
	f.notify()
	h, _ := f.authority.Proof()
	if h == nil {
		return nil
	}
	copied := *h
	return &copied
}

// Goodbye takes a member off that ends.
func (f *Fleet) Goodbye(ctx context.Context, id string) error {
	if err := f.Forget(ctx, id); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// Forget takes a member off; ErrNotFound if there is none.
func (f *Fleet) Forget(ctx context.Context, id string) error {
	f.flushing.Lock()
	defer f.flushing.Unlock()
	f.mu.Lock()
	delete(f.pending, id)
	f.mu.Unlock()
	return f.roll.Forget(ctx, id)
}

// Members returns the members as the roll has them, ordered by id.
func (f *Fleet) Members(ctx context.Context) ([]Member, error) { return f.roll.Members(ctx) }

const (
	// SilentAfter is after what time without a report a member is silent.
	SilentAfter = 5 * time.Second
	// rollEvery is how often the roll is read for what other authorities have written there.
	rollEvery = 50 * time.Millisecond
)

// Arrived reports whether the member has applied the position of the record, or a later one. As many entries of another history
// are no arrival.
func (m *Member) Arrived(p Position) bool {
	if m.Foreign {
		return false
	}
	return m.Position.Epoch > p.Epoch || m.Position.Epoch == p.Epoch && m.Position.Revision >= p.Revision
}

// Wait waits until every member has arrived at the position, or until ctx ends, and returns all members as they were then.
// *EpochError: the record was rewound meanwhile, and may no longer have the position.
func (f *Fleet) Wait(ctx context.Context, p Position) (members []Member, all bool, err error) {
	held := make(map[Position]bool)
	for {
		f.mu.Lock()
		flushed := f.flushed
		f.mu.Unlock()
		read, err := f.roll.Members(ctx)
		if err == nil {
			err = f.compare(ctx, read, p, held)
		}
		switch {
		case err != nil && members != nil && ctx.Err() != nil:
			return members, false, nil // as they were a moment ago
		case err != nil:
			return nil, false, err
		}
		members = read
		if !slices.ContainsFunc(members, func(m Member) bool { return !m.Arrived(p) }) {
			return members, true, nil
		}
		timer := time.NewTimer(rollEvery)
		select {
		case <-flushed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return members, false, nil
		}
		timer.Stop()
	}
}

// compare holds where members are against the record, reading an entry for each place that may be an arrival and is not in held.
func (f *Fleet) compare(ctx context.Context, members []Member, p Position, held map[Position]bool) error {
	for i := range members {
		m := &members[i]
		if !m.Arrived(p) {
			continue
		}
		if m.Position.Epoch > p.Epoch {
			return &EpochError{Wanted: p.Epoch, Epoch: m.Position.Epoch}
		}
		if !held[m.Position] {
			there, err := holds(ctx, f.authority.log, m.Position)
			if err != nil {
				return err
			}
			held[m.Position] = there
		}
		m.Foreign = !held[m.Position]
	}
	return nil
}
