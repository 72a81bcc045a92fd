package policystore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

// keeping has a replica keep a local checkpoint in a file.
func keeping(file string) func(*policystore.ReplicaConfig) {
	return func(c *policystore.ReplicaConfig) { c.Local = file }
}

// keptLocally returns a file with a local checkpoint of entries that were proven when it was written.
func keptLocally(t *testing.T, h []policystore.Entry, change ...func(*policystore.ReplicaConfig)) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy")
	t.Run("keep", func(t *testing.T) {
		playOf(t, 1, func(t *testing.T, c *choice) {
			c.give(h...)
			c.prove(h[len(h)-1].Position())
		}, append(change, keeping(file))...)
	})
	return file
}

// A replica that finds nothing reachable goes on from its local checkpoint: EXPIRED, as old as its last proof, until there is
// another.
func TestLocalCheckpoint(t *testing.T) {
	h := history(t, 4)
	file := keptLocally(t, h[:3])
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.pass(2 * time.Second)
		v, err := c.replica.View(t.Context(), policystore.Demand{})
		if err != nil || v.Position != h[2].Position() || v.Freshness.State != policystore.Expired || v.Freshness.Spent || v.Freshness.Source != "local" {
			t.Fatalf("View = %s, %+v, %v, want %s, EXPIRED and not spent, from the local checkpoint", v.Position, v.Freshness, err, h[2].Position())
		}
		if v.Freshness.Age < 2*time.Second || v.Freshness.Age > 3*time.Second {
			t.Errorf("its age is %s, want some two seconds since the last proof", v.Freshness.Age)
		}
		if v.Organization("o3") == nil {
			t.Error("the policy is not what was kept")
		}
		c.give(h[3])
		c.want2(h[3].Position(), policystore.Expired)
		c.prove(h[3].Position())
		c.want2(h[3].Position(), policystore.Fresh)
		if began := c.began(); began[0] != h[2].Position() {
			t.Errorf("it follows from %s, want from %s", began[0], h[2].Position())
		}
	}, keeping(file))
}

// Where the record was rewound since, the proof beside it tells no age of what is applied.
func TestLocalCheckpointOfAFormerEpoch(t *testing.T) {
	h := history(t, 6)
	second := rewoundAfter(h, 3)
	rewound := checkpointAt(t, second[:4])
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.pass(2 * time.Second)
		c.want2(h[4].Position(), policystore.Expired)
		c.fail(policystore.ErrEpoch)
		c.pass(time.Second)
		c.give(second[4])
		v, err := c.replica.View(t.Context(), policystore.Demand{})
		if err != nil || v.Position != second[4].Position() || v.Freshness.Age != policystore.Never || !v.Freshness.Spent {
			t.Errorf("View = %s, %+v, %v, want %s, of unknown age and spent", v.Position, v.Freshness, err, second[4].Position())
		}
		c.prove(second[4].Position())
		c.want2(second[4].Position(), policystore.Fresh)
	}, keeping(keptLocally(t, h[:5])), stocked(&rewound))
}

// One that is more than a day old is EXPIRED and permits nothing, whatever it is copied to, until there is a proof.
func TestLocalCheckpointOfLongAgo(t *testing.T) {
	h := history(t, 2)
	file := keptLocally(t, h)
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.pass(25 * time.Hour)
		v, err := c.replica.View(t.Context(), policystore.Demand{})
		if err != nil || !v.Freshness.Spent || v.Freshness.State != policystore.Expired {
			t.Errorf("View = %+v, %v, want EXPIRED and spent", v.Freshness, err)
		}
		c.prove(h[1].Position())
		c.want2(h[1].Position(), policystore.Fresh)
	}, keeping(file))
	if err := os.Remove(file + ".proof"); err != nil {
		t.Fatal(err)
	}
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.pass(time.Second)
		if v, err := c.replica.View(t.Context(), policystore.Demand{}); err != nil || !v.Freshness.Spent || v.Freshness.Age != policystore.Never {
			t.Errorf("without its proof View = %+v, %v, want an unknown age and spent", v.Freshness, err)
		}
	}, keeping(file))
}

