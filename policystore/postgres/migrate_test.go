//go:build linux

package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
)

// Of those who migrate at the same time one makes the tables, and all of them return when they are made, by whatever way
// they come. Nothing stays locked.
func TestMigrateAtOnce(t *testing.T) {
	database := postgres.Database(t)
	const each = 4
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for _, dsn := range []string{postgres.Server.DSN(database), postgres.Pooler.DSN(database)} {
		for range each {
			all.Go(func() {
				from, to, err := postgres.Migrate(watchdog(t), postgres.Config{DSN: dsn})
				if err != nil || from != 0 && from != version || to != version {
					t.Errorf("Migrate = %d, %d, %v", from, to, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if from == 0 {
					made++
				}
			})
		}
	}
	all.Wait()
	if made != 1 {
		t.Errorf("%d of %d made the tables", made, 2*each)
	}
	if locks := postgres.Edit(t, database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"); locks != "0\n" {
		t.Errorf("%s locks stay", strings.TrimSpace(locks))
	}
	open(t, postgres.Config{DSN: postgres.Pooler.DSN(database)})
}

// The domain is fixed when the record is made. Who asks for another one changes nothing.
func TestMigrateAnotherDomain(t *testing.T) {
	c, database := record(t)
	c.Domain = "other"
	from, _, err := postgres.Migrate(t.Context(), c)
	wantTrouble(t, err, policystore.Foreign, "its domain is teishi, not other: say --domain teishi")
	if from != version {
		t.Errorf("Migrate says that it was of version %d", from)
	}
	wantTrouble(t, unchecked(t, c).Check(t.Context()), policystore.Foreign, "its domain is teishi, not other: say --domain teishi")
	if domain := postgres.Edit(t, database, "SELECT value FROM teishi.meta"); domain != "teishi\n" {
		t.Errorf("its domain is %q", domain)
	}
}

// A record that was made and not named, because whoever made it was ended in between, is named by the next.
func TestMigrateUnnamed(t *testing.T) {
	c, database := record(t)
	postgres.Edit(t, database, "DELETE FROM teishi.meta")
	wantTrouble(t, unchecked(t, c).Check(t.Context()), policystore.Misconfigured, "has no domain: run teishi migrate")
	if from, to, err := postgres.Migrate(t.Context(), c); from != version || to != version || err != nil {
		t.Errorf("Migrate = %d, %d, %v", from, to, err)
	}
	open(t, c)
}

// Tables of a later version are left alone.
func TestMigrateLater(t *testing.T) {
	c, database := record(t)
	postgres.Edit(t, database, "INSERT INTO teishi.migrations (version_id, is_applied) VALUES (99, true)")
	_, _, err := postgres.Migrate(t.Context(), c)
	wantTrouble(t, err, policystore.Unknown, "of version 99, and this program knows version 1: use a later one")
	wantTrouble(t, unchecked(t, c).Check(t.Context()), policystore.Unknown, "of version 99, and this program knows version 1: use a later one")
}

// Who may not make schemas has one made, and who serves needs none of the rights of who migrates.
func TestRights(t *testing.T) {
	database := postgres.Database(t)
	maker, server := "maker_of_"+database, "server_of_"+database
	postgres.Edit(t, database, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'one'; CREATE ROLE %s LOGIN PASSWORD 'two'`, maker, server))
	t.Cleanup(func() {
		postgres.Edit(t, database, fmt.Sprintf(`DROP OWNED BY %[1]s, %[2]s; DROP ROLE %[1]s; DROP ROLE %[2]s`, maker, server))
	})
	c := postgres.Config{DSN: as(t, database, maker, "one")}
	_, _, err := postgres.Migrate(t.Context(), c)
	wantTrouble(t, err, policystore.Unauthorized, "the user lacks a right", "permission denied for database "+database)
	postgres.Edit(t, database, "CREATE SCHEMA teishi AUTHORIZATION "+maker)
	migrate(t, c)

	s := postgres.Config{DSN: as(t, database, server, "two")}
	wantTrouble(t, unchecked(t, s).Check(t.Context()), policystore.Unauthorized, "permission denied for schema teishi")
	postgres.Edit(t, database, strings.ReplaceAll(`
GRANT USAGE ON SCHEMA teishi TO someone;
GRANT SELECT ON ALL TABLES IN SCHEMA teishi TO someone;
GRANT INSERT ON teishi.entries TO someone;
GRANT INSERT, UPDATE, DELETE ON teishi.checkpoints, teishi.replicas TO someone`, "someone", server))
	n := serve(t, s)
	n.write(t, "one")
	n.checkpoint(t)
	if err := n.log.Enrol(t.Context(), []policystore.Member{{ID: "a"}}); err != nil {
		t.Errorf("Enrol = %v", err)
	}
	if err := n.log.Forget(t.Context(), "a"); err != nil {
		t.Errorf("Forget = %v", err)
	}
	wantVerified(t, n.log, 2)
}
