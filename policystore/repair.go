package policystore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

const (
	rewindMethod = "rewind"
	// repairIdle is for how long a source that proves nothing yields nothing more before that is all it has.
	repairIdle = 3 * time.Second
)

// Repair appends to a record the entries that it lacks and a source still has, byte for byte, and returns how many they were
// and where the record ends then. Each must follow the one before it, fold, and be signed by whoever is trusted. Authorities
// that find the record whole again write on at once, so an entry that it holds already is passed over. Progress, which may be
// nil, is called with every revision that was brought back.
func Repair(ctx context.Context, log Log, domain string, from Source, trust *TrustedKeys, progress func(policy.Revision)) (n int, head Position, err error) {
	if head, err = log.Head(ctx); err != nil {
		return 0, head, fmt.Errorf("read the head: %w", err)
	}
	f := born(domain)
	if head.Revision > 0 {
		if f, err = NewHistory(log, domain).fold(ctx, head.Revision); err != nil {
			return 0, head, fmt.Errorf("fold the record: %w", err)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	idle := time.AfterFunc(repairIdle, func() { stop(errIdle) })
	defer idle.Stop()
	var first time.Time // of the proofs: it may have been taken before the last entries were written
	answered := false
	for event, err := range from.Tail(ctx, head) {
		answered = answered || err == nil
		switch {
		case err != nil:
			return n, f.position, fmt.Errorf("read what follows %s: %w", f.position, err)
		case event.Head != nil:
			if first.IsZero() {
				first = event.Head.IssuedTime
			}
			if event.Head.Position == f.position && event.Head.IssuedTime.After(first) {
				return n, f.position, nil
			}
			continue
		}
		idle.Reset(repairIdle)
		appended, next, err := repairOne(ctx, log, f, event.Entry, trust)
		if err != nil {
			return n, f.position, err
		}
		f = next
		if !appended {
			continue
		}
		n++
		if progress != nil {
			progress(f.position.Revision)
		}
	}
	switch cause := context.Cause(ctx); {
	case !errors.Is(cause, errIdle):
		return n, f.position, cause
	case !answered:
		return n, f.position, fmt.Errorf("within %s neither an entry nor a proof came from it: whether it has what is missing is not known", repairIdle)
	}
	return n, f.position, nil
}

var errIdle = errors.New("nothing more comes")

// repairOne appends one entry, unless it is there.
func repairOne(ctx context.Context, log Log, f fold, e *Entry, trust *TrustedKeys) (appended bool, next fold, err error) {
	if err := trust.VerifyEntry(f.domain, e); err != nil {
		return false, f, err
	}
	if next, err = f.next(e); err != nil {
		return false, f, err
	}
	switch _, err := log.Append(ctx, f.position, *e); {
	case err == nil:
		return true, next, nil
	case isThere(ctx, log, e):
		return false, next, nil
	default:
		return false, f, fmt.Errorf("append entry %d: %w", e.Revision, err)
	}
}

// isThere says whether the record holds the very entry.
func isThere(ctx context.Context, log Log, e *Entry) bool {
	there, err := log.Read(ctx, e.Revision, 1)
	return err == nil && len(there) == 1 && there[0].Position() == e.Position()
}

// Rewind begins another epoch where the record ends, and so gives up, for good, whatever was acknowledged after that: it is
// said when the lost entries are nowhere to be had. The epoch is later than the record's and than above. Replicas that
// are ahead take a checkpoint, and say so loudly.
func Rewind(ctx context.Context, log Log, domain string, signer *Signer, above int64, reason string) (Entry, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return Entry{}, fmt.Errorf("read the head: %w", err)
	}
	if head.Revision == 0 {
		return Entry{}, fmt.Errorf("rewind: %w: it is empty", ErrNotFound)
	}
	f, err := NewHistory(log, domain).fold(ctx, head.Revision)
	if err != nil {
		return Entry{}, fmt.Errorf("fold the record: %w", err)
	}
	epoch := max(head.Epoch, above) + 1
	e := Entry{
		Epoch:        epoch,
		Revision:     head.Revision + 1,
		Time:         max(policy.InstantOf(wall()), f.time),
		Principal:    systemPrincipal,
		Method:       rewindMethod,
		RequestID:    fmt.Sprintf("%s/%d", rewindMethod, epoch),
		Reason:       fmt.Sprintf("epoch %d begins after revision %d of epoch %d, hash %s: %s", epoch, head.Revision, head.Epoch, head.Hash, reason),
		PreviousHash: head.Hash,
	}
	e.Hash = e.Sum(domain)
	signer.SignEntry(domain, &e)
	next, err := f.next(&e)
	if err != nil {
		return e, err
	}
	if _, err := log.Append(ctx, head, e); err != nil {
		return e, fmt.Errorf("append entry %d: %w", e.Revision, err)
	}
	return e, storeFold(ctx, log, next, signer)
}

// storeFold stores a checkpoint of a fold, so that nobody has to fold from birth to get there.
func storeFold(ctx context.Context, log Log, f fold, signer *Signer) error {
	archive, ok := log.(Archive)
	if !ok {
		return nil
	}
	c, err := NewCheckpoint(f.domain, View{Snapshot: f.snapshot, Position: f.position, Time: f.time})
	if err != nil {
		return err
	}
	signer.SignCheckpoint(&c)
	return archive.StoreCheckpoint(ctx, c)
}
