package policystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// AuthorityConfig says what an Authority writes. Log and Replica are required.
type AuthorityConfig struct {
	Log     Log
	Replica *Replica     // follows the log, and nothing else
	Name    string       // who proves the head of the record; empty: it proves nothing to others
	Signer  *Signer      // signs entries, checkpoints and proofs; nil signs nothing
	Metrics *Metrics     // nil counts nothing
	Logger  *slog.Logger // nil discards
}

// Authority writes a record, proves its head, and gives to those who follow it what it has applied: it is itself a Source.
type Authority struct {
	log     Log
	replica *Replica
	domain  string
	name    string
	signer  *Signer
	metrics *Metrics
	logger  *slog.Logger
	turn    chan struct{} // holds one: whose turn it is to write, so that writes of one process do not conflict
	doubts  doubts
	proving proving
}

// NewAuthority returns the authority of the log that the replica follows, which does not run yet.
func NewAuthority(c AuthorityConfig) *Authority {
	a := &Authority{
		log:     c.Log,
		replica: c.Replica,
		domain:  c.Replica.domain,
		name:    c.Name,
		signer:  c.Signer,
		metrics: c.Metrics,
		logger:  c.Logger,
		turn:    make(chan struct{}, 1),
	}
	if a.metrics == nil {
		a.metrics = NewMetrics(nil)
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	a.proving.newer = make(chan struct{})
	a.replica.mu.Lock()
	defer a.replica.mu.Unlock()
	a.replica.recent, a.replica.doubted = &recent{}, a.doubts.err
	return a
}

// Run proves the head, keeps checkpoints and verifies the record, until ctx ends; then it returns nil.
func (a *Authority) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, run := range []func(context.Context){a.Prove, a.KeepCheckpoints, a.Verify} {
		running.Go(func() { run(ctx) })
	}
	running.Wait()
	return nil
}

// Write is one write as it is asked for.
type Write struct {
	Principal string
	Method    string // the full gRPC method name
	RequestID string
	Digest    Hash // see RequestDigest
	Reason    string
	// ValidateOnly does everything but append.
	ValidateOnly bool
	// Prepare returns the changes of the entry to be written at the revision and instant, judged against v, which is the
	// state at exactly the place it will follow. Its errors are returned as they are. It may be called up to 8 times.
	Prepare func(v View, at policy.Instant, rev policy.Revision) ([]policy.Change, error)
	// Judge judges the changes once they are known to be lawful, against the same state, as Prepare does before. Nil permits them.
	Judge func(v View, changes []policy.Change) error
}

const (
	writeTries   = 8
	resolveFor   = 10 * time.Second // how long an unknown outcome is looked up, unless ctx ends before
	resolveRetry = 20 * time.Millisecond
)

// Write appends the entry that w prepares and returns it when the replica has applied it. A repeated request is answered
// from its entry. Errors: what Prepare says; *RequestReusedError; *EntryTooLargeError; ErrContention; ErrRewound, ErrFrozen,
// ErrUnavailable, with ErrUnsigned or without (nothing was written); *OutcomeUnknownError.
func (a *Authority) Write(ctx context.Context, w Write) (Entry, error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return Entry{}, ctx.Err()
	}
	defer func() { <-a.turn }()
	var found error // the last time
	for range writeTries {
		e, err := a.try(ctx, w)
		if !errors.Is(err, ErrConflict) {
			return e, err
		}
		found = nil
		if outdated, ok := errors.AsType[*outdatedError](err); ok {
			found = outdated.found
		}
		if err := a.catchUp(ctx); err != nil {
			return Entry{}, err
		}
	}
	if found != nil {
		return Entry{}, found
	}
	return Entry{}, fmt.Errorf("write request %s: %w", w.RequestID, ErrContention)
}

// An outdatedError is an ErrConflict of a write that was found wanting, by a policy that is no longer the last.
type outdatedError struct{ found error }

func (e *outdatedError) Error() string        { return e.found.Error() }
func (e *outdatedError) Is(target error) bool { return target == ErrConflict }

// try is one turn of the loop: ErrConflict if others wrote first.
func (a *Authority) try(ctx context.Context, w Write) (Entry, error) {
	if err := a.Doubted(); err != nil {
		return Entry{}, err
	}
	switch e, err := a.log.Request(ctx, w.Principal, w.RequestID); {
	case err == nil:
		return a.repeated(ctx, e, w)
	case !errors.Is(err, ErrNotFound):
		return Entry{}, fmt.Errorf("look up request %s: %w: %w", w.RequestID, ErrUnavailable, err)
	}
	v, err := a.replica.View(ctx, Demand{})
	if err != nil {
		return Entry{}, err
	}
	e, err := compose(a.domain, a.signer, v, w)
	if err != nil || w.ValidateOnly {
		return e, a.stillSo(ctx, v.Position, err)
	}
	if err := a.replica.trust.VerifyEntry(a.domain, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: nothing is written that this authority's own --trust-keys (TEISHI_TRUST_KEYS) refuse; its --sign-key (TEISHI_SIGN_KEY): %w", ErrUnavailable, err)
	}
	if err := staysSigned(ctx, a.log, v.Position, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return a.append(ctx, v.Position, e, w)
}

// staysSigned reports as ErrUnsigned that an entry is not signed and the one that it follows is: whoever trusts keys would take
// nothing more.
func staysSigned(ctx context.Context, log readable, after Position, e *Entry) error {
	if len(e.Signature) > 0 || after.Revision == 0 {
		return nil
	}
	last, err := log.Read(ctx, after.Revision, 1)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", after.Revision, err)
	}
	if len(last) > 0 && len(last[0].Signature) > 0 {
		return ErrUnsigned
	}
	return nil
}

