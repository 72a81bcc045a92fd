// Package storetest is what every store of records must pass: one suite for all of them, run against the real thing.
//
//	Run        a policystore.Log: append, compare, find, read, survive, and be written by an Authority
//	RunSource  a policystore.Source: follow without a gap, with proofs, and notice another history
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Domain is that of every record that the suites open.
const Domain = "storetest"

// watchdog ends a test whose condition never comes.
const watchdog = 60 * time.Second

// Run runs the whole suite. Fresh makes a new empty store for the test and returns how to open it: every call of what it
// returns closes what was open before.
func Run(t *testing.T, fresh func(t *testing.T) (open func() policystore.Log)) {
	for name, test := range map[string]func(*testing.T, func() policystore.Log){
		"Empty":             testEmpty,
		"Append":            testAppend,
		"Conflict":          testConflict,
		"Duplicate":         testDuplicate,
		"Contents":          testContents,
		"Read":              testRead,
		"LargeEntries":      testLargeEntries,
		"Cancelled":         testCancelled,
		"AppendIsFinished":  testAppendIsFinished,
		"Closed":            testClosed,
		"Reopen":            testReopen,
		"ConcurrentAppends": testConcurrentAppends,
		"ConcurrentRequest": testConcurrentRequest,
		"Checkpoints":       testCheckpoints,
		"CheckpointsKept":   testCheckpointsKept,
		"Write":             testWrite,
		"WriteTime":         testWriteTime,
		"WriteRepeated":     testWriteRepeated,
		"WriteRefused":      testWriteRefused,
		"WriteTooLarge":     testWriteTooLarge,
		"WriteValidateOnly": testWriteValidateOnly,
		"WriteConflict":     testWriteConflict,
		"WriteUnknown":      testWriteUnknown,
		"WriteConcurrently": testWriteConcurrently,
		"WriteAfterAnother": testWriteAfterAnother,
		"Birth":             testBirth,
		"History":           testHistory,
		"Verify":            testVerify,
		"VerifyForged":      testVerifyForged,
		"Roll":              testRoll,
		"Epochs":            testEpochs,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	for name, test := range map[string]func(t *testing.T, whole, short func() policystore.Log){
		"Repair":         testRepair,
		"RepairPasses":   testRepairPasses,
		"RepairUnheard":  testRepairUnheard,
		"RewindRepeats":  testRewindRepeats,
		"RepairRefuses":  testRepairRefuses,
		"RepairUnsigned": testRepairUnsigned,
		"Rewind":         testRewind,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t), fresh(t)) })
	}
	RunSource(t, func(t *testing.T) Followed {
		log := fresh(t)()
		return Followed{Log: log, Source: log}
	})
}

// Followed is a record and a source that follows it; they may be the same.
type Followed struct {
	Log    policystore.Log
	Source policystore.Source
}

// same takes nothing for nothing, whether nil or not.
var same = cmp.Options{
	cmp.Comparer(bytes.Equal),
	cmp.FilterValues(func(a, b []policystore.Entry) bool { return len(a)+len(b) == 0 }, cmp.Comparer(func(_, _ []policystore.Entry) bool { return true })),
}

// contextOf returns a context that ends with the test, and ends a test that hangs.
func contextOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), watchdog)
	t.Cleanup(cancel)
	return ctx
}

// chain makes entries that follow each other.
type chain struct {
	t    *testing.T
	at   policystore.Position
	time policy.Instant
}

// next returns an entry that registers an organization named after its revision.
func (c *chain) next() policystore.Entry {
	c.t.Helper()
	id := fmt.Sprintf("o%d", c.at.Revision+1)
	return c.entry("writer", id, encode(c.t, policy.Change{Put: &policy.Organization{ID: id}}))
}

// entry returns the entry that follows with this payload; add moves on to it.
func (c *chain) entry(principal, request string, payload []byte) policystore.Entry {
	return follower(c.at, c.time+1000, principal, request, payload)
}

func (c *chain) add(e policystore.Entry) { c.at, c.time = e.Position(), e.Time }

// follower returns an entry after p.
func follower(p policystore.Position, at policy.Instant, principal, request string, payload []byte) policystore.Entry {
	e := policystore.Entry{
		Epoch:         max(1, p.Epoch),
		Revision:      p.Revision + 1,
		Time:          at,
		Principal:     principal,
		Method:        "teishi.v1.RegistryService/PutOrganization",
		RequestID:     request,
		RequestDigest: policystore.RequestDigest("method", []byte(request)),
		Reason:        "a test",
		Payload:       payload,
		PreviousHash:  p.Hash,
	}
	e.Hash = e.Sum(Domain)
	return e
}

func encode(t *testing.T, changes ...policy.Change) []byte {
	t.Helper()
	payload, err := policystore.EncodeChanges(changes)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// grow appends n entries and returns them.
func (c *chain) grow(log policystore.Log, n int) []policystore.Entry {
	c.t.Helper()
	entries := make([]policystore.Entry, n)
	for i := range entries {
		e, err := log.Append(contextOf(c.t), c.at, c.next())
		if err != nil {
			c.t.Fatalf("Append(%s) = %v", c.at, err)
		}
		c.add(e)
		entries[i] = e
	}
	return entries
}

// wantEntries checks that the record has these entries and no more.
func wantEntries(t *testing.T, log policystore.Log, want []policystore.Entry) {
	t.Helper()
	got := readAll(t, log)
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
	head := policystore.Position{}
	if len(want) > 0 {
		head = want[len(want)-1].Position()
	}
	if p, err := log.Head(contextOf(t)); p != head || err != nil {
		t.Errorf("Head = %s, %v, want %s", p, err, head)
	}
}

func readAll(t *testing.T, log policystore.Log) []policystore.Entry {
	t.Helper()
	var all []policystore.Entry
	for {
		entries, err := log.Read(contextOf(t), policy.Revision(len(all)+1), 1000)
		if err != nil {
			t.Fatalf("Read(%d) = %v", len(all)+1, err)
		}
		if len(entries) == 0 {
			return all
		}
		all = append(all, entries...)
	}
}
