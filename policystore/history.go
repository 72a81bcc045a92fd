package policystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/teishi-dev/teishi/policy"
)

// keptPast bounds the former states that a History keeps. One that was restored from a checkpoint shares nothing with
// the others, so this bounds memory to as many times that of the policy itself.
const keptPast = 4

// readBatch is how many entries are read from a log at a time; the log bounds their bytes.
const readBatch = 256

// History answers from former revisions: shorter folds of the log. One is folded at a time.
type History struct {
	log    Log
	domain string
	turn   chan struct{} // holds one: who may touch past
	past   []fold        // the last used last
}

// NewHistory returns the history of the log of the domain.
func NewHistory(log Log, domain string) *History {
	return &History{log: log, domain: domain, turn: make(chan struct{}, 1)}
}

// At returns what was in force at the revision, from the nearest state before it that is kept or stored. Its freshness is
// that of the past: none. ErrNotFound says that the record does not reach there.
func (h *History) At(ctx context.Context, at policy.Revision) (View, error) {
	if at < 1 {
		return View{}, fmt.Errorf("revision %d: %w", at, ErrNotFound)
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return View{}, ctx.Err()
	}
	f, err := h.fold(ctx, at)
	if f.position.Revision > 0 {
		h.keep(f) // even if it did not get there: who asks again gets further
	}
	if err != nil {
		return View{}, fmt.Errorf("fold to revision %d: %w", at, err)
	}
	return View{Snapshot: f.snapshot, Position: f.position, Time: f.time, Freshness: Freshness{Age: Never}}, nil
}

// AtTime returns what was in force after the last entry at or before the instant. ErrNotFound says that there was none.
func (h *History) AtTime(ctx context.Context, at policy.Instant) (View, error) {
	head, err := h.log.Head(ctx)
	if err != nil {
		return View{}, fmt.Errorf("read the head: %w", err)
	}
	var failed error
	after := sort.Search(int(head.Revision), func(i int) bool {
		entries, err := h.log.Read(ctx, policy.Revision(i+1), 1)
		if err == nil && len(entries) == 0 {
			err = fmt.Errorf("entry %d: %w", i+1, ErrNotFound)
		}
		if err != nil {
			failed = errors.Join(failed, err)
			return true
		}
		return entries[0].Time > at
	})
	switch {
	case failed != nil:
		return View{}, fmt.Errorf("look for %s: %w", at, failed)
	case after == 0:
		return View{}, fmt.Errorf("no entry at or before %s: %w", at, ErrNotFound)
	}
	return h.At(ctx, policy.Revision(after))
}

// fold goes from the nearest state there is to the revision.
func (h *History) fold(ctx context.Context, at policy.Revision) (fold, error) {
	f, err := h.nearest(ctx, at)
	for err == nil && f.position.Revision < at {
		f, err = h.step(ctx, f, at)
	}
	return f, err
}

// step folds one batch of entries in.
func (h *History) step(ctx context.Context, f fold, at policy.Revision) (fold, error) {
	n := min(at-f.position.Revision, readBatch)
	entries, err := h.log.Read(ctx, f.position.Revision+1, int(n))
	if err == nil && len(entries) == 0 {
		err = fmt.Errorf("entry %d: %w", f.position.Revision+1, ErrNotFound)
	}
	if err != nil {
		return f, err
	}
	for i := range entries {
		if f, err = f.next(&entries[i]); err != nil {
			return f, err
		}
	}
	return f, ctx.Err()
}

// nearest returns the latest state at or before the revision: kept, else from a checkpoint, else the one before birth.
func (h *History) nearest(ctx context.Context, at policy.Revision) (fold, error) {
	kept := born(h.domain)
	for _, f := range h.past {
		if f.position.Revision <= at && f.position.Revision > kept.position.Revision {
			kept = f
		}
	}
	if kept.position.Revision == at {
		return kept, nil
	}
	f, _, err := restoreNewest(ctx, h.log, h.domain, nil, kept.position, at)
	if err != nil || f.position.Revision == 0 {
		return kept, err // of a checkpoint that is refused the entries say the same
	}
	if err := h.placed(ctx, f.position); err != nil {
		return kept, err
	}
	return f, nil
}

// placed reports as an error that the record has another entry at the place of a checkpoint.
func (h *History) placed(ctx context.Context, p Position) error {
	there, err := holds(ctx, h.log, p)
	if err == nil && !there {
		err = fmt.Errorf("the checkpoint at %s is not of this record: %w", p, ErrBroken)
	}
	return err
}

// keep keeps a state, and no longer the one that was used least lately.
func (h *History) keep(f fold) {
	h.past = slices.DeleteFunc(h.past, func(o fold) bool { return o.position == f.position })
	h.past = append(h.past, f)
	if len(h.past) > keptPast {
		h.past = slices.Delete(h.past, 0, 1)
	}
}
