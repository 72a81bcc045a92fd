package policystore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// impossible is a payload that cannot be folded: a statement about no directive.
func impossible(t *testing.T) []byte {
	t.Helper()
	payload, err := policystore.EncodeChanges([]policy.Change{{Put: &policy.Statement{Directive: "none", ID: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// A replica begins at a checkpoint, which counts when the source has its place in the log.
func TestRestore(t *testing.T) {
	h := history(t, 3)
	c := checkpointAt(t, h[:2])
	playFrom(t, &c, func(t *testing.T, s *stage) {
		if _, err := s.replica.View(t.Context(), policystore.Demand{}); !errors.Is(err, policystore.ErrUnavailable) {
			t.Errorf("View before the source has confirmed = %v, want ErrUnavailable", err)
		}
		s.prove(h[1].Position())
		s.want(h[1].Position(), fresh, 0)
		s.give(h[2])
		s.want(h[2].Position(), fresh, 0)
		if began := s.began(); len(began) != 1 || began[0] != h[1].Position() {
			t.Errorf("tails began at %v", began)
		}
	})
}

// A checkpoint that does not verify is not used: the entries are read instead, as far as there are any.
func TestRestoreRefuses(t *testing.T) {
	h := history(t, 3)
	for name, change := range map[string]func(*policystore.Checkpoint){
		"another domain":       func(c *policystore.Checkpoint) { c.Domain = "other" },
		"another fold version": func(c *policystore.Checkpoint) { c.FoldVersion++ },
		"another state hash":   func(c *policystore.Checkpoint) { c.StateHash[0]++ },
		"another position":     func(c *policystore.Checkpoint) { c.Position.Revision++ },
		"another time":         func(c *policystore.Checkpoint) { c.Time++ },
		"a body cut short":     func(c *policystore.Checkpoint) { c.Body = c.Body[:len(c.Body)-1] },
		"a body of one byte":   func(c *policystore.Checkpoint) { c.Body = []byte{0} },
		"no body":              func(c *policystore.Checkpoint) { c.Body = nil },
		"a bit flipped":        func(c *policystore.Checkpoint) { c.Body[len(c.Body)/2] ^= 1 },
		"a chunk dropped":      func(c *policystore.Checkpoint) { c.Body = c.Body[:4+int(c.Body[3])] },
	} {
		t.Run(name, func(t *testing.T) {
			c := checkpointAt(t, h[:2])
			change(&c)
			playFrom(t, &c, func(t *testing.T, s *stage) {
				s.give(h...)
				s.prove(h[2].Position())
				s.want(h[2].Position(), fresh, 0)
				if began := s.began(); len(began) != 1 || began[0] != (policystore.Position{}) {
					t.Errorf("tails began at %v", began)
				}
			})
			playFrom(t, &c, func(t *testing.T, s *stage) {
				s.fail(policystore.ErrCompacted)
				s.wait()
				if err := s.replica.WaitReady(t.Context()); !errors.Is(err, policystore.ErrFrozen) {
					t.Errorf("WaitReady = %v, want ErrFrozen", err)
				}
			})
		})
	}
}

// A replica whose source has forgotten what follows goes on from a later checkpoint, and never from an earlier one.
func TestCompacted(t *testing.T) {
	h := history(t, 5)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[:2]...)
		changed := s.replica.Changed()
		s.store(checkpointAt(t, h[:4]))
		s.fail(policystore.ErrCompacted)
		s.wait()
		s.prove(h[3].Position())
		<-changed
		s.want(h[3].Position(), fresh, 0)
		s.store(checkpointAt(t, h[:3]))
		s.fail(policystore.ErrCompacted)
		s.wait()
		s.give(h[4])
		s.want(h[4].Position(), fresh, s.age())
	})
}

// A body is the deterministic marshalling of the one message, in pieces, and its state hash is that of the whole.
func TestCheckpointIsOneMessage(t *testing.T) {
	s := policy.New()
	var changes []policy.Change
	for i := range 5000 {
		changes = append(changes, policy.Change{Put: &policy.Organization{ID: fmt.Sprint("o", i), Names: policy.TextOf(map[string]string{"en": fmt.Sprint("name ", i), "ja": "名"})}})
	}
	s, err := s.Apply(7, changes)
	if err != nil {
		t.Fatal(err)
	}
	v := policystore.View{Snapshot: s, Position: policystore.Position{Epoch: 1, Revision: 7, Hash: policystore.Hash{1}}, Time: 5}
	c, err := policystore.NewCheckpoint(domain, v)
	if err != nil {
		t.Fatal(err)
	}
	m := &teishiv1.Checkpoint{
		Domain: domain, Epoch: 1, Revision: 7, Hash: v.Position.Hash[:],
		LastEntryTime: policystore.InstantToProto(5), FoldVersion: policystore.FoldVersion,
	}
	for r, changed := range s.All() {
		m.Resources = append(m.Resources, &teishiv1.StoredResource{Resource: policystore.ResourceToProto(r, 0), Revision: int64(changed)})
	}
	whole, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if want := policystore.Hash(sha256.Sum256(whole)); c.StateHash != want {
		t.Errorf("the state hash is %s, want %s", c.StateHash, want)
	}
	again, err := policystore.NewCheckpoint(domain, v)
	if err != nil || !cmp.Equal(c, again, cmp.Comparer(bytes.Equal)) {
		t.Errorf("another checkpoint of the same state differs (%v)", err)
	}
	t.Logf("%d bytes, %d compressed", len(whole), len(c.Body))
}
