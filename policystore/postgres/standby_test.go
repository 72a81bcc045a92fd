//go:build linux

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
)

// synchronous starts a server whose commits wait for a standby.
func synchronous(t *testing.T) (primary, standby *cluster.Postgres, c postgres.Config) {
	t.Helper()
	primary, c = own(t, cluster.PostgresConfig{Name: "primary"})
	standby, err := primary.StartStandby(t.Context(), cluster.PostgresConfig{Name: "standby"})
	if err != nil {
		t.Fatal(err)
	}
	sql(t, primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'; SELECT pg_reload_conf()")
	wantSQL(t, primary, "SELECT sync_state FROM pg_stat_replication", "sync")
	return primary, standby, c
}

func sql(t *testing.T, server *cluster.Postgres, statements string) string {
	t.Helper()
	out, err := server.SQL(t.Context(), "postgres", statements)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// wantSQL returns when a query gives that.
func wantSQL(t *testing.T, server *cluster.Postgres, query, want string) {
	t.Helper()
	err := cluster.Wait(t.Context(), query, func(context.Context) error {
		if got := sql(t, server, query); got != want {
			return fmt.Errorf("it is %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'teishi' AND wait_event = 'SyncRep'"

// appendLater appends an entry at the head, and returns how that ended, when it has.
func appendLater(t *testing.T, log *postgres.Log) (e policystore.Entry, ended <-chan error) {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e = follower(head, "later", nil)
	result := make(chan error, 1)
	go func() {
		_, err := log.Append(context.WithoutCancel(t.Context()), head, e)
		result <- err
	}()
	return e, result
}

// heldUp returns a log whose commits wait for a standby that is paused.
func heldUp(t *testing.T) (primary, standby *cluster.Postgres, log *postgres.Log) {
	t.Helper()
	primary, standby, c := synchronous(t)
	log = open(t, c)
	if err := standby.Pause(); err != nil {
		t.Fatal(err)
	}
	return primary, standby, log
}

// wantAcknowledged lets a paused standby go on, and returns when a request can be acknowledged.
func wantAcknowledged(t *testing.T, standby *cluster.Postgres, log *postgres.Log, e policystore.Entry) {
	t.Helper()
	if err := standby.Resume(); err != nil {
		t.Fatal(err)
	}
	err := cluster.Wait(t.Context(), "the entry to be there for certain", func(ctx context.Context) error {
		there, err := log.Request(ctx, e.Principal, e.RequestID)
		if err == nil && there.Position() != e.Position() {
			err = fmt.Errorf("it is %s, want %s", there.Position(), e.Position())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// While the synchronous standby is away nothing is acknowledged, and what waits for it is seen by nobody: it is not given up
// at the server when it is given up here.
func TestStandbyAway(t *testing.T) {
	t.Parallel()
	primary, standby, c := synchronous(t)
	log := open(t, c)
	if _, err := log.Append(t.Context(), policystore.Position{}, follower(policystore.Position{}, "a", nil)); err != nil {
		t.Fatal(err)
	}
	before, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := standby.Pause(); err != nil {
		t.Fatal(err)
	}
	e, ended := appendLater(t, log)
	wantTrouble(t, <-ended, policystore.Timeout)
	_, again := appendLater(t, log) // as an authority does that does not know
	wantTrouble(t, <-again, policystore.Timeout, "another writer is waited for")
	if n := sql(t, primary, waiting); n != "1" {
		t.Errorf("%s commits wait for the standby, want 1", n)
	}
	if p, err := log.Head(t.Context()); p != before || err != nil {
		t.Errorf("Head = %s, %v, want %s", p, err, before)
	}
	if _, err := log.Request(t.Context(), e.Principal, e.RequestID); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Request = %v, want ErrNotFound", err)
	}
	wantAcknowledged(t, standby, log, e)
}

// An entry that waited for the synchronous standby when the server stopped is there when it has started again, and is not
// acknowledged before the standby has it.
func TestRestartedWithoutStandby(t *testing.T) {
	t.Parallel()
	primary, standby, log := heldUp(t)
	e, ended := appendLater(t, log)
	wantSQL(t, primary, waiting, "1")
	if err := primary.StopImmediate(); err != nil {
		t.Fatal(err)
	}
	wantTrouble(t, <-ended, policystore.Unreachable)
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var p policystore.Position
	err := cluster.Wait(t.Context(), "the head to be read", func(ctx context.Context) (err error) {
		p, err = log.Head(ctx)
		return err
	})
	if p != e.Position() || err != nil {
		t.Fatalf("Head = %s, %v, want %s", p, err, e.Position())
	}
	_, err = log.Request(t.Context(), e.Principal, e.RequestID)
	wantTrouble(t, err, policystore.Timeout)
	wantAcknowledged(t, standby, log, e)
}

// Whoever ends the wait for the synchronous standby by hand has the entry committed and not acknowledged.
func TestWaitEndedByHand(t *testing.T) {
	t.Parallel()
	primary, standby, log := heldUp(t)
	e, ended := appendLater(t, log)
	wantSQL(t, primary, waiting, "1")
	sql(t, primary, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	wantTrouble(t, <-ended, policystore.Misconfigured, "canceling wait for synchronous replication")
	_, err := log.Request(t.Context(), e.Principal, e.RequestID)
	wantTrouble(t, err, policystore.Timeout)
	wantAcknowledged(t, standby, log, e)
}

// With the hosts of both, a record goes on at the standby when the primary is gone, and nothing that was acknowledged is lost.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, standby, c := synchronous(t)
	c.DSN = strings.Replace(c.DSN, primary.Addr(), standby.Addr()+","+primary.Addr(), 1)
	n := serve(t, c)
	s := startStream(t, n)
	s.wantMore(t, 40)
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantMore(t, 40)
	s.stop()
	s.wantKept(t, n.log)
	wantVerified(t, n.log, int64(1+s.count()))
	wantFresh(t, n, int64(1+s.count()))
	t.Logf("40 writes were acknowledged %s after the end of the primary; %d attempts failed", time.Since(began), s.failures)
}

// Of a standby nothing is proven, and to it nothing is written, whether it is one from the beginning or becomes one behind a
// pooler, over connections that stay.
func TestStandby(t *testing.T) {
	t.Parallel()
	part := postgres.Root.Test(t)
	primary, c := ownIn(t, part, cluster.PostgresConfig{Name: "primary"})
	standby, err := primary.StartStandby(t.Context(), cluster.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	pooler, err := part.StartPgBouncer(t.Context(), cluster.PgBouncerConfig{Postgres: primary, Lines: []string{"server_login_retry = 1"}})
	if err != nil {
		t.Fatal(err)
	}
	direct := c
	direct.DSN = strings.Replace(c.DSN, primary.Addr(), standby.Addr(), 1)
	wantStandby(t, unchecked(t, direct))

	c.DSN = strings.Replace(c.DSN, primary.Addr(), pooler.Addr(), 1)
	log := open(t, c)
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), head, follower(head, "a", nil)); err != nil {
		t.Fatal(err)
	}
	becomeStandby(t, primary)
	wantStandby(t, log)
}

func wantStandby(t *testing.T, log *postgres.Log) {
	t.Helper()
	_, err := log.Head(t.Context())
	wantTrouble(t, err, policystore.ReadOnly, "standby", "name the primary")
	_, err = log.Append(t.Context(), policystore.Position{}, follower(policystore.Position{}, "x", nil))
	wantTrouble(t, err, policystore.ReadOnly, "name the primary")
	wantTrouble(t, log.Check(t.Context()), policystore.ReadOnly, "standby", "name the primary")
	for e, err := range log.Tail(t.Context(), policystore.Position{}) {
		if err == nil {
			t.Errorf("a standby yields %+v", e)
		}
		wantTrouble(t, err, policystore.ReadOnly, "standby")
	}
}
