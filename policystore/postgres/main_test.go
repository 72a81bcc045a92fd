//go:build linux

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
)

// What all tests share, those of package postgres_test too. Who breaks a server starts one of its own, in a part of Root.
var (
	Root   *cluster.Cluster
	Server *cluster.Postgres
	Pooler *cluster.PgBouncer // before Server
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if Root, err = cluster.New(cluster.Config{}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, Root.Close()) }()
	ctx := context.Background()
	if Server, err = Root.StartPostgres(ctx, cluster.PostgresConfig{}); err != nil {
		return 0, err
	}
	if Pooler, err = Root.StartPgBouncer(ctx, cluster.PgBouncerConfig{Postgres: Server}); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// Database returns a database of the shared server that nobody else uses; it is dropped after the test.
func Database(t testing.TB) string {
	t.Helper()
	name, err := Server.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := Server.SQL(context.Background(), "postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return name
}

// Edit runs statements in a database of the shared server, as somebody who may do everything, and returns what they print.
func Edit(t testing.TB, database, statements string) string {
	t.Helper()
	out, err := Server.SQL(context.Background(), database, statements) // also after the test, when its own has ended
	if err != nil {
		t.Fatal(err)
	}
	return out
}
