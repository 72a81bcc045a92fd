package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// writeRequest has what every request of a write has.
type writeRequest interface {
	proto.Message
	GetReason() string
	GetRequestId() string
	GetExpectRevision() int64
	GetValidateOnly() bool
}

// draft is where an entry will stand, and the policy it will follow.
type draft struct {
	policystore.View
	at       policy.Instant  // the entry's time
	binds    policy.Instant  // from when on what suspends is to bind, where the caller leaves it open
	revision policy.Revision // the entry's
	caller   *Caller         // who writes
	powers   policy.Powers   // what it may do
}

// write is one write as a handler understands it.
type write struct {
	method  string // full, as grpc-go has it
	request writeRequest
	// subject says whose revision expect_revision speaks of.
	subject func(policy.Revision) policy.Key
	// command says what the entry changes.
	command func(d *draft) ([]policy.Change, error)
	// place says where in the request a field of the resource is.
	place func(field string) string
	// puts is the resource that the request has, if it has one: whose it is matters before it exists.
	puts policy.Resource
	// judges says that the command itself sees to it that the caller may do it.
	judges bool
}

// calledAt returns the id, and of what has none a word and the revision at which it is written.
func calledAt(id, word string, revision policy.Revision) string {
	if id != "" {
		return id
	}
	return fmt.Sprintf("%s-%d", word, revision)
}

// about is the subject of a write that says itself which resource it is about.
func about(key policy.Key) func(policy.Revision) policy.Key {
	return func(policy.Revision) policy.Key { return key }
}

// written is what a write did. A repeated request is told the same again: all of it comes from the entry.
type written struct {
	changes   []policy.Change
	changed   policy.Revision // at which what was written last changed
	revision  int64           // good as min_revision
	epoch     int64
	requestID string
}

// write writes, and returns when what was written is in force here.
func (s *Server) write(ctx context.Context, w write) (written, error) {
	digest, err := requestDigest(w.method, w.request)
	if err != nil {
		return written{}, err
	}
	done := written{requestID: w.request.GetRequestId()}
	if done.requestID == "" {
		done.requestID = rand.Text()
	}
	ctx, cancel := inTime(ctx)
	defer cancel()
	caller := s.caller(ctx)
	var head policy.Revision // that a write which is only validated would follow; 0 if it is in the record already
	e, err := s.authority.Write(ctx, policystore.Write{
		Principal:    caller.Principal,
		Method:       method(w.method),
		RequestID:    done.requestID,
		Digest:       digest,
		Reason:       w.request.GetReason(),
		ValidateOnly: w.request.GetValidateOnly(),
		Prepare: func(v policystore.View, at policy.Instant, rev policy.Revision) ([]policy.Change, error) {
			head = v.Position.Revision
			return w.changes(s.draft(v, at, rev, caller))
		},
		Judge: func(v policystore.View, changes []policy.Change) error {
			if w.judges {
				return nil
			}
			return guarded(s.powers(v.Snapshot, caller), v.Snapshot, changes)
		},
	})
	if err != nil {
		return done, &placed{err, w.place}
	}
	if w.request.GetValidateOnly() && head > 0 {
		done.revision = int64(head)
	} else {
		done.revision = int64(e.Revision)
	}
	done.epoch, done.changed = e.Epoch, e.Revision
	done.changes, err = e.Changes()
	return done, err
}

// draft begins an entry after v.
func (s *Server) draft(v policystore.View, at policy.Instant, rev policy.Revision, caller *Caller) *draft {
	return &draft{View: v, at: at, binds: s.atOnce(at), revision: rev, caller: caller, powers: s.powers(v.Snapshot, caller)}
}

// changes says what the entry changes, if the caller may change that. Whoever may not is told nothing else.
func (w *write) changes(d *draft) ([]policy.Change, error) {
	key := w.subject(d.revision)
	changes, err := []policy.Change(nil), expect(&d.View, w.request, key)
	if err == nil {
		changes, err = w.command(d)
	}
	switch {
	case err == nil && (w.judges || failpoint.Without("powers")):
		return changes, nil
	case err == nil:
		return changes, d.powers.Permit(changes)
	case d.powers.Concerns(key, w.puts):
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errNotGranted, err)
}

// guarded refuses changes that loosen what the caller may not lift, or what asks for the approval of others.
func guarded(powers policy.Powers, before *policy.Snapshot, changes []policy.Change) error {
	loosened, err := policy.Loosens(before, changes)
	if err != nil {
		return err
	}
	if err := powers.PermitLoosening(loosened, changes); err != nil {
		return err
	}
	if needs := before.ApprovalNeeds(loosened); len(needs) > 0 {
		return &approvalError{needs}
	}
	return nil
}

// atOnce returns the instant from which on a suspension bites at once, in an entry of that time. After the clock was set back
// entries are ahead of it, and questions are asked for what it says now. What resumes use waits for the entry's time.
func (s *Server) atOnce(at policy.Instant) policy.Instant {
	m := s.moment()
	return slices.Min(append(m.instead, m.now, at))
}

// method returns the name of a method as entries and log lines have it: without the slash it begins with.
func method(full string) string { return strings.TrimPrefix(full, "/") }

// requestDigest tells a repeated request from a reused request id.
func requestDigest(full string, req proto.Message) (policystore.Hash, error) {
	bare, err := without(req, "request_id", "validate_only")
	if err != nil {
		return policystore.Hash{}, err
	}
	return policystore.RequestDigest(method(full), bare), nil
}

// expect refuses a write about what has changed since the caller looked, if it says when it looked.
func expect(v *policystore.View, req writeRequest, key policy.Key) error {
	expected, stated := expected(req)
	if !stated {
		return nil
	}
	_, current, _ := v.Lookup(key)
	if current != expected {
		return &mismatchError{What: key.String(), Expected: expected, Current: current}
	}
	return nil
}

// expected returns expect_revision, and whether the request states it: 0 is a statement too.
func expected(req writeRequest) (policy.Revision, bool) {
	m := req.ProtoReflect()
	field := m.Descriptor().Fields().ByName("expect_revision")
	return policy.Revision(req.GetExpectRevision()), field != nil && m.Has(field)
}

// put returns the resource that a write put, nil if it put none under the key.
func put[R policy.Resource](w *written, key policy.Key) (r R) {
	for _, c := range w.changes {
		if c.Put != nil && c.Key() == key {
			r, _ = c.Put.(R)
		}
	}
	return r
}

// putAny returns the first resource of its sort that a write put, nil if it put none.
func putAny[R policy.Resource](w *written) (r R) {
	for _, c := range w.changes {
		if r, ok := c.Put.(R); ok {
			return r
		}
	}
	return r
}
