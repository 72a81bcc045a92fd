package storetest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

func testEmpty(t *testing.T, open func() policystore.Log) {
	log, ctx := open(), contextOf(t)
	wantEntries(t, log, nil)
	if _, err := log.Request(ctx, "writer", "o1"); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Request = %v, want ErrNotFound", err)
	}
	if _, err := log.Checkpoint(ctx); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Checkpoint = %v, want ErrNotFound", err)
	}
}

func testAppend(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	var all []policystore.Entry
	for range 3 {
		e := c.next()
		got, err := log.Append(contextOf(t), c.at, e)
		if diff := cmp.Diff(e, got, same); err != nil || diff != "" {
			t.Fatalf("Append = %v (-want +got):\n%s", err, diff)
		}
		c.add(got)
		all = append(all, e)
		wantEntries(t, log, all)
	}
	for _, e := range all {
		got, err := log.Request(contextOf(t), e.Principal, e.RequestID)
		if diff := cmp.Diff(e, got, same); err != nil || diff != "" {
			t.Errorf("Request(%s) = %v (-want +got):\n%s", e.RequestID, err, diff)
		}
	}
}

// An entry goes after the head and nowhere else.
func testConflict(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	all := c.grow(log, 3)
	head := all[2].Position()
	next := c.next()
	ahead := next.Position()
	for name, after := range map[string]policystore.Position{
		"behind":        all[1].Position(),
		"at birth":      {},
		"ahead":         ahead,
		"another hash":  {Epoch: 1, Revision: head.Revision, Hash: ahead.Hash},
		"another epoch": {Epoch: 2, Revision: head.Revision, Hash: head.Hash},
	} {
		e := follower(after, c.time+1, "writer", "new", encode(t))
		if _, err := log.Append(contextOf(t), after, e); !errors.Is(err, policystore.ErrConflict) {
			t.Errorf("%s: Append = %v, want ErrConflict", name, err)
		}
	}
	wantEntries(t, log, all)
}

// A request id is its principal's for ever.
func testDuplicate(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	all := c.grow(log, 2)
	e := c.entry("writer", all[0].RequestID, encode(t))
	_, err := log.Append(contextOf(t), c.at, e)
	duplicate, ok := errors.AsType[*policystore.DuplicateError](err)
	if !ok {
		t.Fatalf("Append = %v, want a DuplicateError", err)
	}
	if diff := cmp.Diff(all[0], duplicate.Entry, same); diff != "" {
		t.Errorf("the entry that has the request id (-want +got):\n%s", diff)
	}
	wantEntries(t, log, all)
	other, err := log.Append(contextOf(t), c.at, c.entry("another", all[0].RequestID, encode(t)))
	if err != nil {
		t.Fatalf("Append for another principal = %v", err)
	}
	wantEntries(t, log, append(all, other))
	_, err = log.Append(contextOf(t), all[0].Position(), all[1])
	if _, ok := errors.AsType[*policystore.DuplicateError](err); !ok && !errors.Is(err, policystore.ErrConflict) {
		t.Errorf("appending an entry again = %v, want ErrConflict or a DuplicateError", err)
	}
}

// What is stored is what was given, byte for byte.
func testContents(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	var all []policystore.Entry
	for _, change := range []func(*policystore.Entry){
		func(e *policystore.Entry) { e.Payload = []byte{} },
		func(e *policystore.Entry) { e.Payload = []byte{0, 255, 0} },
		func(e *policystore.Entry) { e.Signature = []byte{0, 1, 2} },
		func(e *policystore.Entry) { e.Reason, e.Method = "停止\x00 'a' \"b\" ; --", "" },
		func(e *policystore.Entry) { e.Principal, e.RequestID = "spiffe://example.org/ü", "A" },
		func(e *policystore.Entry) { e.Principal, e.RequestID = "spiffe://example.org/ü", "a" },
		func(e *policystore.Entry) { e.Time = 253402300799_999_999 },
	} {
		e := c.next()
		change(&e)
		e.Hash = e.Sum(Domain)
		if _, err := log.Append(contextOf(t), c.at, e); err != nil {
			t.Fatalf("Append = %v", err)
		}
		c.add(e)
		all = append(all, e)
	}
	got := readAll(t, open())
	if diff := cmp.Diff(all, got, same); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
	for _, e := range got {
		if sum := e.Sum(Domain); sum != e.Hash {
			t.Errorf("entry %d hashes to %s, want %s", e.Revision, sum, e.Hash)
		}
	}
}

