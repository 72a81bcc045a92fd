package policystore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/teishi-dev/teishi/policy"
)

// Verification is what reading a whole record found.
type Verification struct {
	Head        Position        // of the last entry that verifies
	Entries     int64           // how many verify
	BadRevision policy.Revision // of the first entry that does not; 0 if all do
	Problem     string          // with that entry or, if all verify, with a checkpoint; empty if there is none
}

// Verify reads the record from birth and checks every link, hash, time and format, that every entry is found by its
// request id, that the entries fold, and that the stored checkpoints say what the fold says. It stops at the first entry
// that does not verify, or that a checkpoint contradicts; a checkpoint that is damaged in itself is a problem and no more.
// A record cut short verifies: compare Head with one kept elsewhere. The record may be written meanwhile. Progress, which
// may be nil, is called now and then with the revision reached. An error says that the record could not be read.
func Verify(ctx context.Context, log Log, domain string, progress func(policy.Revision)) (Verification, error) {
	v := verifier{log: log, fold: born(domain)}
	if err := v.checkpoints(ctx); err != nil {
		return v.result(), err
	}
	for {
		entries, err := log.Read(ctx, v.fold.position.Revision+1, readBatch)
		if errors.Is(err, ErrBroken) {
			return v.bad(&finding{err.Error()})
		}
		if err != nil {
			return v.result(), fmt.Errorf("read from entry %d: %w", v.fold.position.Revision+1, err)
		}
		if len(entries) == 0 {
			return v.end(ctx)
		}
		for i := range entries {
			if err := v.entry(ctx, &entries[i]); err != nil {
				return v.bad(err)
			}
		}
		if progress != nil {
			progress(v.fold.position.Revision)
		}
	}
}

type verifier struct {
	log    Log
	fold   fold
	stored []policy.Revision // of the checkpoints that are yet to come, the next last
	noted  string            // what is wrong with the first checkpoint that is damaged
}

// A finding is a problem of the record, rather than of reading it.
type finding struct{ problem string }

func (f *finding) Error() string { return f.problem }

func (v *verifier) entry(ctx context.Context, e *Entry) error {
	next, err := v.fold.next(e)
	if err != nil {
		return &finding{err.Error()}
	}
	found, err := v.log.Request(ctx, e.Principal, e.RequestID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("look up request %s: %w", e.RequestID, err)
	}
	if found.Position() != e.Position() {
		return &finding{fmt.Sprintf("entry %d is not what its request id %s finds", e.Revision, e.RequestID)}
	}
	if err := v.checkpoint(ctx, next); err != nil {
		return err
	}
	v.fold = next
	return nil
}

// checkpoints lists where the stored checkpoints are, the first last.
func (v *verifier) checkpoints(ctx context.Context) error {
	for c, err := range storedAt(ctx, v.log, math.MaxInt64) {
		switch {
		case err == nil:
			v.stored = append(v.stored, c.Position.Revision)
		case damaged(err):
			v.note(c.Position.Revision, err)
		default:
			return fmt.Errorf("read the checkpoints: %w", err)
		}
	}
	return nil
}

// checkpoint compares the fold with the checkpoint stored at its position, if there is one.
func (v *verifier) checkpoint(ctx context.Context, f fold) error {
	last := len(v.stored) - 1
	if last < 0 || v.stored[last] != f.position.Revision {
		return nil
	}
	v.stored = v.stored[:last]
	c, err := v.whole(ctx, f.position.Revision)
	if c == nil || err != nil {
		return err
	}
	return compare(c, f)
}

// whole returns the checkpoint at the revision, and none if it is damaged, which is noted, or was dropped by whoever writes
// the record.
func (v *verifier) whole(ctx context.Context, at policy.Revision) (*Checkpoint, error) {
	c, err := checkpointAt(ctx, v.log, at)
	if errors.Is(err, ErrNotFound) || err == nil && c.Position.Revision != at {
		return nil, nil
	}
	if err == nil && c.FoldVersion == FoldVersion {
		_, err = c.decode()
	}
	switch {
	case err == nil:
		return &c, nil
	case damaged(err):
		v.note(at, err)
		return nil, nil
	}
	return nil, fmt.Errorf("read the checkpoint at %d: %w", at, err)
}

func (v *verifier) note(at policy.Revision, err error) {
	if v.noted == "" {
		v.noted = fmt.Sprintf("the checkpoint at %d does not verify, and is not used: %v", at, err)
	}
}

func compare(c *Checkpoint, f fold) error {
	if c.Position != f.position {
		return &finding{fmt.Sprintf("the checkpoint at %s is of another history", c.Position)}
	}
	if c.FoldVersion != FoldVersion {
		return nil
	}
	state, err := StateHash(f.domain, View{Snapshot: f.snapshot, Position: f.position, Time: f.time})
	if err != nil {
		return err
	}
	if state != c.StateHash {
		return &finding{fmt.Sprintf("the checkpoint at %s is not what the entries fold into", c.Position)}
	}
	return nil
}

// end judges what is left when the entries are.
func (v *verifier) end(ctx context.Context) (Verification, error) {
	for _, at := range slices.Backward(v.stored) {
		c, err := v.whole(ctx, at)
		if err != nil {
			return v.result(), err
		}
		if c != nil {
			return v.bad(&finding{fmt.Sprintf("there is a checkpoint at %d, and the entries up to it are gone", at)})
		}
	}
	return v.result(), nil
}

func (v *verifier) result() Verification {
	return Verification{Head: v.fold.position, Entries: int64(v.fold.position.Revision), Problem: v.noted}
}

func (v *verifier) bad(err error) (Verification, error) {
	result := v.result()
	found, ok := errors.AsType[*finding](err)
	if !ok {
		return result, err
	}
	result.BadRevision = v.fold.position.Revision + 1
	result.Problem = found.problem
	return result, nil
}
