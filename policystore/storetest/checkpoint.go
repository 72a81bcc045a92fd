package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// storeCheckpoint stores what the view holds, if the log is an archive.
func storeCheckpoint(t *testing.T, log policystore.Log, v policystore.View) {
	t.Helper()
	archive, ok := log.(policystore.Archive)
	if !ok {
		return
	}
	c, err := policystore.NewCheckpoint(Domain, v)
	if err == nil {
		err = archive.StoreCheckpoint(contextOf(t), c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func testCheckpoints(t *testing.T, open func() policystore.Log) {
	log := open()
	archive, ok := log.(policystore.Archive)
	if !ok {
		t.Skip("the store keeps no checkpoints")
	}
	n := startNode(t, log, log)
	want, err := policystore.NewCheckpoint(Domain, n.view(1))
	if err != nil {
		t.Fatal(err)
	}
	want.Signature = []byte{0, 1, 2}
	if err := archive.StoreCheckpoint(contextOf(t), want); err != nil {
		t.Fatalf("StoreCheckpoint = %v", err)
	}
	n.write(put("r", "o"))
	got, err := log.Checkpoint(contextOf(t))
	if diff := cmp.Diff(want, got, same); err != nil || diff != "" {
		t.Errorf("Checkpoint = %v (-want +got):\n%s", err, diff)
	}
	for name, change := range map[string]func(*policystore.Checkpoint){
		"of another domain":  func(c *policystore.Checkpoint) { c.Domain = "another" },
		"of another history": func(c *policystore.Checkpoint) { c.Position.Hash[0]++ },
		"of another epoch":   func(c *policystore.Checkpoint) { c.Position.Epoch++ },
		"past the head":      func(c *policystore.Checkpoint) { c.Position.Revision = 3 },
	} {
		bad := want
		if change(&bad); archive.StoreCheckpoint(contextOf(t), bad) == nil {
			t.Errorf("a checkpoint %s is stored", name)
		}
	}
	n.stop()
	log = open()
	if got, err := log.Checkpoint(contextOf(t)); !cmp.Equal(want, got, same) || err != nil {
		t.Errorf("after reopening, Checkpoint = %s, %v", got.Position, err)
	}
	wantState(t, startNode(t, log, log).view(2), readAll(t, log))
}

// The newest two checkpoints are kept, and the newest at or before a revision is found.
func testCheckpointsKept(t *testing.T, open func() policystore.Log) {
	log := open()
	archive, ok := log.(policystore.Archive)
	if !ok {
		t.Skip("the store keeps no checkpoints")
	}
	n := startNode(t, log, log)
	for i := policy.Revision(1); i <= 6; i++ {
		storeCheckpoint(t, log, n.view(i))
		n.write(put(string(rune('a'+i)), string(rune('a'+i))))
	}
	for at, want := range map[policy.Revision]policy.Revision{5: 5, 6: 6, 7: 6} {
		if c, err := archive.CheckpointAt(contextOf(t), at); err != nil || c.Position.Revision != want {
			t.Errorf("CheckpointAt(%d) = %s, %v, want %d", at, c.Position, err, want)
		}
	}
}