func testRead(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	all := c.grow(log, 10)
	for _, want := range []struct {
		from policy.Revision
		n    int
		got  []policystore.Entry
	}{{1, 3, all[:3]}, {4, 3, all[3:6]}, {9, 5, all[8:]}, {10, 1, all[9:]}, {11, 5, nil}} {
		got, err := log.Read(contextOf(t), want.from, want.n)
		if diff := cmp.Diff(want.got, got, same); err != nil || diff != "" {
			t.Errorf("Read(%d, %d) = %v (-want +got):\n%s", want.from, want.n, err, diff)
		}
	}
}

// Entries of the largest size are stored, and however many they are, they can all be read.
func testLargeEntries(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	var all []policystore.Entry
	for i := range 12 {
		e := c.entry("writer", string(rune('a'+i)), bytes.Repeat([]byte{byte(i)}, policystore.MaxEntrySize-1024))
		if size := e.Size(); size > policystore.MaxEntrySize {
			t.Fatalf("an entry of %d bytes", size)
		}
		if _, err := log.Append(contextOf(t), c.at, e); err != nil {
			t.Fatalf("Append = %v", err)
		}
		c.add(e)
		all = append(all, e)
	}
	if got := readAll(t, log); !cmp.Equal(got, all, same) {
		t.Errorf("%d large entries were not read as they were written", len(all))
	}
}

func testCancelled(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	all := c.grow(log, 1)
	ctx, cancel := context.WithCancel(contextOf(t))
	cancel()
	if _, err := log.Append(ctx, c.at, c.next()); err == nil {
		t.Error("Append succeeds after its context ended")
	}
	if _, err := log.Read(ctx, 1, 1); err == nil {
		t.Error("Read succeeds after its context ended")
	}
	wantEntries(t, log, all)
}

func testReopen(t *testing.T, open func() policystore.Log) {
	c := chain{t: t}
	var all []policystore.Entry
	for range 3 {
		log := open()
		wantEntries(t, log, all)
		all = append(all, c.grow(log, 2)...)
	}
	wantEntries(t, open(), all)
}

// Whoever appends at the head at the same time, there is one history, and every entry is of it once.
func testConcurrentAppends(t *testing.T, open func() policystore.Log) {
	const writers, each = 4, 25
	log, ctx := open(), contextOf(t)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				appendAnyhow(t, ctx, log, string(rune('a'+w)), string(rune('a'+i)))
			}
		})
	}
	all.Wait()
	entries := readAll(t, log)
	if len(entries) != writers*each {
		t.Errorf("%d entries, want %d", len(entries), writers*each)
	}
	wantChain(t, entries)
}

// appendAnyhow appends at the head until nobody else was first.
func appendAnyhow(t *testing.T, ctx context.Context, log policystore.Log, principal, request string) {
	for {
		head, err := log.Head(ctx)
		if err != nil {
			t.Errorf("Head = %v", err)
			return
		}
		e := follower(head, policy.Instant(head.Revision), principal, request, nil)
		switch _, err := log.Append(ctx, head, e); {
		case err == nil:
			return
		case !errors.Is(err, policystore.ErrConflict):
			t.Errorf("Append = %v", err)
			return
		}
	}
}

// wantChain checks that the entries are one history from birth.
func wantChain(t *testing.T, entries []policystore.Entry) {
	t.Helper()
	var at policystore.Position
	var last policy.Instant
	for i := range entries {
		if err := entries[i].Follows(at, last, Domain); err != nil {
			t.Fatal(err)
		}
		at, last = entries[i].Position(), entries[i].Time
	}
}

// Of those who append the same request at the same time one does, and the others learn of it.
func testConcurrentRequest(t *testing.T, open func() policystore.Log) {
	log, ctx, c := open(), contextOf(t), chain{t: t}
	c.grow(log, 1)
	e := c.entry("writer", "once", encode(t))
	var all sync.WaitGroup
	var mu sync.Mutex
	appended := 0
	for range 8 {
		all.Go(func() {
			_, err := log.Append(ctx, c.at, e)
			_, duplicate := errors.AsType[*policystore.DuplicateError](err)
			if err != nil && !duplicate && !errors.Is(err, policystore.ErrConflict) {
				t.Errorf("Append = %v, want ErrConflict or a DuplicateError", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				appended++
			}
		})
	}
	all.Wait()
	if appended != 1 {
		t.Errorf("%d appended the one request", appended)
	}
	wantChain(t, readAll(t, log))
}
