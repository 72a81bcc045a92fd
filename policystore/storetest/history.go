package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// A record is born once, and an example is loaded into a new one only.
func testBirth(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	if err := policystore.Initialize(contextOf(t), log, Domain, nil); err != nil {
		t.Errorf("Initialize again = %v", err)
	}
	birth := readAll(t, log)
	if len(birth) != 1 || birth[0].Principal != "system" || birth[0].RequestID != "birth" || birth[0].Method != "birth" || birth[0].Epoch != 1 {
		t.Fatalf("the record is born as %+v", birth)
	}
	if v := n.view(1); v.Purpose("feedback.opinion") == nil || v.Purpose("feedback") == nil || v.Attribute("data-sensitivity") == nil {
		t.Error("a record is born without the shipped purposes and attributes")
	}
	changes := []policy.Change{{Put: &policy.Organization{ID: "jp"}}, {Put: &policy.Organization{ID: "jp-mic", Parent: "jp"}}}
	e, err := policystore.Load(contextOf(t), n.authority, "line-2021", changes)
	if err != nil || e.Revision != 2 || e.RequestID != "example/line-2021" || e.Method != "load" {
		t.Errorf("Load = %+v, %v", e, err)
	}
	for range 2 {
		if _, err := policystore.Load(contextOf(t), n.authority, "line-2021", changes); !errors.Is(err, policystore.ErrNotEmpty) {
			t.Errorf("Load again = %v, want ErrNotEmpty", err)
		}
	}
	wantEntries(t, log, readAll(t, log)[:2])
}

// Whatever revision or instant is asked for, in whatever order, it is what the entries up to there fold into.
func testHistory(t *testing.T, open func() policystore.Log) {
	const last = 60
	log := open()
	n := startNode(t, log, log)
	for i := 2; i <= last; i++ {
		n.write(put(fmt.Sprint("r", i), fmt.Sprint("o", i)))
		if i == 20 || i == 40 {
			storeCheckpoint(t, log, n.view(policy.Revision(i)))
		}
	}
	entries := readAll(t, log)
	h := policystore.NewHistory(log, Domain)
	for _, at := range []policy.Revision{last, 1, 20, 19, 21, 60, 45, 39, 40, 5, 30, 30, 58, 2, 59, 41} {
		v, err := h.At(contextOf(t), at)
		if err != nil || v.Position != entries[at-1].Position() || v.Time != entries[at-1].Time {
			t.Fatalf("At(%d) = %s, %v", at, v.Position, err)
		}
		wantState(t, v, entries)
	}
	for _, at := range []policy.Revision{0, -1, last + 1} {
		if _, err := h.At(contextOf(t), at); !errors.Is(err, policystore.ErrNotFound) {
			t.Errorf("At(%d) = %v, want ErrNotFound", at, err)
		}
	}
	for i, e := range entries {
		want := policy.Revision(i + 1)
		for int(want) < last && entries[want].Time == e.Time {
			want++
		}
		if v, err := h.AtTime(contextOf(t), e.Time); err != nil || v.Position.Revision != want {
			t.Errorf("AtTime(that of entry %d) = %s, %v, want %d", e.Revision, v.Position, err, want)
		}
	}
	if v, err := h.AtTime(contextOf(t), policy.Forever); err != nil || v.Position.Revision != last {
		t.Errorf("AtTime(forever) = %s, %v", v.Position, err)
	}
	if _, err := h.AtTime(contextOf(t), entries[0].Time-1); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("AtTime(before birth) = %v, want ErrNotFound", err)
	}
}
