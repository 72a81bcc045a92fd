package policystore

import (
	"context"
	"errors"
	"fmt"

	"github.com/teishi-dev/teishi/policy"
)

// Who and what writes the first entries of a record. A slash is no part of a caller's request id, so that callers never
// meet these.
const (
	systemPrincipal = "system"
	birthMethod     = "birth"
	loadMethod      = "load"
	bootstrapMethod = "bootstrap"
)

// Initialize writes the first entry of an empty record, which registers the shipped purposes and attributes. A record
// that has it already stays as it is. A nil signer does not sign it.
func Initialize(ctx context.Context, log Log, domain string, signer *Signer) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	if head.Revision > 0 {
		return nil
	}
	e, err := compose(domain, signer, View{Snapshot: policy.New()}, Write{
		Principal: systemPrincipal,
		Method:    birthMethod,
		RequestID: birthMethod,
		Digest:    RequestDigest(birthMethod, nil),
		Reason:    "a new record begins",
		Prepare: func(View, policy.Instant, policy.Revision) ([]policy.Change, error) {
			return policy.Birth(), nil
		},
	})
	if err != nil {
		return fmt.Errorf("compose the first entry: %w", err)
	}
	_, err = log.Append(ctx, Position{}, e)
	if _, there := errors.AsType[*DuplicateError](err); err != nil && !there && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("append the first entry: %w", err)
	}
	return nil
}

// Load writes an example, whose name is for the audit trail, as entry 2 of a record that has only its birth; else it is
// ErrNotEmpty.
func Load(ctx context.Context, a *Authority, name string, changes []policy.Change) (Entry, error) {
	if err := onlyBorn(ctx, a.log); err != nil {
		return Entry{}, err
	}
	payload, err := EncodeChanges(changes)
	if err != nil {
		return Entry{}, err
	}
	return a.Write(ctx, Write{
		Principal: systemPrincipal,
		Method:    loadMethod,
		RequestID: "example/" + name,
		Digest:    RequestDigest(loadMethod, payload),
		Reason:    "load the example " + name,
		Prepare: func(_ View, _ policy.Instant, rev policy.Revision) ([]policy.Change, error) {
			if rev != 2 {
				return nil, notEmpty(rev - 1)
			}
			return changes, nil
		},
	})
}

// Bootstrap makes a principal the administrator of everything, unless the record has one. It reports whether it did.
func Bootstrap(ctx context.Context, a *Authority, principal string) (done bool, err error) {
	_, err = a.Write(ctx, Write{
		Principal: systemPrincipal,
		Method:    bootstrapMethod,
		RequestID: bootstrapMethod,
		Digest:    RequestDigest(bootstrapMethod, nil),
		Reason:    "somebody has to grant everything else",
		Prepare: func(v View, _ policy.Instant, _ policy.Revision) ([]policy.Change, error) {
			if v.Administered() {
				return nil, errAdministered
			}
			done = true
			return v.GiveGrant(&policy.Grant{ID: bootstrapMethod, Principal: principal, Role: policy.Administrator, Organization: policy.Everywhere})
		},
	})
	if errors.Is(err, errAdministered) {
		return false, nil
	}
	return done && err == nil, err
}

var errAdministered = errors.New("there is an administrator")

func onlyBorn(ctx context.Context, log Log) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	if head.Revision > 1 {
		return notEmpty(head.Revision)
	}
	return nil
}

func notEmpty(head policy.Revision) error {
	return fmt.Errorf("%w: it is at revision %d, and an example is loaded into a new one only", ErrNotEmpty, head)
}
