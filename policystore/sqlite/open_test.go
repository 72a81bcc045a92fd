package sqlite_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	driver "modernc.org/sqlite"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
)

// born makes a record that has its first entry, and closes it.
func born(t *testing.T, path string) {
	t.Helper()
	log, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err == nil {
		err = errors.Join(policystore.Initialize(t.Context(), log, sqlite.DefaultDomain, nil), log.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// edit runs a statement on the file of a record, as somebody with another program would.
func edit(t *testing.T, path, statement string, args ...any) {
	t.Helper()
	connector, err := driver.NewConnector("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	_, err = db.ExecContext(t.Context(), statement, args...)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a directory", "to be made?%#")
	path := filepath.Join(dir, "teishi.db")
	log := openRecord(t, sqlite.Config{Path: path})
	if err := policystore.Initialize(t.Context(), log, sqlite.DefaultDomain, nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 3 { // the file, its lock and its write-ahead log at least
		t.Errorf("only %d files were made", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if perm := info.Mode().Perm(); perm != 0o600 {
			t.Errorf("%s has mode %o, want 600", e.Name(), perm)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v, want 700", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		domain  string
		want    string
	}{
		"another domain": {born, "other", "its domain is teishi, not other"},
		"a later version": {func(t *testing.T, path string) {
			born(t, path)
			edit(t, path, "PRAGMA user_version = 3")
		}, "", "of version 3, and this program knows version 2"},
		"another program's database": {func(t *testing.T, path string) { edit(t, path, "CREATE TABLE notes (text)") }, "", "not a record of Teishi"},
		"another file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", "not a record of Teishi"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "teishi.db")
			c.prepare(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sqlite.Open(t.Context(), sqlite.Config{Path: path, Domain: c.domain})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open = %v, want %q", err, c.want)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file that was refused is changed (%v)", err)
			}
		})
	}
}

// Where nothing may be written beside the file, whoever wants to read it is told what to do.
func TestOpenInAnotherDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	path := filepath.Join(t.TempDir(), "teishi.db")
	born(t, path)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
			t.Error(err)
		}
	})
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true})
	if err == nil || !strings.Contains(err.Error(), "copy it, with its -wal if there is one, to a directory of your own") {
		t.Errorf("Open for reading = %v", err)
	}
}

// A record of version 1 becomes one of this version when it is opened for writing, and loses nothing.
func TestOpenOlder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teishi.db")
	born(t, path)
	edit(t, path, "PRAGMA user_version = 1; DROP TABLE replicas; ALTER TABLE checkpoints DROP COLUMN signature")
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true})
	if err == nil || !strings.Contains(err.Error(), "of version 1: teishi serve makes them those of version 2") {
		t.Errorf("Open for reading = %v", err)
	}
	log := openRecord(t, sqlite.Config{Path: path})
	if members, err := log.Members(t.Context()); err != nil || len(members) != 0 {
		t.Errorf("Members = %v, %v", members, err)
	}
	if _, err := log.Checkpoint(t.Context()); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Checkpoint = %v, want ErrNotFound", err)
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teishi.db")
	log := openRecord(t, sqlite.Config{Path: path})
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("the second Open = %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	openRecord(t, sqlite.Config{Path: path})
}

// A link is another name of the same record, also of one that is not there yet: it does not let a second writer in.
func TestOpenTwiceThroughALink(t *testing.T) {
	for name, link := range map[string]struct{ target, name, through string }{
		"the file":             {"real/teishi.db", "link.db", "link.db"},
		"the file, relatively": {"./real/../real/teishi.db", "link.db", "link.db"},
		"the directory":        {"real", "link", "link/teishi.db"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(link.target, filepath.Join(dir, link.name)); err != nil {
				t.Skipf("links cannot be made here: %v", err)
			}
			path, through := filepath.Join(dir, "real", "teishi.db"), filepath.Join(dir, link.through)
			for _, order := range [][2]string{{through, path}, {path, through}} {
				log := openRecord(t, sqlite.Config{Path: order[0]})
				if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: order[1]}); err == nil || !strings.Contains(err.Error(), "in use by") {
					t.Errorf("Open of %s beside %s = %v", order[1], order[0], err)
				}
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestOpenRefusesWhatIsNoDomain(t *testing.T) {
	dir := t.TempDir()
	for _, domain := range []string{"Teishi", "teishi_1", "-a", "a-", "a/b", "a:b", "停止", " ", strings.Repeat("a", 64)} {
		if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "teishi.db"), Domain: domain}); err == nil || !strings.Contains(err.Error(), "not a slug") {
			t.Errorf("Open of domain %q = %v", domain, err)
		}
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("what was refused made %v (%v)", made, err)
	}
	for _, domain := range []string{"a", "jp-teishi-2", strings.Repeat("a", 63)} {
		openRecord(t, sqlite.Config{Path: filepath.Join(dir, domain+".db"), Domain: domain})
	}
}

// A record opened for reading is read beside its writer or alone, not written, and not made if it is not there.
func TestOpenReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teishi.db")
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of what is not there = %v, want ErrNotExist", err)
	}
	if made, err := filepath.Glob(path + "*"); err != nil || len(made) > 0 {
		t.Errorf("Open for reading made %s (%v)", made, err)
	}
	writer := openRecord(t, sqlite.Config{Path: path})
	if err := policystore.Initialize(t.Context(), writer, sqlite.DefaultDomain, nil); err != nil {
		t.Fatal(err)
	}
	wantReadable(t, path)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	wantReadable(t, path)
	empty := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: empty, ReadOnly: true}); err == nil {
		t.Error("an empty file is opened for reading")
	}
}

func wantReadable(t *testing.T, path string) {
	t.Helper()
	log := openRecord(t, sqlite.Config{Path: path, ReadOnly: true})
	v, err := policystore.Verify(t.Context(), log, sqlite.DefaultDomain, policystore.Evidence{}, nil)
	if err != nil || v.Problem != "" || v.Entries != 1 {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	if _, err := log.Append(t.Context(), v.Head, policystore.Entry{Revision: 2, PreviousHash: v.Head.Hash}); !errors.Is(err, policystore.ErrReadOnly) {
		t.Errorf("Append = %v, want ErrReadOnly", err)
	}
}