// stillSo returns what was found at a position that nothing is appended after, or ErrConflict if the record has moved on:
// another authority may have written meanwhile what was found missing.
func (a *Authority) stillSo(ctx context.Context, at Position, found error) error {
	head, err := a.head(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case head != at && found != nil:
		return &outdatedError{found}
	case head != at:
		return ErrConflict
	}
	return found
}

// compose makes the entry that follows v. What was prepared is judged as it will be read: after the codec.
func compose(domain string, signer *Signer, v View, w Write) (Entry, error) {
	at := max(policy.InstantOf(wall()), v.Time)
	revision := v.Position.Revision + 1
	prepared, err := w.Prepare(v, at, revision)
	if err != nil {
		return Entry{}, err
	}
	payload, err := EncodeChanges(prepared)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Epoch:         max(v.Position.Epoch, 1),
		Revision:      revision,
		Time:          at,
		Principal:     w.Principal,
		Method:        w.Method,
		RequestID:     w.RequestID,
		RequestDigest: w.Digest,
		Reason:        w.Reason,
		Payload:       payload,
		PreviousHash:  v.Position.Hash,
	}
	e.Hash = e.Sum(domain)
	signer.SignEntry(domain, &e)
	if err := checkSize(&e, prepared); err != nil {
		return Entry{}, err
	}
	changes, err := e.Changes()
	if err != nil {
		return Entry{}, err
	}
	if _, err := v.Propose(revision, changes); err != nil || w.Judge == nil {
		return e, err
	}
	return e, w.Judge(v, changes)
}

// append commits the entry, or finds out whether it is committed.
func (a *Authority) append(ctx context.Context, after Position, e Entry, w Write) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	failpoint.Hit(ctx, "before-commit")
	if failpoint.Without("durable") {
		return e, nil
	}
	stored, err := a.log.Append(ctx, after, e)
	failpoint.Hit(ctx, "after-commit")
	switch duplicate, ok := errors.AsType[*DuplicateError](err); {
	case ok:
		return a.repeated(ctx, duplicate.Entry, w)
	case errors.Is(err, ErrConflict):
		return Entry{}, err
	case err != nil:
		return a.resolve(ctx, after, e, w, err)
	}
	return a.applied(ctx, stored)
}

// repeated answers a request that the record holds.
func (a *Authority) repeated(ctx context.Context, e Entry, w Write) (Entry, error) {
	if e.RequestDigest != w.Digest {
		return Entry{}, &RequestReusedError{RequestID: w.RequestID, Revision: e.Revision}
	}
	return a.applied(ctx, e)
}

// applied returns the entry, which is committed, once the replica has it; in a later epoch it has what that goes on from.
func (a *Authority) applied(ctx context.Context, e Entry) (Entry, error) {
	if at := a.replica.state.Load().position; at.Epoch > e.Epoch && at.Revision > e.Revision {
		return e, nil
	}
	_, err := a.replica.View(ctx, Demand{MinRevision: e.Revision, Epoch: e.Epoch})
	if err != nil {
		return Entry{}, &OutcomeUnknownError{RequestID: e.RequestID, Err: fmt.Errorf("committed, not yet in force: %w", err)}
	}
	return e, nil
}

// resolve finds out what became of an append that failed: it looks the request up, and appends the same entry again, which
// can be there only once. A store that is full is given up at once.
func (a *Authority) resolve(ctx context.Context, after Position, e Entry, w Write, cause error) (Entry, error) {
	a.logger.Warn("the outcome of a write is unknown", slog.String("request_id", w.RequestID), slog.Any("error", cause))
	ctx, cancel := context.WithTimeout(ctx, resolveFor)
	defer cancel()
	for ctx.Err() == nil {
		found, err := a.log.Request(ctx, w.Principal, w.RequestID)
		if err == nil {
			return a.repeated(ctx, found, w)
		}
		if errors.Is(err, ErrNotFound) {
			if errors.Is(cause, ErrFull) {
				return Entry{}, fmt.Errorf("append entry %d: %w", e.Revision, cause)
			}
			stored, err := a.log.Append(ctx, after, e)
			if err == nil {
				return a.applied(ctx, stored)
			}
			if errors.Is(err, ErrConflict) {
				return a.lost(ctx, w)
			}
			cause = err
		}
		pause(ctx, resolveRetry)
	}
	return Entry{}, &OutcomeUnknownError{RequestID: w.RequestID, Err: cause}
}

// lost tells a write that another entry took the place of for good from one that took the place itself.
func (a *Authority) lost(ctx context.Context, w Write) (Entry, error) {
	e, err := a.log.Request(ctx, w.Principal, w.RequestID)
	switch {
	case err == nil:
		return a.repeated(ctx, e, w)
	case errors.Is(err, ErrNotFound):
		return Entry{}, ErrConflict
	}
	return Entry{}, &OutcomeUnknownError{RequestID: w.RequestID, Err: err}
}

// catchUp waits until the replica has what the record has.
func (a *Authority) catchUp(ctx context.Context) error {
	head, err := a.head(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if _, err := a.replica.View(ctx, Demand{MinRevision: head.Revision, Epoch: head.Epoch}); err != nil {
		return fmt.Errorf("catch up with %s: %w", head, err)
	}
	return nil
}
