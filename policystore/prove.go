package policystore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// proving is the last proof of the head that an authority took.
type proving struct {
	mu    sync.Mutex
	last  *HeadProof    // nil while the record is in doubt
	newer chan struct{} // closed when there is another
}

// Prove takes a proof of the head every second, from one read of the record, until ctx ends. While the record is in doubt it
// takes none.
func (a *Authority) Prove(ctx context.Context) {
	ticker := time.NewTicker(ProveEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		a.proving.set(a.prove(ctx))
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// prove returns a proof of the head; nil if it cannot be read, or is not to be believed.
func (a *Authority) prove(ctx context.Context) *HeadProof {
	ctx, cancel := context.WithTimeout(ctx, maxSilence)
	defer cancel()
	received, issued := time.Now(), wall()
	head, err := a.head(ctx)
	if err == nil {
		err = a.Doubted()
	}
	if err != nil {
		a.logger.Debug("the head is not proven", slog.Any("error", err))
		return nil
	}
	h := &HeadProof{Domain: a.domain, Position: head, Authority: a.name, IssuedTime: issued.Truncate(time.Microsecond), Received: received}
	a.signer.SignHead(h)
	return h
}

// head reads the head of the record. One before what was applied from it says that the record was rewound.
func (a *Authority) head(ctx context.Context) (Position, error) {
	applied := a.replica.state.Load().position // first, for the record only grows
	head, err := a.log.Head(ctx)
	if err != nil {
		return head, fmt.Errorf("read the head: %w", err)
	}
	behind := head.Epoch <= applied.Epoch && (head.Revision < applied.Revision || head.Revision == applied.Revision && head != applied)
	if behind && !failpoint.Without("rewound") {
		return head, fmt.Errorf("%w: its head is at %s, and %s was read from it", ErrRewound, head, applied)
	}
	return head, nil
}

func (p *proving) set(h *HeadProof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h == nil && p.last == nil {
		return
	}
	p.last = h
	close(p.newer)
	p.newer = make(chan struct{})
}

// Proof returns the newest proof of the head, nil while there is none, and a channel that is closed when there is another.
func (a *Authority) Proof() (*HeadProof, <-chan struct{}) {
	a.proving.mu.Lock()
	defer a.proving.mu.Unlock()
	return a.proving.last, a.proving.newer
}

// doubts are what keeps an authority from writing and proving, by who says so.
type doubts struct {
	mu sync.Mutex
	by map[string]error
}

// Doubt says why the record is not to be believed, or with nil that it is again. While anybody doubts it, nothing is written
// and nothing proven. By is of a closed set.
func (a *Authority) Doubt(by string, err error) {
	a.doubts.mu.Lock()
	defer a.doubts.mu.Unlock()
	before := a.doubts.by[by]
	switch {
	case err == nil && before != nil:
		a.logger.Info("the record is no longer in doubt", slog.String("by", by))
		delete(a.doubts.by, by)
		a.metrics.doubts.WithLabelValues(by).Set(0)
	case err != nil:
		if before == nil || before.Error() != err.Error() {
			level := slog.LevelError
			if errors.Is(err, ErrNotLooked) {
				level = slog.LevelInfo
			}
			a.logger.Log(context.Background(), level, "the record is in doubt: nothing is written and nothing proven", slog.String("by", by), slog.Any("error", err))
		}
		if a.doubts.by == nil {
			a.doubts.by = make(map[string]error)
		}
		a.doubts.by[by] = err
		a.metrics.doubts.WithLabelValues(by).Set(1)
	}
}

// Doubted returns why nothing is written and nothing proven; nil if the record is not in doubt.
func (a *Authority) Doubted() error {
	if err := a.replica.Err(); err != nil {
		if errors.Is(err, ErrDiverged) {
			return fmt.Errorf("%w: %w", ErrRewound, err)
		}
		return err
	}
	return a.doubts.err()
}

// err returns one of the doubts, the gravest; nil if there is none.
func (d *doubts) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var doubt error
	for _, by := range slices.Sorted(maps.Keys(d.by)) {
		if err := d.by[by]; doubt == nil || errors.Is(err, ErrRewound) {
			doubt = err
		}
	}
	if doubt == nil || errors.Is(doubt, ErrRewound) {
		return doubt
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, doubt)
}

// Checkpoint returns the newest checkpoint that the record has, or ErrNotFound.
func (a *Authority) Checkpoint(ctx context.Context) (Checkpoint, error) { return a.log.Checkpoint(ctx) }

// Tail yields the entries after p that are applied here, and this authority's proofs of the head between them, as a Source
// does. However many follow, an entry is read from the record once, unless they are far behind.
func (a *Authority) Tail(ctx context.Context, p Position) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := feed{authority: a, at: p, yield: yield}
		if err := f.run(ctx); err != nil && ctx.Err() == nil {
			yield(Event{}, err)
		}
	}
}

