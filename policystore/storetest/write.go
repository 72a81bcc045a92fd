package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// What is acknowledged is in the record and in force.
func testWrite(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	for i := range 5 {
		e := n.write(put(fmt.Sprint("r", i), fmt.Sprint("o", i)))
		v, err := n.replica.View(contextOf(t), policystore.Demand{})
		if err != nil || v.Position != e.Position() || v.Organization(fmt.Sprint("o", i)) == nil {
			t.Errorf("after entry %d the view is at %s, %v", e.Revision, v.Position, err)
		}
		if v.Freshness.State != policystore.Fresh {
			t.Errorf("after entry %d policy is %s", e.Revision, v.Freshness.State)
		}
	}
	empty := put("nothing", "")
	empty.Prepare = func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) { return nil, nil }
	if e := n.write(empty); e.Revision != 7 {
		t.Errorf("a write that changes nothing is entry %d, want 7", e.Revision)
	}
	entries := readAll(t, log)
	wantChain(t, entries)
	wantState(t, n.view(7), entries)
}

// No entry is of a time before its predecessor's, whatever the clock says.
func testWriteTime(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	before := policy.InstantOf(time.Now())
	first := n.write(put("r1", "o1"))
	if after := policy.InstantOf(time.Now()); first.Time < before || first.Time > after {
		t.Errorf("the entry is of %s, want one from %s to %s", first.Time, before, after)
	}
	ahead := follower(first.Position(), first.Time+3_600_000_000, "another", "ahead", encode(t))
	if _, err := log.Append(contextOf(t), first.Position(), ahead); err != nil {
		t.Fatal(err)
	}
	if e := n.write(put("r2", "o2")); e.Time != ahead.Time {
		t.Errorf("after an entry of %s comes one of %s", ahead.Time, e.Time)
	}
}

// A repeated request is answered from its entry, in this process and in the next; another one of that id is refused.
func testWriteRepeated(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	first := n.write(put("once", "o1"))
	n.write(put("other", "o2"))
	again := put("once", "o1")
	again.Prepare = nil // it is not prepared again
	if diff := cmp.Diff(first, n.write(again), same); diff != "" {
		t.Errorf("the repeated request (-want +got):\n%s", diff)
	}
	n.stop()
	log = open()
	n = startNode(t, log, log)
	if diff := cmp.Diff(first, n.write(again), same); diff != "" {
		t.Errorf("the repeated request, later (-want +got):\n%s", diff)
	}
	_, err := n.authority.Write(contextOf(t), put("once", "o3"))
	if reused, ok := errors.AsType[*policystore.RequestReusedError](err); !ok || reused.Revision != first.Revision {
		t.Errorf("another request of the id = %v, want a RequestReusedError naming %d", err, first.Revision)
	}
	wantEntries(t, log, readAll(t, log)[:3])
}

// What the caller or the rules refuse is not written.
func testWriteRefused(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	refusal := errors.New("no")
	w := put("r", "o")
	w.Prepare = func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) { return nil, refusal }
	if _, err := n.authority.Write(contextOf(t), w); !errors.Is(err, refusal) {
		t.Errorf("Write = %v, want what Prepare says", err)
	}
	w.Prepare = func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) {
		return []policy.Change{{Put: &policy.Organization{ID: "o", Parent: "nobody"}}}, nil
	}
	_, err := n.authority.Write(contextOf(t), w)
	if _, ok := errors.AsType[*policy.ReferenceError](err); !ok {
		t.Errorf("Write = %v, want a ReferenceError", err)
	}
	ctx, cancel := context.WithCancel(contextOf(t))
	cancel()
	if _, err := n.authority.Write(ctx, put("r", "o")); err == nil {
		t.Error("a write succeeds after its context ended")
	}
	wantEntries(t, log, readAll(t, log)[:1])
	n.write(put("r", "o")) // the request id is still free
}

// A write that is too large says how much of it would fit, and exactly that does.
func testWriteTooLarge(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	many := func(count int) policystore.Write {
		w := put(fmt.Sprint("r", count), "o")
		w.Prepare = func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) {
			changes := make([]policy.Change, count)
			for i := range changes {
				name := strings.Repeat("x", 100+i%200)
				changes[i].Put = &policy.Organization{ID: fmt.Sprint("o", i), Names: policy.TextOf(map[string]string{"en": name})}
			}
			return changes, nil
		}
		return w
	}
	_, err := n.authority.Write(contextOf(t), many(10_000))
	large, ok := errors.AsType[*policystore.EntryTooLargeError](err)
	if !ok || large.Size <= policystore.MaxEntrySize || large.Fit < 2000 || large.Fit >= 10_000 {
		t.Fatalf("Write = %v, want an EntryTooLargeError", err)
	}
	if _, err := n.authority.Write(contextOf(t), many(large.Fit+2)); !errors.As(err, &large) {
		t.Errorf("Write of 2 more than fit = %v", err)
	}
	e := n.write(many(large.Fit))
	if size := e.Size(); size > policystore.MaxEntrySize {
		t.Errorf("an entry of %d bytes", size)
	}
	wantEntries(t, log, readAll(t, log)[:2])
}