// A local checkpoint that is not whole, or of another record, is refused, and the source is read from the beginning.
func TestLocalCheckpointRefused(t *testing.T) {
	h := history(t, 2)
	good, err := os.ReadFile(keptLocally(t, h))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"cut short":         func(b []byte) []byte { return b[:len(b)-1] },
		"cut in half":       func(b []byte) []byte { return b[:len(b)/2] },
		"a bit flipped":     func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"its sum flipped":   func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"something else":    func([]byte) []byte { return []byte(strings.Repeat("notes ", 100)) },
		"of another domain": func(b []byte) []byte { return redomained(t, b) },
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy")
			if err := os.WriteFile(file, change(bytes.Clone(good)), 0o600); err != nil {
				t.Fatal(err)
			}
			playOf(t, 1, func(t *testing.T, c *choice) {
				c.pass(time.Second)
				if v, err := c.replica.View(t.Context(), policystore.Demand{}); !errors.Is(err, policystore.ErrUnavailable) {
					t.Errorf("View = %s, %v, want ErrUnavailable", v.Position, err)
				}
				c.give(h...)
				c.prove(h[1].Position())
				c.want2(h[1].Position(), policystore.Fresh)
			}, keeping(file))
			again, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := policystore.DecodeCheckpoint(again); err != nil {
				t.Errorf("a good one has not taken its place: %v", err)
			}
		})
	}
}

// redomained is the checkpoint as it would be of another record.
func redomained(t *testing.T, b []byte) []byte {
	t.Helper()
	c, err := policystore.DecodeCheckpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	c.Domain = "another"
	b, err = policystore.EncodeCheckpoint(&c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A replica never serves less than its local checkpoint holds, whatever its source has.
func TestLocalCheckpointAheadOfTheSource(t *testing.T) {
	h := history(t, 3)
	file := keptLocally(t, h)
	older := checkpointAt(t, h[:1])
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.fail(policystore.ErrCompacted)
		c.pass(10 * time.Second)
		v, err := c.replica.View(t.Context(), policystore.Demand{})
		if err != nil || v.Position != h[2].Position() {
			t.Errorf("View = %s, %v, want %s", v.Position, err, h[2].Position())
		}
	}, keeping(file), stocked(&older))
}

// What is kept is kept again when there is more, and the proof beside it when it is newer.
func TestLocalCheckpointIsKept(t *testing.T) {
	h := history(t, 3)
	file := filepath.Join(t.TempDir(), "policy")
	at := func() policystore.Position {
		b, err := os.ReadFile(file)
		if err != nil {
			return policystore.Position{}
		}
		c, err := policystore.DecodeCheckpoint(b)
		if err != nil {
			t.Error(err)
		}
		return c.Position
	}
	proven := func() time.Time {
		b, err := os.ReadFile(file + ".proof")
		if err != nil {
			return time.Time{}
		}
		p, err := policystore.DecodeHead(b)
		if err != nil {
			t.Error(err)
		}
		return p.IssuedTime
	}
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.give(h[0])
		c.keeps(h[0].Position(), 15*time.Second)
		if p := at(); p != h[0].Position() {
			t.Errorf("after the first entry %s is kept", p)
		}
		if age := time.Since(proven()); age > 11*time.Second {
			t.Errorf("the proof that is kept is %s old, want at most about ten seconds", age)
		}
		c.give(h[1])
		c.keeps(h[1].Position(), 20*time.Second)
		if p := at(); p != h[0].Position() {
			t.Errorf("within a minute %s is kept, want %s still", p, h[0].Position())
		}
		c.keeps(h[1].Position(), 60*time.Second)
		if p := at(); p != h[1].Position() {
			t.Errorf("after a minute %s is kept, want %s", p, h[1].Position())
		}
		c.give(h[2])
		c.prove(h[2].Position())
	}, keeping(file))
	if p := at(); p != h[2].Position() {
		t.Errorf("at the end %s is kept, want %s", p, h[2].Position())
	}
}