// feed is a cursor over what an authority has applied.
type feed struct {
	authority *Authority
	at        Position
	sent      *HeadProof
	yield     func(Event, error) bool
	ended     bool
}

func (f *feed) run(ctx context.Context) error {
	if err := f.placed(ctx); err != nil {
		return err
	}
	for !f.ended && ctx.Err() == nil {
		proof, newer := f.authority.Proof()
		changed := f.authority.replica.Changed()
		if proof != nil && proof != f.sent {
			f.sent = proof
			copied := *proof
			if f.ended = !f.yield(Event{Head: &copied}, nil); f.ended {
				return nil
			}
		}
		more, err := f.entries(ctx)
		if err != nil || f.ended {
			return err
		}
		if more {
			continue
		}
		select {
		case <-newer:
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// placed reports as an error that what is applied does not have the position the feed begins at.
func (f *feed) placed(ctx context.Context) error {
	applied := f.authority.replica.state.Load().position
	if f.at.Revision == 0 || f.at == applied || failpoint.Without("placed") {
		return nil
	}
	if _, known := f.authority.replica.recent.after(f.at, 0); known {
		return nil
	}
	if f.at.Epoch == applied.Epoch && f.at.Revision > applied.Revision {
		return &TroubleError{Behind, fmt.Errorf("the authority has applied %s and not yet %s", applied, f.at)}
	}
	there, err := holds(ctx, f.authority.log, f.at)
	switch {
	case err != nil:
		return err
	case there:
		return nil
	case applied.Epoch > f.at.Epoch:
		return fmt.Errorf("the record is at %s and no longer has %s: %w", applied, f.at, ErrEpoch)
	}
	return fmt.Errorf("the record is at %s and does not have %s: %w", applied, f.at, ErrDiverged)
}

// entries yields a batch of what is applied, and reports whether there was any.
func (f *feed) entries(ctx context.Context) (more bool, err error) {
	batch, known := f.authority.replica.recent.after(f.at, tailBatch)
	if !known {
		if batch, err = f.read(ctx); err != nil {
			return false, err
		}
	}
	for _, e := range batch {
		if e.PreviousHash != f.at.Hash && !failpoint.Without("placed") {
			return false, fmt.Errorf("what follows %s is of another history: %w", f.at, ErrEpoch)
		}
		f.at = e.Position()
		if f.ended = !f.yield(Event{Entry: e}, nil); f.ended {
			return false, nil
		}
	}
	return len(batch) > 0, nil
}

// read reads from the record what is no longer at hand, and nothing that is not applied.
func (f *feed) read(ctx context.Context) ([]*Entry, error) {
	applied := f.authority.replica.state.Load().position.Revision
	entries, err := f.authority.log.Read(ctx, f.at.Revision+1, int(min(max(applied-f.at.Revision, 0), tailBatch)))
	if err != nil {
		return nil, fmt.Errorf("read from entry %d: %w", f.at.Revision+1, err)
	}
	batch := make([]*Entry, len(entries))
	for i := range entries {
		batch[i] = &entries[i]
	}
	return batch, nil
}
