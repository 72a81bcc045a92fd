package policystore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// ProveEvery is the time between two head proofs of whoever reads the record.
const ProveEvery = time.Second

const tailBatch = 256

// Tailed is what Follow needs of a log to make its Tail. Its methods are those of a Log.
type Tailed interface {
	Read(ctx context.Context, from policy.Revision, n int) ([]Entry, error)
	Head(ctx context.Context) (Position, error)
	// Changed returns a channel that is closed when there may be more to read, or when what waits shall look.
	Changed() <-chan struct{}
	// Closed returns a channel that is closed when the log is.
	Closed() <-chan struct{}
}

// Follow is the Tail of a log: it yields the entries after p as they are appended, and a head proof of the authority at once
// and every second. It ends with ErrDiverged if the record has no such position, or no longer has what was yielded, and
// with ErrEpoch if that is because the record was rewound; it is never compacted.
func Follow(ctx context.Context, log Tailed, domain, authority string, p Position) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		t := tail{log: log, domain: domain, authority: authority, at: p, yield: yield}
		if err := t.run(ctx); err != nil && ctx.Err() == nil {
			yield(Event{}, err)
		}
	}
}

// tail is a cursor: what it has yielded is at and before its position.
type tail struct {
	log               Tailed
	domain, authority string
	at                Position
	yield             func(Event, error) bool
	ended             bool // the receiver wants no more
}

func (t *tail) run(ctx context.Context) error {
	ticker := time.NewTicker(ProveEvery)
	defer ticker.Stop()
	if err := t.placed(ctx); err != nil {
		return err
	}
	if err := t.prove(ctx); err != nil || t.ended {
		return err
	}
	for {
		changed := t.log.Changed() // before reading, so that nothing slips between
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
		case <-t.log.Closed():
			return ErrClosed
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
	if there, err := holds(ctx, t.log, t.at); err != nil || there {
		return err
	}
	head, err := t.log.Head(ctx)
	if err != nil {
		return err
	}
	return t.elsewhere(head, fmt.Sprintf("the record is not at %s", t.at))
}

// readable is what entries are read from.
type readable interface {
	Read(ctx context.Context, from policy.Revision, n int) ([]Entry, error)
}

// holds reports whether a record has the very entry of a position.
func holds(ctx context.Context, log readable, p Position) (bool, error) {
	there, err := log.Read(ctx, p.Revision, 1)
	if err != nil {
		return false, fmt.Errorf("read entry %d: %w", p.Revision, err)
	}
	return len(there) == 1 && there[0].Position() == p, nil
}

// elsewhere tells a record that was rewound from one of another history.
func (t *tail) elsewhere(head Position, problem string) error {
	if head.Epoch > t.at.Epoch {
		return fmt.Errorf("%s, its head is at %s: %w", problem, head, ErrEpoch)
	}
	return fmt.Errorf("%s, its head is at %s: %w", problem, head, ErrDiverged)
}

// entries yields a batch, with proofs in between when they are due, and reports whether there was any.
func (t *tail) entries(ctx context.Context, due <-chan time.Time) (more bool, err error) {
	entries, err := t.log.Read(ctx, t.at.Revision+1, tailBatch)
	if err != nil {
		return false, err
	}
	if len(entries) > 0 && entries[0].PreviousHash != t.at.Hash {
		head, err := t.log.Head(ctx)
		if err != nil {
			return false, err
		}
		return false, t.elsewhere(head, fmt.Sprintf("what the record has after %s does not follow it", t.at))
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
		if t.ended = !t.yield(Event{Entry: &entries[i]}, nil); t.ended {
			return false, nil
		}
	}
	return len(entries) > 0, nil
}

// prove yields a head proof from one read of the record.
func (t *tail) prove(ctx context.Context) error {
	received, issued := time.Now(), wall()
	head, err := t.log.Head(ctx)
	if err != nil {
		return err
	}
	if head.Revision < t.at.Revision || head.Revision == t.at.Revision && head != t.at {
		return t.elsewhere(head, fmt.Sprintf("the record no longer has %s, which was read from it", t.at))
	}
	proof := HeadProof{Domain: t.domain, Position: head, Authority: t.authority, IssuedTime: issued, Received: received}
	t.ended = !t.yield(Event{Head: &proof}, nil)
	return nil
}
