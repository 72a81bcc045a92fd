//go:build linux

package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore/postgres"
)

// own starts a server that the test may break, with a record.
func own(t testing.TB, config cluster.PostgresConfig) (*cluster.Postgres, postgres.Config) {
	t.Helper()
	return ownIn(t, postgres.Root.Test(t), config)
}

func ownIn(t testing.TB, part *cluster.Cluster, config cluster.PostgresConfig) (*cluster.Postgres, postgres.Config) {
	t.Helper()
	server, err := part.StartPostgres(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	database, err := server.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := postgres.Config{DSN: server.DSN(database)}
	migrate(t, c)
	return server, c
}

// hold connects to the record and holds a transaction, until the end of the test or what it returns is called.
func hold(t testing.TB, server *cluster.Postgres, c postgres.Config, statements ...string) (end func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	end = func() { conn.Close(context.Background()) }
	t.Cleanup(end)
	for _, s := range append([]string{"BEGIN"}, statements...) {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return end
}

// becomeStandby restarts a primary as a standby of nobody.
func becomeStandby(t testing.TB, server *cluster.Postgres) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(server.Dir(), "data", "standby.signal"), os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		err = errors.Join(f.Close(), server.Restart(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// databaseOf returns the name of a record's database.
func databaseOf(t testing.TB, c postgres.Config) string {
	t.Helper()
	config, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	return config.Database
}
