package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// opened returns a record that has its first entry.
func opened(t *testing.T) *Log {
	t.Helper()
	log, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "teishi.db")})
	if err == nil {
		err = policystore.Initialize(t.Context(), log, DefaultDomain, nil)
	}
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

// What was acknowledged is there after a crash, which a test that kills a process cannot tell: the system keeps what it
// was given.
func TestWritesAreSynced(t *testing.T) {
	log := opened(t)
	for pragma, want := range map[string]string{
		"synchronous": "2", "journal_mode": "wal", "fullfsync": "1", "checkpoint_fullfsync": "1",
	} {
		var got string
		if err := log.writer.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", pragma, got, err, want)
		}
	}
}

// However many others read the record, and however long, it is followed and its head is proven.
func TestFollowedBesideReaders(t *testing.T) {
	log := opened(t)
	for range readers {
		c, err := log.reader.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if p, err := log.Head(ctx); err != nil || p.Revision != 1 {
		t.Fatalf("Head = %s, %v", p, err)
	}
	proofs, entries := 0, 0
	for e, err := range log.Tail(ctx, policystore.Position{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Head != nil {
			proofs++
		} else {
			entries++
		}
		if proofs == 2 {
			break
		}
	}
	if proofs != 2 || entries != 1 {
		t.Errorf("%d proofs and %d entries", proofs, entries)
	}
}

// Of the checkpoints the newest two are kept, and older ones far apart; those past the head are not counted.
func TestThin(t *testing.T) {
	log := opened(t)
	if _, err := log.writer.ExecContext(t.Context(), "UPDATE entries SET revision = 70000"); err != nil {
		t.Fatal(err)
	}
	for _, at := range []policy.Revision{1, 2, 3, 4, 20_000, 39_999, 40_000, 59_999, 60_001, 69_000, 70_000, 90_000, 99_000} {
		_, err := log.writer.ExecContext(t.Context(), "INSERT INTO checkpoints VALUES (?, 1, x'', 0, 1, x'', x'', NULL)", at)
		if err != nil {
			t.Fatal(err)
		}
	}
	tx, err := log.writer.BeginTx(t.Context(), nil)
	if err == nil {
		err = errors.Join(thin(t.Context(), tx), tx.Commit())
	}
	if err != nil {
		t.Fatal(err)
	}
	var kept []policy.Revision
	rows, err := log.reader.QueryContext(t.Context(), "SELECT revision FROM checkpoints ORDER BY revision")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r policy.Revision
		if err := rows.Scan(&r); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, r)
	}
	if want := []policy.Revision{20_000, 40_000, 60_001, 69_000, 70_000, 90_000, 99_000}; !slices.Equal(kept, want) || rows.Err() != nil {
		t.Errorf("kept %d, want %d (%v)", kept, want, rows.Err())
	}
}
