package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/teishi-dev/teishi/policystore"
)

// version is that of the tables, kept as user_version; application marks the file as a record of Teishi ("Teis").
const (
	version     = 2
	application = 0x54656973
)

// The payload comes last, so that the other columns are read without it.
const schema = `
CREATE TABLE meta (
	name  TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
	revision       INTEGER PRIMARY KEY NOT NULL,
	epoch          INTEGER NOT NULL,
	time           INTEGER NOT NULL, -- microseconds since 1970 UTC
	principal      TEXT NOT NULL,
	method         TEXT NOT NULL,
	request_id     TEXT NOT NULL,
	request_digest BLOB NOT NULL,
	reason         TEXT NOT NULL,
	previous_hash  BLOB NOT NULL,
	hash           BLOB NOT NULL,
	signature      BLOB,
	payload        BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX requests ON entries (principal, request_id);

CREATE TABLE checkpoints (
	revision     INTEGER PRIMARY KEY NOT NULL,
	epoch        INTEGER NOT NULL,
	hash         BLOB NOT NULL, -- of the entry at the revision
	time         INTEGER NOT NULL,
	fold_version INTEGER NOT NULL,
	state_hash   BLOB NOT NULL,
	body         BLOB NOT NULL
) STRICT;
` + second

// second is what version 2 adds to version 1.
const second = `
ALTER TABLE checkpoints ADD COLUMN signature BLOB;

-- Who follows the record, as it last reported itself: beside the log, and no part of it.
CREATE TABLE replicas (
	id         TEXT PRIMARY KEY NOT NULL,
	epoch      INTEGER NOT NULL,
	revision   INTEGER NOT NULL,
	hash       BLOB NOT NULL,
	state_hash BLOB NOT NULL,
	freshness  INTEGER NOT NULL,
	age        INTEGER NOT NULL, -- nanoseconds
	source     TEXT NOT NULL,
	version    TEXT NOT NULL,
	authority  TEXT NOT NULL, -- who took the report
	reported   INTEGER NOT NULL -- microseconds since 1970 UTC
) STRICT, WITHOUT ROWID;
`

// readers is how many connections read at a time.
const readers = 4

// synced is how what is appended is written: it is on the disk before it is acknowledged. unsynced is how it is not.
var (
	synced   = []string{"journal_mode(WAL)", "synchronous(FULL)", "fullfsync(1)", "checkpoint_fullfsync(1)", "journal_size_limit(67108864)"}
	unsynced = "synchronous(NORMAL)"
)

// connect returns a pool of up to n connections. The file must be there.
func connect(path, mode string, n int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"},
		"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...),
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(name.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// makeRecord makes the tables, or those that an older version lacks, all or nothing.
func makeRecord(ctx context.Context, db *sql.DB, domain string, from int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback()
	tables := schema
	if from > 0 {
		tables = second
	}
	if _, err := tx.ExecContext(ctx, tables); err != nil {
		return fmt.Errorf("make the tables: %w", explain(err))
	}
	if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO meta VALUES ('domain', ?)", domain); err != nil {
		return fmt.Errorf("name the domain: %w", explain(err))
	}
	mark := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version, application)
	if _, err := tx.ExecContext(ctx, mark); err != nil {
		return fmt.Errorf("mark the file: %w", explain(err))
	}
	return explain(tx.Commit())
}

const look = `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version`

// checkRecord returns the version of the tables in the file, 0 if there are none, and refuses what is not of the domain, or
// of a later version.
func checkRecord(ctx context.Context, db *sql.DB, domain string) (made int, err error) {
	var mark, tables, count int
	if err := db.QueryRowContext(ctx, look).Scan(&mark, &tables, &count); err != nil {
		return 0, explain(err)
	}
	switch {
	case mark == 0 && count == 0:
		return 0, nil
	case mark != application:
		return 0, errors.New("it is not a record of Teishi")
	case tables < 1 || tables > version:
		return 0, fmt.Errorf("its tables are of version %d, and this program knows version %d", tables, version)
	}
	var of string
	if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'domain'").Scan(&of); err != nil {
		return 0, fmt.Errorf("read its domain: %w", explain(err))
	}
	if of != domain {
		return 0, fmt.Errorf("its domain is %s, not %s: say --domain %s", of, domain, of)
	}
	return tables, nil
}

// explain makes an error of the database one of ours where there is one.
func explain(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case lib.SQLITE_FULL:
			return fmt.Errorf("%w: %w", policystore.ErrFull, err)
		case lib.SQLITE_READONLY:
			return fmt.Errorf("%w: %w", policystore.ErrReadOnly, err)
		case lib.SQLITE_CORRUPT:
			return fmt.Errorf("%w: %w", policystore.ErrBroken, err)
		case lib.SQLITE_NOTADB:
			return fmt.Errorf("it is not a record of Teishi: %w", err)
		}
	}
	return err
}
