//go:build linux

package postgres_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

func TestStore(t *testing.T) {
	testStore(t, func(database string) string { return postgres.Server.DSN(database) })
}

func TestStoreThroughAPooler(t *testing.T) {
	testStore(t, func(database string) string { return postgres.Pooler.DSN(database) })
}

func testStore(t *testing.T, dsn func(database string) string) {
	storetest.Run(t, func(t *testing.T) func() policystore.Log {
		c := postgres.Config{DSN: dsn(postgres.Database(t)), Domain: storetest.Domain}
		migrate(t, c)
		var log *postgres.Log
		return func() policystore.Log {
			if log != nil {
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
			}
			log = open(t, c)
			return log
		}
	})
}

// record makes a record in a new database of the shared server.
func record(t testing.TB) (c postgres.Config, database string) {
	t.Helper()
	database = postgres.Database(t)
	c = postgres.Config{DSN: postgres.Server.DSN(database)}
	migrate(t, c)
	return c, database
}

func migrate(t testing.TB, c postgres.Config) {
	t.Helper()
	if from, to, err := postgres.Migrate(t.Context(), c); from != 0 || to != version || err != nil {
		t.Fatalf("Migrate = %d, %d, %v, want 0, %d", from, to, err, version)
	}
}

// version is that of the tables.
const version = 1

// open returns the log of a record that is as it must be, until the test ends.
func open(t testing.TB, c postgres.Config) *postgres.Log {
	t.Helper()
	log := unchecked(t, c)
	if err := log.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return log
}

// unchecked is open for what may not be there.
func unchecked(t testing.TB, c postgres.Config) *postgres.Log {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	log, err := postgres.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// Whoever writes a record, by whatever way, and however many they are: there is one history, and everybody has it.
func TestWritersOnTwoLogs(t *testing.T) {
	const writers, each = 4, 25
	c, database := record(t)
	pooled := c
	pooled.DSN = postgres.Pooler.DSN(database)
	nodes := []*node{serve(t, c), serve(t, pooled)}
	var all sync.WaitGroup
	for i, n := range nodes {
		for w := range writers {
			all.Go(func() {
				for j := range each {
					if err := n.insist(t.Context(), storetest.Put(fmt.Sprintf("o-%d-%d-%d", i, w, j))); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	const entries = 1 + 2*writers*each
	wantVerified(t, nodes[0].log, entries)
	var states [2]policystore.Hash
	for i, n := range nodes {
		v := n.view(t, entries)
		var err error
		if states[i], err = policystore.StateHash(postgres.DefaultDomain, v); err != nil || v.Position.Revision != entries {
			t.Errorf("authority %d is at %s, %v", i, v.Position, err)
		}
	}
	if states[0] != states[1] {
		t.Errorf("the authorities have folded the history into %s and %s", states[0], states[1])
	}
}
