// Package sqlite keeps a record in one SQLite file, for one process: the embedded default.
//
// The file is in WAL mode and every append is synced before it is acknowledged (synchronous=FULL), so that an entry that
// was acknowledged is there after a crash. A second process that opens the file for writing is refused; one that only
// reads is not.
//
//	meta         domain                                   fixed when the record is made
//	entries      revision │ epoch … hash │ payload        the log; request ids are unique for their principals
//	checkpoints  revision │ epoch, hash … │ body          the newest two, and older ones 20,000 entries apart
//	replicas     id │ revision, freshness …               who follows the record, as it last reported itself
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Config says which record to open.
type Config struct {
	Path      string       // of the file; it is made if it is not there, readable to its owner alone
	Domain    string       // of the record: a slug; "teishi" if empty
	Authority string       // who proves its head; the host's name if empty
	ReadOnly  bool         // opens what is there, beside a process that writes it or alone, and makes nothing
	Logger    *slog.Logger // nil discards
}

// DefaultDomain is the domain of a record that names none.
const DefaultDomain = "teishi"

// Log is a record in a SQLite file. It is a policystore.Log, a policystore.Archive and a policystore.Roll.
type Log struct {
	path      string
	domain    string
	authority string
	logger    *slog.Logger
	lock      *os.File // nil if read-only
	writer    *sql.DB  // one connection; nil if read-only
	enroller  *sql.DB  // one connection, for what may be lost: the replicas; nil if read-only
	reader    *sql.DB
	follower  *sql.DB // one connection, for Tail and Head: however many others read, policy is proven FRESH
	writes    writes
	reads     reads
	follows   follows
	changed   atomic.Pointer[chan struct{}] // closed and replaced by Append
	closed    chan struct{}
	closing   sync.Once
	closeErr  error
}

var (
	_ policystore.Log     = (*Log)(nil)
	_ policystore.Archive = (*Log)(nil)
	_ policystore.Roll    = (*Log)(nil)
)

// Open opens the record. It is refused if another process writes it, if it is of another domain, and if it is not a
// record or one of a later version.
func Open(ctx context.Context, c Config) (*Log, error) {
	l, err := open(ctx, c)
	if c.ReadOnly && errors.Is(err, policystore.ErrReadOnly) {
		err = fmt.Errorf("while nobody serves it, SQLite has to write %s-shm beside it: copy it, with its -wal if there is one, to a directory of your own: %w", filepath.Base(c.Path), err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the record %s: %w", c.Path, err)
	}
	return l, nil
}

func open(ctx context.Context, c Config) (_ *Log, err error) {
	l := newLog(c)
	if !policy.IsSlug(l.domain) {
		return nil, fmt.Errorf("its domain %q is not a slug: 1 to 63 of a-z, 0-9 and hyphen, neither first nor last a hyphen", l.domain)
	}
	if l.path, err = filepath.Abs(c.Path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if !c.ReadOnly {
		if err := l.openWriter(ctx); err != nil {
			return nil, err
		}
	}
	if err := l.openReader(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func newLog(c Config) *Log {
	l := &Log{domain: c.Domain, authority: c.Authority, logger: c.Logger, closed: make(chan struct{})}
	if l.domain == "" {
		l.domain = DefaultDomain
	}
	if l.authority == "" {
		l.authority, _ = os.Hostname()
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	changed := make(chan struct{})
	l.changed.Store(&changed)
	return l
}

// openWriter makes the file and its tables if they are not there, takes the lock, and prepares to write. The lock is by the
// file, not by one of the names that links give it, so that nobody takes another lock of the same file.
func (l *Log) openWriter(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	if err := l.makeFile(); err != nil {
		return err
	}
	var err error
	if l.path, err = filepath.EvalSymlinks(l.path); err != nil {
		return err
	}
	if l.lock, err = lockFile(l.path + ".lock"); err != nil {
		return err
	}
	made, err := l.look(ctx) // before it is opened for writing, which changes even what is refused
	if err != nil {
		return err
	}
	if l.writer, err = connect(l.path, "rw", 1, synced...); err != nil {
		return err
	}
	if made < version {
		if err := makeRecord(ctx, l.writer, l.domain, made); err != nil {
			return err
		}
	}
	if l.enroller, err = connect(l.path, "rw", 1, unsynced); err != nil {
		return err
	}
	return l.writes.prepare(ctx, l.writer)
}

// look returns of what version the record in the file is, 0 if there is none, and refuses what is not one of ours.
func (l *Log) look(ctx context.Context) (made int, err error) {
	db, err := connect(l.path, "ro", 1)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return checkRecord(ctx, db, l.domain)
}

// makeFile makes the file before SQLite does, so that nobody else can read it.
func (l *Log) makeFile() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		l.logger.Warn("others than its owner can read the record", slog.String("path", l.path), slog.String("mode", info.Mode().String()))
	}
	return nil
}

func (l *Log) openReader(ctx context.Context) error {
	if _, err := os.Stat(l.path); err != nil {
		return err
	}
	var err error
	if l.reader, err = connect(l.path, "ro", readers); err != nil {
		return err
	}
	if l.follower, err = connect(l.path, "ro", 1); err != nil {
		return err
	}
	made, err := checkRecord(ctx, l.reader, l.domain)
	switch {
	case err == nil && made == 0:
		err = errors.New("it is empty")
	case err == nil && made < version:
		err = fmt.Errorf("its tables are of version %d: teishi serve makes them those of version %d", made, version)
	}
	if err != nil {
		return err
	}
	return errors.Join(l.reads.prepare(ctx, l.reader), l.follows.prepare(ctx, l.follower))
}

// Path returns where the record is: links are followed.
func (l *Log) Path() string { return l.path }

// Close ends what follows the log and closes the file. Whoever calls the log must have returned.
func (l *Log) Close() error {
	l.closing.Do(func() {
		close(l.closed)
		var errs []error
		for _, db := range []*sql.DB{l.reader, l.follower, l.enroller, l.writer} { // the writer last: it folds the write-ahead log into the file
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		if l.lock != nil {
			errs = append(errs, l.lock.Close())
		}
		l.closeErr = errors.Join(errs...)
	})
	return l.closeErr
}
