package sqlite_test

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// authorityOf runs an authority over a record, with a key to sign with and keys to trust, until the test ends.
func authorityOf(t *testing.T, path string, signer *policystore.Signer, trust *policystore.TrustedKeys, doubt error) *server {
	t.Helper()
	log, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := policystore.Initialize(t.Context(), log, sqlite.DefaultDomain, nil); err != nil {
		t.Fatal(err)
	}
	s := &server{log: log}
	s.replica = policystore.NewReplica(policystore.ReplicaConfig{
		Origins: []policystore.Origin{{Name: "record", Source: log, Record: true}}, Domain: sqlite.DefaultDomain, Trust: trust})
	s.authority = policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: s.replica, Signer: signer})
	s.authority.Doubt("redis", doubt)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{s.replica.Run, s.authority.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) state(t *testing.T) policystore.State {
	t.Helper()
	v, err := s.replica.View(t.Context(), policystore.Demand{})
	if err != nil {
		t.Fatal(err)
	}
	return v.Freshness.State
}

// follow runs a replica until the test ends.
func follow(t *testing.T, r *policystore.Replica) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// trimmed is a source that has no entries from before its checkpoint.
type trimmed struct{ policystore.Source }

func (s trimmed) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	if c, err := s.Checkpoint(ctx); err == nil && p.Revision < c.Position.Revision {
		return func(yield func(policystore.Event, error) bool) { yield(policystore.Event{}, policystore.ErrCompacted) }
	}
	return s.Source.Tail(ctx, p)
}

// Whoever doubts its record does not answer from it as if nothing were: its answers grow old as those of all others do.
func TestDoubtedRecordIsNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := authorityOf(t, filepath.Join(t.TempDir(), "teishi.db"), nil, nil, nil)
		time.Sleep(10 * time.Second)
		if state := s.state(t); state != policystore.Fresh {
			t.Errorf("before any doubt policy is %s", state)
		}
		s.authority.Doubt("redis", policystore.ErrRewound)
		time.Sleep(7 * time.Second)
		if state := s.state(t); state != policystore.Stale {
			t.Errorf("seven seconds after the record came into doubt policy is %s, want STALE", state)
		}
		s.authority.Doubt("redis", nil)
		time.Sleep(2 * time.Second)
		if state := s.state(t); state != policystore.Fresh {
			t.Errorf("after the doubt policy is %s", state)
		}
	})
}

