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
	// repairIdle is for how long a source that cannot be asked where it ends, and has shown that it lives, yields nothing more
	// before that is all it has.
	repairIdle = 3 * time.Second
	// repairStall is for how long a source yields nothing, though it should, before it is given up: connecting takes a while.
	repairStall = 10 * time.Second
)

// Repair appends to a record the entries that it lacks and a source still has, byte for byte, and returns how many they were
// and where the record ends then. Each must follow the one before it, fold, and be signed by whoever is trusted. Authorities
// that find the record whole again write on at once, so an entry that it holds already is passed over. Progress, which may be
// nil, is called with every revision that was brought back. Where it is not known that the source had no more, that is an error.
func Repair(ctx context.Context, log Log, domain string, from Source, trust *TrustedKeys, progress func(policy.Revision)) (n int, head Position, err error) {
	if head, err = log.Head(ctx); err != nil {
		return 0, head, fmt.Errorf("read the head: %w", err)
	}
	r := repair{log: log, trust: trust, progress: progress, fold: born(domain)}
	if head.Revision > 0 {
		if r.fold, err = NewHistory(log, domain).fold(ctx, head.Revision); err != nil {
			return 0, head, fmt.Errorf("fold the record: %w", err)
		}
	}
	if h, ok := from.(Headed); ok {
		if r.end, err = askEnd(ctx, h); err != nil {
			return 0, head, fmt.Errorf("ask where it ends: %w", err)
		}
		r.known = true
	}
	err = r.run(ctx, from)
	return r.n, r.fold.position, err
}

func askEnd(ctx context.Context, h Headed) (Position, error) {
	ctx, cancel := context.WithTimeout(ctx, repairStall)
	defer cancel()
	return h.Head(ctx)
}

// repair is how far a record is repaired, and what is known of the source.
type repair struct {
	log      Log
	trust    *TrustedKeys
	progress func(policy.Revision)
	fold     fold
	n        int       // how many entries were brought back
	known    bool      // the source has said where it ends
	end      Position  // there
	alive    bool      // it has given something that is to be believed
	proven   Position  // the last head that it has proven
	first    time.Time // of the proofs: it may have been taken before the last entries were written
}

// run takes what the source has after the fold, until that is all.
func (r *repair) run(ctx context.Context, from Source) error {
	if r.known && r.fold.position == r.end {
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	idle := time.AfterFunc(repairStall, func() { stop(errIdle) })
	defer idle.Stop()
	for event, err := range from.Tail(ctx, r.fold.position) {
		if err != nil {
			return fmt.Errorf("read what follows %s: %w", r.fold.position, err)
		}
		before := r.alive
		all, err := r.take(ctx, event)
		if err != nil || all {
			return err
		}
		if event.Entry != nil || !before && r.alive {
			idle.Reset(r.patience())
		}
	}
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return errEnded
	case !errors.Is(cause, errIdle):
		return cause
	}
	return r.idle()
}

var errIdle = errors.New("nothing more comes")

// take takes one event, and reports whether it was the last that there is.
func (r *repair) take(ctx context.Context, event Event) (all bool, err error) {
	if event.Head != nil {
		return r.prove(event.Head), nil
	}
	if err := r.bring(ctx, event.Entry); err != nil {
		return false, err
	}
	return r.known && r.fold.position == r.end, nil
}

// bring appends an entry that follows and folds it, unless it is there.
func (r *repair) bring(ctx context.Context, e *Entry) error {
	if err := r.trust.VerifyEntry(r.fold.domain, e); err != nil {
		return err
	}
	next, err := r.fold.next(e)
	if err != nil {
		return err
	}
	_, failed := r.log.Append(ctx, r.fold.position, *e)
	if failed != nil {
		if there, err := holds(ctx, r.log, e.Position()); err != nil || !there {
			return fmt.Errorf("append entry %d: %w", e.Revision, failed)
		}
	}
	r.fold, r.alive = next, true
	if failed == nil {
		r.n++
		if r.progress != nil {
			r.progress(e.Revision)
		}
	}
	return nil
}

// prove reports whether a proof says that there is no more. One that nobody trusted has signed says nothing; nor does any
// where the source has said itself where it ends.
func (r *repair) prove(h *HeadProof) bool {
	if h.Domain != r.fold.domain || r.trust.verifyHead(h) != nil {
		return false
	}
	r.alive, r.proven = true, h.Position
	if r.first.IsZero() {
		r.first = h.IssuedTime
	}
	return !r.known && h.Position == r.fold.position && h.IssuedTime.After(r.first)
}

func (r *repair) patience() time.Duration {
	if r.known {
		return repairStall
	}
	return repairIdle
}

// idle judges a source that yields nothing more: an authority whose record is in doubt proves nothing, and ends so.
func (r *repair) idle() error {
	at := r.fold.position
	switch {
	case r.known:
		return &TroubleError{Silent, fmt.Errorf("it has entries up to %s, and after %s none came for %s: try again", r.end, at, repairStall)}
	case !r.alive:
		return &TroubleError{Silent, fmt.Errorf("within %s neither an entry nor a proof that is to be believed came from it: whether it has what is missing is not known", repairStall)}
	case later(at, r.proven) != at:
		return &TroubleError{Silent, fmt.Errorf("it proves that the record is at %s, and after %s none of its entries came for %s: try again", r.proven, at, repairIdle)}
	}
	return nil
}

// Rewind begins another epoch where the record ends, and so gives up, for good, whatever was acknowledged after that: it is
// said when the lost entries are nowhere to be had. The epoch is later than the record's and than above. Replicas that
// are ahead take a checkpoint, and say so loudly. A record that is signed is not rewound without a signer: ErrUnsigned.
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
	if err := staysSigned(ctx, log, head, &e); err != nil {
		return Entry{}, err
	}
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
