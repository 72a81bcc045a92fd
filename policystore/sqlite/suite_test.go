package sqlite_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() policystore.Log {
		path := filepath.Join(t.TempDir(), "teishi.db")
		var log *sqlite.Log
		return func() policystore.Log {
			if log != nil {
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
			}
			log = openRecord(t, sqlite.Config{Path: path, Domain: storetest.Domain})
			return log
		}
	})
}

// openRecord opens a record until the test ends.
func openRecord(t *testing.T, c sqlite.Config) *sqlite.Log {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	log, err := sqlite.Open(t.Context(), c)
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
