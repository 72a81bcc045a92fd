//go:build linux

package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// stream writes to a record from several goroutines, each of which repeats a request until it is acknowledged.
type stream struct {
	mu       sync.Mutex
	acked    map[string]policystore.Entry // by request id, what was acknowledged
	failures int                          // how often a write was not
	stopping atomic.Bool
	running  sync.WaitGroup
}

func startStream(t *testing.T, n *node) *stream {
	s := &stream{acked: map[string]policystore.Entry{}}
	for w := range 4 {
		s.running.Go(func() {
			for i := 0; !s.stopping.Load(); i++ {
				s.write(t, n, fmt.Sprintf("w%d-%d", w, i))
			}
		})
	}
	return s
}

func (s *stream) write(t *testing.T, n *node, id string) {
	err := cluster.Wait(t.Context(), "request "+id+" to be acknowledged", func(ctx context.Context) error {
		e, err := n.authority.Write(ctx, storetest.Put(id))
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			s.failures++
			return err
		}
		s.acked[id] = e
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func (s *stream) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// wantMore returns when so many more writes are acknowledged.
func (s *stream) wantMore(t *testing.T, n int) {
	t.Helper()
	from := s.count()
	err := cluster.Wait(t.Context(), "writes to be acknowledged", func(context.Context) error {
		if now := s.count(); now < from+n {
			return fmt.Errorf("%d, want %d", now, from+n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stop ends the stream when what was begun is acknowledged.
func (s *stream) stop() {
	s.stopping.Store(true)
	s.running.Wait()
}

// wantKept checks that what was acknowledged up to now is in the record as it was acknowledged.
func (s *stream) wantKept(t *testing.T, log *postgres.Log) {
	t.Helper()
	s.mu.Lock()
	acked := make(map[string]policystore.Entry, len(s.acked))
	for id, e := range s.acked {
		acked[id] = e
	}
	s.mu.Unlock()
	for id, e := range acked {
		if there, err := log.Request(watchdog(t), "local", id); err != nil || there.Position() != e.Position() {
			t.Errorf("request %s was acknowledged as %s and is %s (%v)", id, e.Position(), there.Position(), err)
		}
	}
}

// However often the server stops in the middle of a stream of writes, behind a pooler: nothing that was acknowledged is lost,
// what was not is resolved by its request id and is there once, and whoever follows goes on.
func TestStoppedImmediately(t *testing.T) {
	t.Parallel()
	part := postgres.Root.Test(t)
	server, c := ownIn(t, part, cluster.PostgresConfig{})
	pooler, err := part.StartPgBouncer(t.Context(), cluster.PgBouncerConfig{Postgres: server, Lines: []string{"server_login_retry = 1"}})
	if err != nil {
		t.Fatal(err)
	}
	c.DSN = strings.Replace(c.DSN, server.Addr(), pooler.Addr(), 1)
	n := serve(t, c)
	s := startStream(t, n)
	for range 3 {
		s.wantMore(t, 40)
		if err := server.StopImmediate(); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		s.wantMore(t, 1)
		t.Logf("the server was away for %s; a write was acknowledged %s later", started.Sub(stopped), time.Since(started))
		s.wantKept(t, open(t, c))
	}
	s.wantMore(t, 40)
	s.stop()
	s.wantKept(t, n.log)
	entries := int64(1 + s.count())
	wantVerified(t, n.log, entries)
	wantFresh(t, n, entries)
	t.Logf("%d writes were acknowledged, %d attempts failed", s.count(), s.failures)
}

// wantFresh checks that the replica has all entries, and is FRESH soon.
func wantFresh(t *testing.T, n *node, entries int64) {
	t.Helper()
	err := cluster.Wait(t.Context(), "the replica to be FRESH", func(ctx context.Context) error {
		v, err := n.replica.View(ctx, policystore.Demand{})
		if err == nil && (int64(v.Position.Revision) != entries || v.Freshness.State != policystore.Fresh) {
			err = fmt.Errorf("it is %s at %s, want %d", v.Freshness.State, v.Position, entries)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A server that is there and says nothing is waited for only so long, whatever it is asked.
func TestSilentServer(t *testing.T) {
	for name, c := range map[string]struct {
		silence, end func(*cluster.Postgres, *cluster.Shim) error
	}{
		"stopped": {
			func(p *cluster.Postgres, _ *cluster.Shim) error { return p.Pause() },
			func(p *cluster.Postgres, _ *cluster.Shim) error { return p.Resume() }},
		"behind a link that is half open": {
			func(_ *cluster.Postgres, s *cluster.Shim) error { s.HalfOpen(); return nil },
			func(_ *cluster.Postgres, s *cluster.Shim) error { return s.Heal() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part := postgres.Root.Test(t)
			server, config := ownIn(t, part, cluster.PostgresConfig{})
			shim, err := part.StartShim(cluster.ShimConfig{Target: server.Addr()})
			if err != nil {
				t.Fatal(err)
			}
			config.DSN = strings.Replace(config.DSN, server.Addr(), shim.Addr(), 1)
			log := open(t, config)
			if _, err := log.Append(t.Context(), policystore.Position{}, follower(policystore.Position{}, "a", nil)); err != nil {
				t.Fatal(err)
			}
			if _, err := log.Head(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.silence(server, shim); err != nil {
				t.Fatal(err)
			}
			wantTimeouts(t, log)
			if err := c.end(server, shim); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = cluster.Wait(t.Context(), "the record to be there again", log.Check)
			if err != nil {
				t.Error(err)
			}
			head, err := log.Head(watchdog(t))
			if err == nil {
				_, err = log.Append(watchdog(t), head, follower(head, "c", nil))
			}
			if err != nil {
				t.Errorf("afterwards, %v", err)
			}
			t.Logf("the record was there again after %s", time.Since(began))
		})
	}
}

// wantTimeouts checks that whatever a log is asked ends, though the context has no end of its own.
func wantTimeouts(t *testing.T, log *postgres.Log) {
	t.Helper()
	ctx := context.Background()
	head := follower(policystore.Position{}, "a", nil)
	calls := map[string]func() error{
		"Append": func() error {
			_, err := log.Append(ctx, head.Position(), follower(head.Position(), "b", nil))
			return err
		},
		"Head":            func() error { _, err := log.Head(ctx); return err },
		"Read":            func() error { _, err := log.Read(ctx, 1, 10); return err },
		"Request":         func() error { _, err := log.Request(ctx, "writer", "a"); return err },
		"Check":           func() error { return log.Check(ctx) },
		"Checkpoint":      func() error { _, err := log.Checkpoint(ctx); return err },
		"StoreCheckpoint": func() error { return log.StoreCheckpoint(ctx, policystore.Checkpoint{Domain: postgres.DefaultDomain}) },
		"Enrol":           func() error { return log.Enrol(ctx, []policystore.Member{{ID: "a"}}) },
		"Members":         func() error { _, err := log.Members(ctx); return err },
		"Forget":          func() error { return log.Forget(ctx, "a") },
		"Tail": func() error {
			for _, err := range log.Tail(ctx, policystore.Position{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	type result struct {
		call string
		err  error
		took time.Duration
	}
	began, results := time.Now(), make(chan result)
	for name, call := range calls {
		go func() { results <- result{name, call(), time.Since(began)} }()
	}
	end := watchdog(t)
	for range calls {
		select {
		case r := <-results:
			wantTrouble(t, r.err, policystore.Timeout)
			t.Logf("%s ends after %s with %v", r.call, r.took.Round(100*time.Millisecond), r.err)
		case <-end.Done():
			t.Fatal("a call does not end")
		}
	}
}
