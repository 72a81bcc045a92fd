package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

const (
	proveEvery = time.Second
	tailBatch  = 256
)

// Tail yields the entries after p as they are appended, and a head proof at once and every second. It ends with
// ErrDiverged if the record has no such position, or no longer has what was yielded; it is never compacted.
func (l *Log) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		t := tail{log: l, at: p, yield: yield}
		if err := t.run(ctx); err != nil && ctx.Err() == nil {
			yield(policystore.Event{}, err)
		}
	}
}

// tail is a cursor: what it has yielded is at and before its position.
type tail struct {
	log   *Log
	at    policystore.Position
	yield func(policystore.Event, error) bool
	ended bool // the receiver wants no more
}

func (t *tail) run(ctx context.Context) error {
	ticker := time.NewTicker(proveEvery)
	defer ticker.Stop()
	if err := t.placed(ctx); err != nil {
		return err
	}
	if err := t.prove(ctx); err != nil || t.ended {
		return err
	}
	for {
		changed := *t.log.changed.Load() // before reading, so that nothing slips between
		more, err := t.entries(ctx, ticker.C)
		if err != nil || t.ended {
			return err
		}
		if more {
			continue
		}
		select {
		case <-changed:
		case <-ticker.C:
			if err := t.prove(ctx); err != nil || t.ended {
				return err
			}
		case <-t.log.closed:
			return policystore.ErrClosed
		case <-ctx.Done():
			return nil
		}
	}
}

// placed reports as an error that the record does not have the position the tail begins at.
func (t *tail) placed(ctx context.Context) error {
	if t.at.Revision == 0 {
		return nil
	}
	p, err := position(t.log.follows.place.QueryRowContext(ctx, t.at.Revision))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read entry %d: %w", t.at.Revision, t.log.explain(err))
	}
	if p != t.at {
		return fmt.Errorf("the record is not at %s: %w", t.at, policystore.ErrDiverged)
	}
	return nil
}

// entries yields a batch, with proofs in between when they are due, and reports whether there was any.
func (t *tail) entries(ctx context.Context, due <-chan time.Time) (more bool, err error) {
	entries, err := t.log.read(ctx, t.log.follows.entries, t.at.Revision+1, tailBatch)
	if err != nil {
		return false, err
	}
	for i := range entries {
		select {
		case <-due:
			if err := t.prove(ctx); err != nil || t.ended {
				return false, err
			}
		default:
		}
		t.at = entries[i].Position()
		if t.ended = !t.yield(policystore.Event{Entry: &entries[i]}, nil); t.ended {
			return false, nil
		}
	}
	return len(entries) > 0, nil
}

// prove yields a head proof from one read of the record.
func (t *tail) prove(ctx context.Context) error {
	issued := time.Now()
	head, err := t.log.Head(ctx)
	if err != nil {
		return err
	}
	if head.Revision < t.at.Revision || head.Revision == t.at.Revision && head != t.at {
		return fmt.Errorf("the record ends at %s after %s was read from it: %w", head, t.at, policystore.ErrDiverged)
	}
	proof := policystore.HeadProof{Domain: t.log.domain, Position: head, Authority: t.log.authority, IssuedTime: issued}
	t.ended = !t.yield(policystore.Event{Head: &proof}, nil)
	return nil
}
