package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// faulty is a log whose appends and look-ups fail as told, before or after they reach the record.
type faulty struct {
	policystore.Log
	before, after, lookUp func() error
}

func (f *faulty) Append(ctx context.Context, after policystore.Position, e policystore.Entry) (policystore.Entry, error) {
	if err := call(f.before); err != nil {
		return e, err
	}
	e, err := f.Log.Append(ctx, after, e)
	return e, errors.Join(err, call(f.after))
}

func (f *faulty) Request(ctx context.Context, principal, id string) (policystore.Entry, error) {
	if err := call(f.lookUp); err != nil {
		return policystore.Entry{}, err
	}
	return f.Log.Request(ctx, principal, id)
}

func call(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

// times returns a fault that happens so often.
func times(n int, err error) func() error {
	return func() error {
		if n--; n < 0 {
			return nil
		}
		return err
	}
}

// When nobody knows whether an append reached the record, the request id tells, and the entry is there once.
func testWriteUnknown(t *testing.T, open func() policystore.Log) {
	log := open()
	f := &faulty{Log: log}
	n := startNode(t, f, log)
	broken := errors.New("the connection broke")
	for i, c := range []struct{ before, after func() error }{
		{before: times(1, broken)},
		{after: times(1, broken)},
		{before: times(3, broken)},
		{before: times(2, broken), after: times(1, broken)},
	} {
		f.before, f.after = c.before, c.after
		if e := n.write(put(fmt.Sprint("r", i), fmt.Sprint("o", i))); e.Revision != policy.Revision(i+2) {
			t.Errorf("case %d: entry %d, want %d", i, e.Revision, i+2)
		}
	}
	wantChain(t, readAll(t, log)[:5])

	f.before, f.after = times(1, fmt.Errorf("%w: disk", policystore.ErrFull)), nil
	if _, err := n.authority.Write(contextOf(t), put("full", "full")); !errors.Is(err, policystore.ErrFull) {
		t.Errorf("on a full store Write = %v, want ErrFull", err)
	}
	n.wantUnknown(f, "not there", times(1<<30, broken), nil)
	n.wantUnknown(f, "there", nil, func() error {
		f.lookUp = times(1<<30, broken)
		return broken
	})
	wantChain(t, readAll(t, log))
}

// wantUnknown checks that a write whose outcome cannot be learnt in time says so, and that repeating it resolves it.
func (n *node) wantUnknown(f *faulty, id string, before, after func() error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(contextOf(n.t), 200*time.Millisecond)
	defer cancel()
	w := put(strings.ReplaceAll(id, " ", "-"), strings.ReplaceAll(id, " ", "-"))
	f.before, f.after = before, after
	_, err := n.authority.Write(ctx, w)
	if unknown, ok := errors.AsType[*policystore.OutcomeUnknownError](err); !ok || unknown.RequestID != w.RequestID {
		n.t.Errorf("%s: Write = %v, want an OutcomeUnknownError", id, err)
	}
	f.before, f.after, f.lookUp = nil, nil, nil
	first := n.write(w)
	if diff := cmp.Diff(first, n.write(w), same); diff != "" {
		n.t.Errorf("%s: repeated (-want +got):\n%s", id, diff)
	}
}
