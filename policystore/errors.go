package policystore

import (
	"errors"
	"fmt"

	"github.com/teishi-dev/teishi/policy"
)

// What a Source or a Log says. A Log that answers Append with anything but ErrConflict and a DuplicateError says that
// the outcome is unknown.
var (
	// ErrConflict says that the record's head is not where the entry was to be appended. Nothing was appended.
	ErrConflict = errors.New("the record has moved on")
	// ErrNotFound says that the record has no such entry or checkpoint.
	ErrNotFound = errors.New("not in the record")
	// ErrCompacted says that the source no longer has the entries asked for: take a checkpoint.
	ErrCompacted = errors.New("the entries are no longer there")
	// ErrEpoch says that the source is in a later epoch: take a checkpoint.
	ErrEpoch = errors.New("the record is in a later epoch")
	// ErrDiverged says that the source has another entry at that position, or none, or is in an earlier epoch.
	ErrDiverged = errors.New("the record has another history")
	// ErrRewound says that the record lacks entries that were acknowledged: it was restored to an earlier point, or its last
	// entries were lost. Nothing is written until it is repaired, or rewound on purpose.
	ErrRewound = errors.New("the record lacks entries that were acknowledged")
	// ErrNotLooked is the doubt of a start, while it is not known yet what others hold of the record.
	ErrNotLooked = errors.New("what others hold of the record is not known yet")
	// ErrFull says that the store has no room. What it refused is almost surely not in the record; only its request id tells.
	ErrFull = errors.New("the store is full")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("the log is closed")
	// ErrReadOnly says that the log was opened for reading.
	ErrReadOnly = errors.New("the log is open for reading only")
)

// What following and writing a record says.
var (
	// ErrFormat says that an entry or a checkpoint has a kind, field, value or format that this version does not know.
	ErrFormat = errors.New("not a format of this version")
	// ErrBroken says that an entry or a checkpoint is not what the chain of hashes says it is.
	ErrBroken = errors.New("the chain is broken")
	// ErrFrozen says that the replica met something that it may not skip, and keeps what it had before.
	ErrFrozen = errors.New("the replica is frozen")
	// ErrUnavailable says that there is no policy at hand yet, or that the record cannot be reached. Nothing was written.
	ErrUnavailable = errors.New("the record is not at hand")
	// ErrNotReached says that the revision demanded was not reached in time.
	ErrNotReached = errors.New("the revision was not reached")
	// ErrTooStale says that the policy at hand may be older than demanded.
	ErrTooStale = errors.New("the policy at hand is too old")
	// ErrEpochMismatch says that the epoch demanded is over.
	ErrEpochMismatch = errors.New("the epoch is over")
	// ErrContention says that others wrote first, every time. Nothing was written.
	ErrContention = errors.New("others wrote first every time")
	// ErrNotEmpty says that a record holds more than its birth.
	ErrNotEmpty = errors.New("the record is not empty")
)

// A DuplicateError says that the record has an entry of this principal and request id. Nothing was appended.
type DuplicateError struct{ Entry Entry }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("request %s is entry %d", e.Entry.RequestID, e.Entry.Revision)
}

// A RequestReusedError says that a request id stands in the record already, with another request.
type RequestReusedError struct {
	RequestID string
	Revision  policy.Revision // the entry that has it
}

func (e *RequestReusedError) Error() string {
	return fmt.Sprintf("request id %s was used by another request at revision %d", e.RequestID, e.Revision)
}

// An OutcomeUnknownError says that a write may or may not be in the record, or may not be in force here yet. Repeating
// the request with the same id resolves it.
type OutcomeUnknownError struct {
	RequestID string
	Err       error
}

func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("the outcome of request %s is unknown: %v", e.RequestID, e.Err)
}

func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// An EntryTooLargeError says that changes do not fit into one entry.
type EntryTooLargeError struct {
	Size int // of the entry, in bytes, encoded
	Fit  int // how many of the changes, from the first, would fit
}

func (e *EntryTooLargeError) Error() string {
	return fmt.Sprintf("the entry would take %d bytes of at most %d; the first %d items fit", e.Size, MaxEntrySize, e.Fit)
}

// A FormatError is an ErrFormat that says where.
type FormatError struct {
	Where   string // the path of the field: provisions[0].selector.conditions[1]
	Problem string
	Unknown bool // a field is not known, rather than a value
}

func (e *FormatError) Error() string {
	if e.Where == "" {
		return e.Problem
	}
	return e.Where + ": " + e.Problem
}

// Is makes every FormatError an ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// A NotReachedError is an ErrNotReached that says what was wanted and what there is.
type NotReachedError struct {
	Wanted  policy.Revision
	Epoch   int64    // wanted; 0 for any
	Applied Position // what the replica has
	Head    Position // the last it has heard of
}

func (e *NotReachedError) Error() string {
	if e.Epoch > e.Applied.Epoch {
		return fmt.Sprintf("epoch %d was not reached: the record is in epoch %d", e.Epoch, e.Applied.Epoch)
	}
	return fmt.Sprintf("revision %d was not reached: applied %d, known head %d", e.Wanted, e.Applied.Revision, e.Head.Revision)
}

// Is makes every NotReachedError an ErrNotReached.
func (e *NotReachedError) Is(target error) bool { return target == ErrNotReached }

// An EpochError is an ErrEpochMismatch that names the replica's epoch.
type EpochError struct{ Wanted, Epoch int64 }

func (e *EpochError) Error() string {
	return fmt.Sprintf("epoch %d is over: the record is in epoch %d", e.Wanted, e.Epoch)
}

// Is makes every EpochError an ErrEpochMismatch.
func (e *EpochError) Is(target error) bool { return target == ErrEpochMismatch }
