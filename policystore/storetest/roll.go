package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/teishi-dev/teishi/policystore"
)

// Who has reported is a member until it is forgotten, as it last reported, in whatever process it did.
func testRoll(t *testing.T, open func() policystore.Log) {
	roll, ok := open().(policystore.Roll)
	if !ok {
		t.Skip("the store keeps no roll")
	}
	first := policystore.Member{
		ID:        "a/1",
		Position:  policystore.Position{Epoch: 1, Revision: 7, Hash: policystore.Hash{1}},
		StateHash: policystore.Hash{2},
		Freshness: policystore.Freshness{State: policystore.Stale, Age: 6 * time.Second, Source: "redis"},
		Version:   "v1", Authority: "authority-0",
	}
	second := policystore.Member{ID: "b", Freshness: policystore.Freshness{Age: policystore.Never}}
	wantMembers(t, roll)
	enrol(t, roll, second, first)
	wantMembers(t, roll, first, second)
	first.Position.Revision, first.Freshness.State, first.Authority = 8, policystore.Fresh, "authority-1"
	enrol(t, roll, first)
	roll = open().(policystore.Roll)
	wantMembers(t, roll, first, second)
	if err := roll.Forget(contextOf(t), "b"); err != nil {
		t.Errorf("Forget = %v", err)
	}
	if err := roll.Forget(contextOf(t), "b"); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Forget again = %v, want ErrNotFound", err)
	}
	wantMembers(t, roll, first)
	enrol(t, roll, second)
	wantMembers(t, roll, first, second)
}

func enrol(t *testing.T, roll policystore.Roll, members ...policystore.Member) {
	t.Helper()
	if err := roll.Enrol(contextOf(t), members); err != nil {
		t.Fatalf("Enrol = %v", err)
	}
}

func wantMembers(t *testing.T, roll policystore.Roll, want ...policystore.Member) {
	t.Helper()
	got, err := roll.Members(contextOf(t))
	bare := cmpopts.IgnoreFields(policystore.Member{}, "Reported", "Silence")
	if diff := cmp.Diff(want, got, bare, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("Members = %v (-want +got):\n%s", err, diff)
	}
	for _, m := range got {
		if m.Reported.IsZero() || m.Silence < 0 || m.Silence > watchdog {
			t.Errorf("member %s reported at %s, and is silent for %s", m.ID, m.Reported, m.Silence)
		}
	}
}
