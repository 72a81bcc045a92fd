package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// A checkpoint is stored when 16 MiB of payload have come since the last.
func TestKeepCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teishi.db")
	s := serve(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan struct{})
	go func() { s.authority.KeepCheckpoints(ctx); close(kept) }()
	if err := s.replica.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	var payload int
	for i := 0; payload < 40<<20; i++ {
		e := s.writeLarge(t, fmt.Sprint("large", i))
		payload += len(e.Payload)
	}
	watchdog, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for !s.checkpointed(watchdog, t, 30) {
	}
	cancel()
	<-kept
	v, err := policystore.Verify(t.Context(), s.log, sqlite.DefaultDomain, policystore.Evidence{}, nil)
	if err != nil || v.Problem != "" {
		t.Errorf("Verify = %+v, %v", v, err)
	}
}

// checkpointed reports whether the newest checkpoint is at the revision or later.
func (s *server) checkpointed(ctx context.Context, t *testing.T, at policy.Revision) bool {
	t.Helper()
	c, err := s.log.Checkpoint(ctx)
	if err != nil && !errors.Is(err, policystore.ErrNotFound) {
		t.Fatal(err)
	}
	return c.Position.Revision >= at
}

// writeLarge writes an entry of nearly 1 MiB.
func (s *server) writeLarge(t *testing.T, id string) policystore.Entry {
	t.Helper()
	w := storetest.Put(id)
	w.Prepare = func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) {
		changes := make([]policy.Change, 127)
		for i := range changes {
			changes[i].Put = &policy.Organization{ID: fmt.Sprint("o", i), Names: policy.TextOf(map[string]string{"en": strings.Repeat("x", policy.MaxTextLength)})}
		}
		return changes, nil
	}
	e, err := s.authority.Write(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A proof comes at once and then every second, whatever else does: policy stays FRESH.
func TestTailProvesEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "teishi.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		if err := policystore.Initialize(t.Context(), log, sqlite.DefaultDomain, nil); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var proofs []time.Duration
		entries := 0
		for e, err := range log.Tail(t.Context(), policystore.Position{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Entry != nil {
				entries++
				continue
			}
			if proofs = append(proofs, e.Head.IssuedTime.Sub(began)); len(proofs) == 100 {
				break
			}
		}
		for i, at := range proofs {
			if want := time.Duration(i) * time.Second; at != want {
				t.Errorf("proof %d after %s, want %s", i, at, want)
			}
		}
		if entries != 1 {
			t.Errorf("%d entries", entries)
		}
	})
}

// Verification beside whoever writes the record takes no alarm at a checkpoint that was dropped meanwhile.
func TestVerifyBesideAWriter(t *testing.T) {
	for name, c := range map[string]struct {
		at        policy.Revision // what verification looks for when the writer drops it
		statement string
	}{
		"the only one": {4, "DELETE FROM checkpoints"},
		"a later one":  {6, "DELETE FROM checkpoints WHERE revision = 6"},
	} {
		t.Run(name, func(t *testing.T) {
			path := recordOf(t, 8, 6)
			log := &meddled{Log: openRecord(t, sqlite.Config{Path: path, ReadOnly: true})}
			log.asked = func(at policy.Revision) {
				if at == c.at {
					edit(t, path, c.statement)
				}
			}
			v, err := policystore.Verify(t.Context(), log, sqlite.DefaultDomain, policystore.Evidence{}, nil)
			if err != nil || v.Problem != "" || v.Entries != 8 {
				t.Errorf("Verify = %+v, %v", v, err)
			}
		})
	}
}

// meddled is a record of which a test learns what checkpoint is asked for before it is read.
type meddled struct {
	*sqlite.Log
	asked func(at policy.Revision)
}

func (m *meddled) CheckpointAt(ctx context.Context, at policy.Revision) (policystore.Checkpoint, error) {
	m.asked(at)
	return m.Log.CheckpointAt(ctx, at)
}

// A former state that is kept is not looked for again.
func TestHistoryKept(t *testing.T) {
	log := &meddled{Log: openRecord(t, sqlite.Config{Path: recordOf(t, 8), ReadOnly: true})}
	asked := 0
	log.asked = func(policy.Revision) { asked++ }
	h := policystore.NewHistory(log, sqlite.DefaultDomain)
	for range 3 {
		if v, err := h.At(t.Context(), 7); err != nil || v.Position.Revision != 7 {
			t.Errorf("At(7) = %s, %v", v.Position, err)
		}
	}
	if asked != 1 {
		t.Errorf("checkpoints were asked for %d times", asked)
	}
}
