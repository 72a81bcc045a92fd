//go:build linux

package postgres

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/teishi-dev/teishi/policystore"
)

// later are the migrations of a program that is newer than this one.
func later(t *testing.T) fs.FS {
	t.Helper()
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	first, err := fs.ReadFile(files, "00001_record.sql")
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"00001_record.sql": {Data: first},
		"00002_later.sql":  {Data: []byte("-- +goose Up\nALTER TABLE teishi.entries ADD COLUMN later text;\nUPDATE teishi.entries SET later = 'x';\n")},
		"00003_latest.sql": {Data: []byte("-- +goose Up\nCREATE TABLE teishi.latest (x text);\n")},
	}
}

// A record of an older version is refused, becomes one of this version, and loses nothing; programs of the older version
// refuse it then.
func TestMigrateOlder(t *testing.T) {
	old, database := born(t)
	head, err := old.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newer := func() *Log {
		l := opened(t, Pooler.DSN(database))
		if err := l.use(later(t)); err != nil || l.known != 3 {
			t.Fatalf("the version is %d, %v, want 3", l.known, err)
		}
		return l
	}
	l := newer()
	wantRefused(t, l, policystore.Misconfigured, "its tables are of version 1, and this program needs version 3: run teishi migrate")
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 4 {
		all.Go(func() {
			from, to, err := newer().migrate(t.Context())
			if err != nil || from != 1 && from != 3 || to != 3 {
				t.Errorf("migrate = %d, %d, %v", from, to, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if from == 1 {
				made++
			}
		})
	}
	all.Wait()
	if made != 1 {
		t.Errorf("%d migrated the record", made)
	}
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
	if p, err := l.Head(t.Context()); p != head || err != nil {
		t.Errorf("Head = %s, %v, want %s", p, err, head)
	}
	l.mustAppend(t)
	wantRefused(t, old, policystore.Unknown, "its tables are of version 3, and this program knows version 1: use a later one")
}

// A migration that cannot be made leaves the tables as they were, and says why.
func TestMigrateFails(t *testing.T) {
	l, _ := born(t)
	files := later(t).(fstest.MapFS)
	files["00003_latest.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE teishi.half (x text);\nALTER TABLE teishi.entries ALTER COLUMN none SET NOT NULL;\n")}
	if err := l.use(files); err != nil {
		t.Fatal(err)
	}
	if from, to, err := l.migrate(t.Context()); from != 1 || to != 1 || !strings.Contains(fmt.Sprint(err), `column "none" of relation "entries" does not exist`) {
		t.Errorf("migrate = %d, %d, %v", from, to, err)
	}
	var half bool
	if err := l.reading.QueryRow(t.Context(), "SELECT to_regclass('teishi.half') IS NOT NULL").Scan(&half); err != nil || half {
		t.Errorf("half a migration is there: %t, %v", half, err)
	}
	wantRefused(t, l, policystore.Misconfigured, "its tables are of version 2, and this program needs version 3")
}

func wantRefused(t *testing.T, l *Log, trouble policystore.Trouble, words string) {
	t.Helper()
	err := l.Check(t.Context())
	if policystore.TroubleOf(err) != trouble || !strings.Contains(fmt.Sprint(err), words) {
		t.Errorf("Check = %v, want %q", err, words)
	}
}
