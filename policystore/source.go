package policystore

import (
	"context"
	"iter"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// HeadProof says what an authority read as the committed head of the record, and when. It is taken from one read of the
// record, never from memory or from a copy: only head proofs prove freshness, entries never do.
type HeadProof struct {
	Domain     string
	Position   Position
	Authority  string    // who read it
	IssuedTime time.Time // before the read, by the authority's wall clock
	Signature  []byte    // empty if not signed
	// Received is before the read, if it was made in this process, and otherwise when the request was sent that could first
	// have brought it; by the monotonic clock of this process.
	Received time.Time
}

// Event is one thing a Source yields; exactly one of its fields is set.
type Event struct {
	Entry *Entry
	Head  *HeadProof
}

// Source is anything that can be followed.
type Source interface {
	// Checkpoint returns the newest stored state, not yet trusted: a Replica verifies it. ErrNotFound if there is none,
	// ErrBroken or ErrFormat, with its revision if that can be told, if it cannot be read.
	Checkpoint(ctx context.Context) (Checkpoint, error)
	// Tail yields the entries after p without a gap, and head proofs between them, the first of them at once and then every
	// second, blocking until ctx ends. An error is the last pair: ErrCompacted or ErrEpoch (take a checkpoint), ErrDiverged
	// (another hash at p, or a lower epoch), else transient: call again from what was applied. What is yielded belongs to
	// the receiver.
	Tail(ctx context.Context, p Position) iter.Seq2[Event, error]
}

// Log is a Source that can be written: the record itself.
type Log interface {
	Source
	// Append stores the entry, whose every field is set, if the head of the record is still at after, and returns it
	// once it is durable. ErrConflict: the head is elsewhere. *DuplicateError: the record has an entry of that principal
	// and request id; if both hold, it is either. Any other error leaves the outcome unknown.
	Append(ctx context.Context, after Position, e Entry) (Entry, error)
	// Read returns up to n entries from the revision on: fewer at the end of the record, to bound the bytes read, or before
	// one that cannot be read; none only at the end.
	Read(ctx context.Context, from policy.Revision, n int) ([]Entry, error)
	// Request returns the entry of the principal and request id, or ErrNotFound.
	Request(ctx context.Context, principal, id string) (Entry, error)
	// Head returns the position of the last committed entry by one read of the record; zero if there is none.
	Head(ctx context.Context) (Position, error)
}

// A Headed is a Source that can be asked where it ends, as every Log can.
type Headed interface {
	// Head returns the position of the last entry that there is.
	Head(ctx context.Context) (Position, error)
}

// A Waker is a Source that looks for what is new now and then, and can be told to look at once.
type Waker interface{ Wake() }

// An Archive is a Log that keeps former checkpoints, which make answers from the past cheap.
type Archive interface {
	// CheckpointAt returns the newest checkpoint at or before the revision; its errors are those of Checkpoint.
	CheckpointAt(ctx context.Context, at policy.Revision) (Checkpoint, error)
	// StoreCheckpoint keeps the checkpoint and drops those that are no longer needed.
	StoreCheckpoint(ctx context.Context, c Checkpoint) error
}