func testWriteValidateOnly(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	w := put("r", "o")
	w.ValidateOnly = true
	would := n.write(w)
	wantEntries(t, log, readAll(t, log)[:1])
	w.ValidateOnly = false
	did := n.write(w)
	if would.Revision != did.Revision || !cmp.Equal(would.Payload, did.Payload, same) {
		t.Errorf("would write entry %d, wrote entry %d", would.Revision, did.Revision)
	}
}

// Whoever else writes first, a write is prepared again against what is then in force, at most 8 times.
func testWriteConflict(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	for _, others := range []int{1, 3, 7, 8} {
		prepared := 0
		w := put(fmt.Sprint("r", others), fmt.Sprint("o", others))
		prepare := w.Prepare
		w.Prepare = func(v policystore.View, at policy.Instant, rev policy.Revision) ([]policy.Change, error) {
			if v.Position.Revision+1 != rev || v.Revision()+1 != rev {
				t.Errorf("prepared for %d against %s", rev, v.Position)
			}
			if prepared++; prepared <= others {
				e := follower(v.Position, at, "another", fmt.Sprint(others, "-", prepared), encode(t))
				if _, err := log.Append(contextOf(t), v.Position, e); err != nil {
					t.Fatal(err)
				}
			}
			return prepare(v, at, rev)
		}
		_, err := n.authority.Write(contextOf(t), w)
		if others < 8 && (err != nil || prepared != others+1) {
			t.Errorf("%d others first: Write = %v, prepared %d times", others, err, prepared)
		}
		if others == 8 && (!errors.Is(err, policystore.ErrContention) || prepared != 8) {
			t.Errorf("%d others first: Write = %v, prepared %d times, want ErrContention after 8", others, err, prepared)
		}
	}
	wantChain(t, readAll(t, log))
}

// Many writers and two authorities on one record, with some of the requests sent twice: one history, each request once,
// every acknowledged entry where it was acknowledged.
func testWriteConcurrently(t *testing.T, open func() policystore.Log) {
	const writers, each = 4, 20
	log := open()
	nodes := []*node{startNode(t, log, log), startNode(t, log, log)}
	acknowledged := make(chan policystore.Entry, 2*writers*each)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprint("w", w, "-", i-i%5/4) // every fifth repeats the one before
				writeAnyhow(t, nodes[w%2], put(id, id), acknowledged)
			}
		})
	}
	all.Wait()
	close(acknowledged)
	entries := readAll(t, log)
	wantChain(t, entries)
	if want := 1 + writers*each*4/5; len(entries) != want {
		t.Errorf("%d entries, want %d", len(entries), want)
	}
	for e := range acknowledged {
		if diff := cmp.Diff(entries[e.Revision-1], e, same); diff != "" {
			t.Errorf("acknowledged (-record +got):\n%s", diff)
		}
	}
	for _, n := range nodes {
		wantState(t, n.view(policy.Revision(len(entries))), entries)
	}
}

// writeAnyhow writes until there is no contention.
func writeAnyhow(t *testing.T, n *node, w policystore.Write, acknowledged chan<- policystore.Entry) {
	for {
		e, err := n.authority.Write(contextOf(t), w)
		switch {
		case err == nil:
			acknowledged <- e
			return
		case !errors.Is(err, policystore.ErrContention):
			t.Errorf("Write(%s) = %v", w.RequestID, err)
			return
		}
	}
}

// A write that rests on what another authority has just written is not refused for what this one has yet to read.
func testWriteAfterAnother(t *testing.T, open func() policystore.Log) {
	log, late := open(), &restorable{}
	late.become(log) // it looks now and then only
	one, other := startNode(t, log, log), startNode(t, late, late)
	for i := range 30 {
		parent, child := fmt.Sprint("parent", i), fmt.Sprint("child", i)
		first := one.write(put(parent, parent))
		w := put(child, child)
		w.Prepare = func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) {
			return []policy.Change{{Put: &policy.Organization{ID: child, Parent: parent}}}, nil
		}
		w.ValidateOnly = i%2 == 1
		if e := other.write(w); e.Revision != first.Revision+1 {
			t.Errorf("%s is entry %d, want the one after its parent's, %d", child, e.Revision, first.Revision)
		}
	}
	w := put("orphan", "orphan")
	w.Prepare = func(v policystore.View, at policy.Instant, _ policy.Revision) ([]policy.Change, error) {
		e := follower(v.Position, at, "another", fmt.Sprint("busy-", v.Position.Revision), encode(t))
		if _, err := log.Append(contextOf(t), v.Position, e); err != nil {
			t.Error(err)
		}
		return []policy.Change{{Put: &policy.Organization{ID: "orphan", Parent: "nobody"}}}, nil
	}
	_, err := other.authority.Write(contextOf(t), w)
	if _, ok := errors.AsType[*policy.ReferenceError](err); !ok {
		t.Errorf("Write while others write all the time = %v, want what is wrong with it", err)
	}
}
