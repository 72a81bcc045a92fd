package policystore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// Record is what can be verified: a Log, or an Export of one. Of a Log the checkpoints and the request ids are verified too.
type Record interface {
	// Read is as that of a Log. It is asked for one batch after the other.
	Read(ctx context.Context, from policy.Revision, n int) ([]Entry, error)
}

// Evidence is what a record is held against: what is known of it from elsewhere. The zero value is nothing.
type Evidence struct {
	Trust *TrustedKeys    // whose signatures are asked for, of every entry from the first revision that any key is trusted for
	Head  *Head           // that the record once had; nil if none was kept
	From  policy.Revision // the first entry of an Export; 0 is 1. What begins later is chained and not folded
}

// Verification is what reading a whole record found.
type Verification struct {
	Head        Position        // of the last entry that verifies
	Entries     int64           // how many verify
	BadRevision policy.Revision // of the first entry that does not; 0 if all do
	Problem     string          // with that entry or, if all verify, with a checkpoint or the head that was kept; empty if there is none
}

// Verify reads the record from birth and checks every link, hash, time and format, that every entry is found by its
// request id, that the entries fold, that the stored checkpoints say what the fold says, and that nothing contradicts the
// evidence. It stops at the first entry that does not verify, or that a checkpoint or the head contradicts; a checkpoint that is
// damaged in itself is a problem and no more, and so is a record that was rewound from the head. Without a head, a record cut
// short verifies. The record may be written meanwhile. Progress, which may be nil, is called now and then with the revision
// reached. An error says that the record could not be read.
func Verify(ctx context.Context, record Record, domain string, against Evidence, progress func(policy.Revision)) (Verification, error) {
	v := verifier{record: record, against: against, first: max(against.From, 1), fold: born(domain)}
	v.log, _ = record.(Log)
	if err := v.prepare(ctx); err != nil {
		return v.result(), err
	}
	for {
		entries, err := record.Read(ctx, v.next(), readBatch)
		if errors.Is(err, ErrBroken) {
			return v.bad(&finding{err.Error()})
		}
		if err != nil {
			return v.result(), fmt.Errorf("read from entry %d: %w", v.next(), err)
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
	record  Record
	log     Log // the record, if it is one; else nil
	against Evidence
	first   policy.Revision
	fold    fold
	stored  []policy.Revision // of the checkpoints that are yet to come, the next last
	noted   string            // what is wrong with the first checkpoint that is damaged
	rewind  *Entry            // the first that gives up what followed it in the epoch of the head that was kept
	met     bool              // the head that was kept was compared
	givenUp string            // how the record was rewound from that head
}

// A finding is a problem of the record, rather than of reading it.
type finding struct{ problem string }

func (f *finding) Error() string { return f.problem }

// prepare refuses evidence that says nothing, and lists the checkpoints.
func (v *verifier) prepare(ctx context.Context) error {
	if h := v.against.Head; h != nil && h.Position.Revision < v.first-1 {
		return fmt.Errorf("the head that was kept is of revision %d, and says nothing of entries from %d on: keep one, or begin with one, at %d or later",
			h.Position.Revision, v.first, v.first-1)
	}
	if v.log == nil {
		return nil
	}
	return v.checkpoints(ctx)
}

// next is the revision of the entry that is to come.
func (v *verifier) next() policy.Revision { return max(v.fold.position.Revision+1, v.first) }

func (v *verifier) entry(ctx context.Context, e *Entry) error {
	next, err := v.follow(e)
	if err != nil {
		return err
	}
	if err := v.against.Trust.verifyRecorded(v.fold.domain, e); err != nil && !failpoint.Without("signatures") {
		return &finding{err.Error()}
	}
	if v.log != nil {
		if err := v.beside(ctx, e, next); err != nil {
			return err
		}
	}
	if err := v.compareHead(e, next.position); err != nil {
		return err
	}
	v.fold = next
	return nil
}

// follow takes the entry after those before it.
func (v *verifier) follow(e *Entry) (next fold, err error) {
	switch {
	case v.first == 1:
		next, err = v.fold.next(e)
	case v.fold.position.Revision == 0:
		next, err = v.begin(e)
	default:
		next, err = v.fold.link(e)
	}
	if err != nil {
		return next, &finding{err.Error()}
	}
	return next, nil
}

// begin takes the first entry of what begins later than the record: what it says that it follows is believed, and compared with
// the head that was kept.
func (v *verifier) begin(e *Entry) (fold, error) {
	before := Position{e.Epoch, v.first - 1, e.PreviousHash}
	if e.Method == rewindMethod {
		before.Epoch--
	}
	if err := v.compareHead(nil, before); err != nil {
		return fold{}, err
	}
	return fold{domain: v.fold.domain, position: before, time: e.Time}.link(e)
}

// beside verifies what a log has beside the entry.
func (v *verifier) beside(ctx context.Context, e *Entry, next fold) error {
	found, err := v.log.Request(ctx, e.Principal, e.RequestID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("look up request %s: %w", e.RequestID, err)
	}
	if found.Position() != e.Position() {
		return &finding{fmt.Sprintf("entry %d is not what its request id %s finds", e.Revision, e.RequestID)}
	}
	return v.checkpoint(ctx, next)
}

// compareHead compares a place in the record, that of the entry if there is one, with the head that was kept.
func (v *verifier) compareHead(e *Entry, at Position) error {
	h := v.against.Head
	if h == nil || at.Revision > h.Position.Revision || failpoint.Without("head") {
		return nil
	}
	if v.rewind == nil && e != nil && e.Method == rewindMethod && e.Epoch > h.Position.Epoch {
		v.rewind = e
	}
	if at.Revision < h.Position.Revision {
		return nil
	}
	v.met = true
	switch {
	case at.Hash == h.Position.Hash:
		return nil
	case v.rewind != nil:
		v.givenUp = h.givenUp(v.rewind)
		return nil
	}
	return &finding{fmt.Sprintf("it has hash %s, and the head of %s that was kept has %s: it, or one before it, was rewritten",
		at.Hash, h.Time.Format(time.RFC3339), h.Position.Hash)}
}

// givenUp says how what led to the head was given up.
func (h *Head) givenUp(rewind *Entry) string {
	return fmt.Sprintf("the record was rewound from the head of %s that was kept, revision %d of epoch %d: at %s, %s began epoch %d by entry %d in place of what followed revision %d (%q)",
		h.Time.Format(time.RFC3339), h.Position.Revision, h.Position.Epoch, rewind.Time, rewind.Principal, rewind.Epoch, rewind.Revision, rewind.Revision-1, rewind.Reason)
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
	if err := v.reached(); err != nil {
		return v.bad(err)
	}
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

// reached reports as an error that the record ends before the head that was kept.
func (v *verifier) reached() error {
	h := v.against.Head
	switch {
	case h == nil || v.met || h.Position.Revision < v.next() || failpoint.Without("head"):
		return nil
	case v.rewind != nil:
		v.givenUp = h.givenUp(v.rewind)
		return nil
	}
	return &finding{fmt.Sprintf("the record ends before it, and the head of %s that was kept is of revision %d: it was cut short",
		h.Time.Format(time.RFC3339), h.Position.Revision)}
}

func (v *verifier) result() Verification {
	return Verification{Head: v.fold.position, Entries: int64(v.next() - v.first), Problem: cmp.Or(v.givenUp, v.noted)}
}

func (v *verifier) bad(err error) (Verification, error) {
	result := v.result()
	found, ok := errors.AsType[*finding](err)
	if !ok {
		return result, err
	}
	result.BadRevision = v.next()
	result.Problem = found.problem
	return result, nil
}
