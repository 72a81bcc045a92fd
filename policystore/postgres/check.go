package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/teishi-dev/teishi/policystore"
)

// oldest is the oldest server that is supported, as server_version_num has it.
const oldest = 13_00_00

const look = `SELECT current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery(),
	current_setting('transaction_read_only'), current_setting('fsync'), current_setting('full_page_writes'),
	current_setting('synchronous_commit'), to_regclass('teishi.migrations') IS NOT NULL, to_regclass('teishi.meta') IS NOT NULL`

const (
	readVersion = `SELECT coalesce(max(version_id), 0) FROM teishi.migrations WHERE is_applied`
	readDomain  = `SELECT value FROM teishi.meta WHERE name = 'domain'`
)

// server is what a server says of itself, and of what is in its database.
type server struct {
	Number                             int
	Version                            string
	Standby                            bool
	ReadOnly                           string // on or off, as are those that follow
	Fsync, FullPageWrites, Synchronous string
	Versioned, Named                   bool // has a table that tells the version of the others, and one that tells the domain
}

// Check reports as an error what keeps the record from being used: the server is not there, or not as it must be, or its
// tables are not those of this version, or of another domain. Each says what to change.
func (l *Log) Check(ctx context.Context) error {
	ctx, cancel := within(ctx, answerWithin)
	defer cancel()
	s, err := l.inspect(ctx)
	if err == nil {
		err = l.checkRecord(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("check the record: %w", l.explain(ctx, err))
	}
	return nil
}

// inspect returns what the server is, and refuses one that is not as it must be.
func (l *Log) inspect(ctx context.Context) (server, error) {
	rows, err := l.reading.Query(ctx, look)
	if err != nil {
		return server{}, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[server])
	if err != nil {
		return s, err
	}
	return s, s.check(l.readOnly)
}

// check reports as an error everything that keeps the server from being one for a record, or for one that is only read.
func (s server) check(readOnly bool) error {
	var problems []string
	for _, fault := range []struct {
		is      bool
		problem string
	}{
		{s.Number < oldest, fmt.Sprintf("it is PostgreSQL %s: 13 is the oldest that is supported", s.Version)},
		{s.Fsync != "on", "fsync is off, so that a crash loses what was acknowledged: set fsync = on"},
		{s.FullPageWrites != "on", "full_page_writes is off, so that a crash can tear a page: set full_page_writes = on"},
		{s.Synchronous == "off", "synchronous_commit is off, so that a commit is acknowledged before it is on the disk: set synchronous_commit = on"},
	} {
		if fault.is {
			problems = append(problems, fault.problem)
		}
	}
	if len(problems) > 0 {
		return sorted(policystore.Misconfigured, "the server cannot keep a record", errors.New(strings.Join(problems, "; ")))
	}
	if s.Standby || s.ReadOnly == "on" && !readOnly {
		return sorted(policystore.ReadOnly, "the server takes no writes", errors.New("it is a standby, or default_transaction_read_only is on: name the primary"))
	}
	return nil
}

// checkRecord reports as an error that the tables are not those of this version or of another domain.
func (l *Log) checkRecord(ctx context.Context, s server) error {
	made, err := l.version(ctx, s)
	switch {
	case err != nil:
		return err
	case made == 0:
		return sorted(policystore.Misconfigured, "there is no record in the database", errors.New("run teishi migrate"))
	case made < l.known:
		return sorted(policystore.Misconfigured, fmt.Sprintf("its tables are of version %d, and this program needs version %d", made, l.known), errors.New("run teishi migrate"))
	}
	if s.Named, err = l.named(ctx, s); err == nil && !s.Named {
		err = sorted(policystore.Misconfigured, "the record has no domain", errors.New("run teishi migrate"))
	}
	return err
}

// version returns that of the tables, 0 if there are none, and refuses a later one than this program knows.
func (l *Log) version(ctx context.Context, s server) (made int64, err error) {
	if !s.Versioned {
		return 0, nil
	}
	if err := l.reading.QueryRow(ctx, readVersion).Scan(&made); err != nil {
		return 0, err
	}
	if made > l.known {
		return made, sorted(policystore.Unknown, "the record cannot be used by this program",
			fmt.Errorf("its tables are of version %d, and this program knows version %d: use a later one", made, l.known))
	}
	return made, nil
}

// named reports whether the record has a domain, and refuses another than ours.
func (l *Log) named(ctx context.Context, s server) (bool, error) {
	if !s.Named {
		return false, nil
	}
	var domain string
	switch err := l.reading.QueryRow(ctx, readDomain).Scan(&domain); {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case domain != l.domain:
		return true, sorted(policystore.Foreign, "the record is another one", fmt.Errorf("its domain is %s, not %s: say --domain %s", domain, l.domain, domain))
	}
	return true, nil
}
