package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// server is a record with a replica and an authority.
type server struct {
	log       *sqlite.Log
	replica   *policystore.Replica
	authority *policystore.Authority
}

// serve starts a server of a record until the test ends.
func serve(t *testing.T, path string) *server {
	t.Helper()
	log := openRecord(t, sqlite.Config{Path: path})
	if err := policystore.Initialize(t.Context(), log, sqlite.DefaultDomain, nil); err != nil {
		t.Fatal(err)
	}
	s := &server{log: log, replica: policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: log, Record: true}}, Domain: sqlite.DefaultDomain})}
	s.authority = policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: s.replica})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- s.replica.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return s
}

func (s *server) write(t *testing.T, i int) policystore.Entry {
	t.Helper()
	e, err := s.authority.Write(t.Context(), storetest.Put(fmt.Sprint("o", i)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// recordOf makes a record of n entries with a checkpoint at 4, and at others.
func recordOf(t *testing.T, n int, others ...int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "teishi.db")
	t.Run("record", func(t *testing.T) {
		s := serve(t, path)
		if err := s.replica.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := 2; i <= n; i++ {
			s.write(t, i)
			if i == 4 || slices.Contains(others, i) {
				s.checkpoint(t)
			}
		}
	})
	return path
}

func (s *server) checkpoint(t *testing.T) {
	t.Helper()
	v, err := s.replica.View(t.Context(), policystore.Demand{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := policystore.NewCheckpoint(sqlite.DefaultDomain, v)
	if err == nil {
		err = s.log.StoreCheckpoint(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A file that was edited does not verify, and is not served past the edit.
func TestTampered(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		bad       policy.Revision // named by verification
		served    policy.Revision // what a server gets to before it freezes; 0: nothing
	}{
		"an entry edited after the checkpoint":  {"UPDATE entries SET reason = 'x' WHERE revision = 7", 7, 6},
		"an entry edited before the checkpoint": {"UPDATE entries SET reason = 'x' WHERE revision = 2", 2, 8},
		"a payload cut":                         {"UPDATE entries SET payload = x'' WHERE revision = 6", 6, 5},
		"a hash cut":                            {"UPDATE entries SET hash = x'00' WHERE revision = 6", 6, 5},
		"an entry dropped":                      {"DELETE FROM entries WHERE revision = 6", 6, 5},
		"cut below the checkpoint":              {"DELETE FROM entries WHERE revision >= 3", 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := recordOf(t, 8)
			edit(t, path, c.statement)
			log, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			v, err := policystore.Verify(t.Context(), log, sqlite.DefaultDomain, policystore.Evidence{}, nil)
			if v.BadRevision != c.bad || err != nil {
				t.Errorf("Verify = %+v, %v, want %d", v, err, c.bad)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			wantServed(t, path, c.served)
		})
	}
}

// A checkpoint is a copy: when it is damaged the record is served from an older one or from its entries, verification says
// so and reads on, and the past is answered.
func TestDamagedCheckpoint(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		problem   bool
	}{
		"its hash":            {"UPDATE checkpoints SET state_hash = zeroblob(32)", true},
		"its hash cut":        {"UPDATE checkpoints SET state_hash = x'00'", true},
		"its place cut":       {"UPDATE checkpoints SET hash = x''", true},
		"its body":            {"UPDATE checkpoints SET body = x'00000001ff'", true},
		"its body gone":       {"UPDATE checkpoints SET body = x''", true},
		"moved":               {"UPDATE checkpoints SET revision = 5", true},
		"moved past the head": {"UPDATE checkpoints SET revision = 999999", true},
		"moved before birth":  {"UPDATE checkpoints SET revision = -9223372036854775808", true},
		"another version":     {"UPDATE checkpoints SET fold_version = 99", false},
		"an absurd version":   {"UPDATE checkpoints SET fold_version = 1 << 40", true},
	} {
		t.Run(name, func(t *testing.T) {
			path := recordOf(t, 8)
			edit(t, path, c.statement)
			log := openRecord(t, sqlite.Config{Path: path, ReadOnly: true})
			v, err := policystore.Verify(t.Context(), log, sqlite.DefaultDomain, policystore.Evidence{}, nil)
			if v.BadRevision != 0 || v.Entries != 8 || (v.Problem != "") != c.problem || err != nil {
				t.Errorf("Verify = %+v, %v", v, err)
			}
			if v, err := policystore.NewHistory(log, sqlite.DefaultDomain).At(t.Context(), 6); err != nil || v.Position.Revision != 6 {
				t.Errorf("At(6) = %s, %v", v.Position, err)
			}
			wantServed(t, path, 8)
		})
	}
}

// When the newest checkpoint is damaged the one before it is used: what came before that is not read again.
func TestOlderCheckpoint(t *testing.T) {
	for name, statement := range map[string]string{
		"its body":            "UPDATE checkpoints SET body = x'00000001ff' WHERE revision = 6",
		"its hash cut":        "UPDATE checkpoints SET state_hash = x'00' WHERE revision = 6",
		"moved past the head": "UPDATE checkpoints SET revision = 999999 WHERE revision = 6",
	} {
		t.Run(name, func(t *testing.T) {
			path := recordOf(t, 8, 6)
			edit(t, path, statement)
			edit(t, path, "UPDATE entries SET reason = 'x' WHERE revision = 2") // would freeze whoever reads it
			wantServed(t, path, 8)
			log := openRecord(t, sqlite.Config{Path: path, ReadOnly: true})
			if v, err := policystore.NewHistory(log, sqlite.DefaultDomain).At(t.Context(), 7); err != nil || v.Position.Revision != 7 {
				t.Errorf("At(7) = %s, %v", v.Position, err)
			}
		})
	}
}

// wantServed starts a server and checks how far it gets; unless that is the whole record of 8 it must be frozen there and
// take no writes.
func wantServed(t *testing.T, path string, want policy.Revision) {
	t.Helper()
	s := serve(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := s.replica.WaitReady(ctx)
	if want == 8 {
		if err != nil {
			t.Errorf("WaitReady = %v", err)
		}
		if v, err := s.replica.View(ctx, policystore.Demand{MinRevision: 8}); err != nil || v.Organization("o8") == nil {
			t.Errorf("the view is at %s, %v", v.Position, err)
		}
		return
	}
	if !errors.Is(err, policystore.ErrFrozen) {
		t.Fatalf("WaitReady = %v, want ErrFrozen", err)
	}
	v, err := s.replica.View(ctx, policystore.Demand{})
	if (err != nil) != (want == 0) || v.Position.Revision != want {
		t.Errorf("frozen at %s, %v, want %d", v.Position, err, want)
	}
	if want > 0 && v.Freshness.State != policystore.Expired {
		t.Errorf("frozen and %s", v.Freshness.State)
	}
	if _, err := s.authority.Write(ctx, storetest.Put("new")); !errors.Is(err, policystore.ErrFrozen) {
		t.Errorf("Write = %v, want ErrFrozen", err)
	}
}

// A record that loses what was read from it is noticed by whoever follows, and takes no more writes.
func TestRewoundBehindOurBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teishi.db")
	s := serve(t, path)
	if err := s.replica.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s.write(t, i)
	}
	edit(t, path, "DELETE FROM entries WHERE revision = 4")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for s.replica.Err() == nil {
		if _, err := s.replica.View(ctx, policystore.Demand{MinRevision: 5}); ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if err := s.replica.Err(); !errors.Is(err, policystore.ErrDiverged) {
		t.Errorf("frozen by %v, want ErrDiverged", err)
	}
	if _, err := s.authority.Write(t.Context(), storetest.Put("new")); !errors.Is(err, policystore.ErrFrozen) {
		t.Errorf("Write = %v, want ErrFrozen", err)
	}
}

// A record whose last entry is exchanged for another is noticed by its next proof.
func TestHeadExchanged(t *testing.T) {
	path := recordOf(t, 4)
	log := openRecord(t, sqlite.Config{Path: path, ReadOnly: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last error
	for e, err := range log.Tail(ctx, policystore.Position{}) {
		if last = err; err == nil && e.Entry != nil && e.Entry.Revision == 4 {
			edit(t, path, "UPDATE entries SET hash = zeroblob(32) WHERE revision = 4")
		}
		if err == nil && e.Head != nil && e.Head.Position.Hash == (policystore.Hash{}) {
			t.Fatalf("what was not read is proven: %s", e.Head.Position)
		}
	}
	if !errors.Is(last, policystore.ErrDiverged) {
		t.Errorf("the tail ends with %v, want ErrDiverged", last)
	}
}
