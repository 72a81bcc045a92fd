//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
)

func postgres(t *testing.T, c *cluster.Cluster, config cluster.PostgresConfig) *cluster.Postgres {
	t.Helper()
	return must[*cluster.Postgres](t)(c.StartPostgres(t.Context(), config))
}

func sql(t *testing.T, p *cluster.Postgres, database, statements string) string {
	t.Helper()
	return strings.TrimSpace(must[string](t)(p.SQL(t.Context(), database, statements)))
}

func TestPostgresComesBack(t *testing.T) {
	c := cluster.Test(t)
	p := postgres(t, c, cluster.PostgresConfig{Settings: map[string]string{"log_line_prefix": "it's %m "}})
	checkLoopback(t, p.Name(), p.PID())
	if got := sql(t, p, "postgres", "SHOW fsync; SHOW log_line_prefix"); got != "on\nit's %m" {
		t.Errorf("fsync and log_line_prefix are %q, want on and it's %%m", got)
	}
	database := must[string](t)(p.CreateDatabase(t.Context()))
	sql(t, p, database, "CREATE TABLE t (n int)")
	for i, end := range []func() error{p.Stop, p.StopImmediate, p.Kill} {
		sql(t, p, database, fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		address, pids := p.Addr(), family(p.PID())
		if len(pids) < 3 {
			t.Errorf("PostgreSQL has %d processes, want several", len(pids))
		}
		check(t, end())
		if err := gone(pids); err != nil {
			t.Error(err)
		}
		check(t, p.Restart(t.Context()))
		if p.Addr() != address {
			t.Errorf("restarted at %s, want %s", p.Addr(), address)
		}
		if got, want := sql(t, p, database, "SELECT count(*) FROM t"), fmt.Sprint(i+1); got != want {
			t.Errorf("after end %d: %s rows, want %s", i, got, want)
		}
	}
}

func TestPostgresIsPausedAsAWhole(t *testing.T) {
	c := cluster.Test(t)
	p := postgres(t, c, cluster.PostgresConfig{})
	pids := family(p.PID())
	check(t, p.Pause())
	for _, pid := range pids {
		if got := state(t, pid); got != "T" && got != "Z" {
			t.Errorf("process %d of the paused server is %s, want T, or Z for one that has ended", pid, got)
		}
	}
	check(t, p.Resume())
	if got := sql(t, p, "postgres", "SELECT 1"); got != "1" {
		t.Errorf("SELECT 1 of the resumed server = %q", got)
	}
	check(t, p.Pause())
	check(t, p.Stop()) // a paused one hears it too
}

func TestPostgresIsRestored(t *testing.T) {
	c := cluster.Test(t)
	p := postgres(t, c, cluster.PostgresConfig{})
	database := must[string](t)(p.CreateDatabase(t.Context()))
	sql(t, p, database, "CREATE TABLE t AS SELECT 'old' AS v")
	dump := must[string](t)(p.Dump(t.Context(), database))
	if _, err := p.Snapshot(t.Context()); err == nil {
		t.Error("took a snapshot of a running server")
	}
	check(t, p.Stop())
	snapshot := must[string](t)(p.Snapshot(t.Context()))
	check(t, p.Start(t.Context()))
	sql(t, p, database, "UPDATE t SET v = 'new'")

	check(t, p.Restore(t.Context(), database, dump))
	if got := sql(t, p, database, "SELECT v FROM t"); got != "old" {
		t.Errorf("after Restore: %q, want old", got)
	}
	sql(t, p, database, "UPDATE t SET v = 'newer'")
	if err := p.RestoreSnapshot(t.Context(), snapshot); err == nil {
		t.Error("restored a snapshot into a running server")
	}
	check(t, p.Kill())
	check(t, p.RestoreSnapshot(t.Context(), snapshot))
	check(t, p.Start(t.Context()))
	if got := sql(t, p, database, "SELECT v FROM t"); got != "old" {
		t.Errorf("after RestoreSnapshot: %q, want old", got)
	}
}

func TestPostgresStandby(t *testing.T) {
	c := cluster.Test(t)
	ca := must[*cluster.CA](t)(c.NewCA())
	p := postgres(t, c, cluster.PostgresConfig{TLS: ca})
	s := must[*cluster.Postgres](t)(p.StartStandby(t.Context(), cluster.PostgresConfig{TLS: ca}))
	checkLoopback(t, s.Name(), s.PID())
	sql(t, p, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby'; SELECT pg_reload_conf()")
	check(t, cluster.Wait(t.Context(), "the standby to be synchronous", func(ctx context.Context) error {
		if got, err := p.SQL(ctx, "postgres", "SELECT application_name, sync_state FROM pg_stat_replication"); err != nil || got != "standby|sync\n" {
			return fmt.Errorf("pg_stat_replication has %q, %v", got, err)
		}
		return nil
	}))
	database := must[string](t)(p.CreateDatabase(t.Context()))
	sql(t, p, database, "CREATE TABLE t AS SELECT 1 AS n")
	if got := sql(t, s, "postgres", "SELECT pg_is_in_recovery()"); got != "t" {
		t.Errorf("pg_is_in_recovery() at the standby = %s, want t", got)
	}
	check(t, p.Kill())
	check(t, s.Promote(t.Context()))
	if got := sql(t, s, database, "INSERT INTO t VALUES (2); SELECT count(*) FROM t"); got != "2" {
		t.Errorf("rows at the promoted standby: %s, want 2", got)
	}
}

func TestPgBouncerPoolsTransactions(t *testing.T) {
	c := cluster.Test(t)
	p := postgres(t, c, cluster.PostgresConfig{})
	b := must[*cluster.PgBouncer](t)(c.StartPgBouncer(t.Context(), cluster.PgBouncerConfig{
		Postgres: p, Lines: []string{"default_pool_size = 1", "query_wait_timeout = 1"},
	}))
	checkLoopback(t, b.Name(), b.PID())
	database := must[string](t)(p.CreateDatabase(t.Context()))
	ask := func() (string, error) {
		return b.SQL(t.Context(), database, "SET work_mem = '1MB'; SELECT current_user")
	}
	if got, err := ask(); err != nil || got != cluster.Owner+"\n" {
		t.Errorf("through PgBouncer I am %q, %v, want %s", got, err, cluster.Owner)
	}
	within := `SELECT 1;
\! psql -X -A -t -d ` + database + ` -c 'SELECT 2'
`
	if got, err := b.SQL(t.Context(), database, within); err != nil || got != "1\n2\n" {
		t.Errorf("two clients of one connection got %q, %v, want 1 and 2", got, err)
	}
	if !strings.Contains(b.DSN(database), b.Addr()) {
		t.Errorf("DSN = %s, want one at %s", b.DSN(database), b.Addr())
	}
	check(t, b.Kill())
	if got, err := ask(); err == nil {
		t.Errorf("a killed PgBouncer answers %q", got)
	}
	check(t, b.Restart(t.Context()))
	if got, err := ask(); err != nil {
		t.Errorf("a restarted PgBouncer answers %q, %v", got, err)
	}
}