// A record that was begun unsigned can be signed from some entry on: what is before is vouched for through the chain. A
// signed checkpoint is stored as soon as the record is not in doubt, without waiting for an entry.
func TestSignedFromSomeEntryOn(t *testing.T) {
	path := recordOf(t, 6)
	synctest.Test(t, func(t *testing.T) {
		signer, err := policystore.NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		trusted := func(words string) *policystore.TrustedKeys {
			keys, err := policystore.ParseTrustedKeys(strings.NewReader(signer.Public() + words))
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		s := authorityOf(t, path, signer, trusted(" 7"), policystore.ErrNotLooked)
		time.Sleep(5 * time.Second)
		if c, err := s.log.Checkpoint(t.Context()); err != nil || len(c.Signature) > 0 {
			t.Errorf("while the record is in doubt Checkpoint = %s, signed by %d bytes, %v", c.Position, len(c.Signature), err)
		}
		s.authority.Doubt("redis", nil)
		time.Sleep(5 * time.Second)
		if c, err := s.log.Checkpoint(t.Context()); err != nil || len(c.Signature) == 0 || c.Position.Revision != 6 {
			t.Errorf("Checkpoint = %s, signed by %d bytes, %v", c.Position, len(c.Signature), err)
		}
		follower := policystore.NewReplica(policystore.ReplicaConfig{
			Origins: []policystore.Origin{{Name: "authority", Source: trimmed{s.authority}}}, Domain: sqlite.DefaultDomain, Trust: trusted(" 7")})
		follow(t, follower)
		time.Sleep(5 * time.Second)
		if v, err := follower.View(t.Context(), policystore.Demand{}); err != nil || v.Position.Revision != 6 || v.Freshness.State != policystore.Fresh {
			t.Errorf("who trusts only keys is at %s, %s, %v, want 6, FRESH", v.Position, v.Freshness.State, err)
		}
		if err := s.authority.Doubted(); err != nil {
			t.Errorf("a record that is signed from entry 7 on is in doubt: %v", err)
		}
		if e, err := s.authority.Write(t.Context(), storetest.Put("signed")); err != nil || len(e.Signature) == 0 {
			t.Errorf("Write = %s, signed by %d bytes, %v", e.Position(), len(e.Signature), err)
		}
	})
}

// What an authority's own trusted keys refuse is not written, be it signed by nobody or for a revision too late.
func TestUntrustedIsNotWritten(t *testing.T) {
	for name, lines := range map[string]string{"no longer": " 1 2", "by nobody": ""} {
		t.Run(name, func(t *testing.T) {
			signer, err := policystore.NewSigner()
			if err != nil {
				t.Fatal(err)
			}
			trust, err := policystore.ParseTrustedKeys(strings.NewReader(signer.Public() + lines))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "teishi.db")
			log := openRecord(t, sqlite.Config{Path: path})
			if err := policystore.Initialize(t.Context(), log, sqlite.DefaultDomain, signer); err != nil {
				t.Fatal(err)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			if lines == "" {
				signer = nil
			}
			s := authorityOf(t, path, signer, trust, nil)
			if err := s.replica.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"a", "b"} {
				_, err = s.authority.Write(t.Context(), storetest.Put(id))
			}
			head, headErr := s.log.Head(t.Context())
			if !errors.Is(err, policystore.ErrUnavailable) || !errors.Is(err, policystore.ErrSignature) || headErr != nil || s.authority.Doubted() != nil {
				t.Errorf("Write = %v, the record is at %s, %v, in doubt %v", err, head, headErr, s.authority.Doubted())
			}
			if want := map[string]policy.Revision{" 1 2": 2, "": 1}[lines]; head.Revision != want {
				t.Errorf("the record is at %s, want %d", head, want)
			}
		})
	}
}

// After a signed entry none follows that is not, whoever writes it: not from an authority without a key, nor by a rewind.
func TestStaysSigned(t *testing.T) {
	path := recordOf(t, 6)
	signer, err := policystore.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	signing := authorityOf(t, path, signer, nil, nil)
	if err := signing.replica.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := signing.authority.Write(t.Context(), storetest.Put("signed")); err != nil {
		t.Fatal(err)
	}
	plain := policystore.NewAuthority(policystore.AuthorityConfig{Log: signing.log, Replica: signing.replica})
	if _, err := plain.Write(t.Context(), storetest.Put("unsigned")); !errors.Is(err, policystore.ErrUnavailable) || !errors.Is(err, policystore.ErrUnsigned) {
		t.Errorf("Write without a key = %v", err)
	}
	if e, err := policystore.Rewind(t.Context(), signing.log, sqlite.DefaultDomain, nil, 0, "the disk is lost"); !errors.Is(err, policystore.ErrUnsigned) {
		t.Errorf("Rewind without a key = %s, %v", e.Position(), err)
	}
	if head, err := signing.log.Head(t.Context()); err != nil || head.Revision != 7 || head.Epoch != 1 {
		t.Errorf("the record is at %s, %v, want 7 of epoch 1", head, err)
	}
	if e, err := policystore.Rewind(t.Context(), signing.log, sqlite.DefaultDomain, signer, 0, "the disk is lost"); err != nil || len(e.Signature) == 0 {
		t.Errorf("Rewind with a key = %s, signed by %d bytes, %v", e.Position(), len(e.Signature), err)
	}
}
