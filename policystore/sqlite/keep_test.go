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
)

// A checkpoint is stored when 16 MiB of payload have come since the last.
func TestKeepCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teishi.db")
	s := serve(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan error)
	go func() { kept <- s.authority.KeepCheckpoints(ctx) }()
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
	if err := <-kept; err != nil {
		t.Errorf("KeepCheckpoints = %v", err)
	}
	v, err := policystore.Verify(t.Context(), s.log, sqlite.DefaultDomain, nil)
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
	w := putOrganization(id)
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
		if err := policystore.Initialize(t.Context(), log, sqlite.DefaultDomain); err != nil {
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
