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
	version     = 1
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
`

// readers is how many connections read at a time.
const readers = 4

// connect returns a pool of up to n connections. The file must be there.
func connect(path, mode string, n int) (*sql.DB, error) {
	q := url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)"},
	}
	if mode == "rw" {
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", "fullfsync(1)",
			"checkpoint_fullfsync(1)", "journal_size_limit(67108864)")
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

// makeRecord makes the tables, all or nothing.
func makeRecord(ctx context.Context, db *sql.DB, domain string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("make the tables: %w", explain(err))
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES ('domain', ?)", domain); err != nil {
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

// checkRecord reports whether the file has tables, and refuses it unless they are of this version and domain.
func checkRecord(ctx context.Context, db *sql.DB, domain string) (made bool, err error) {
	var mark, tables, count int
	if err := db.QueryRowContext(ctx, look).Scan(&mark, &tables, &count); err != nil {
		return false, explain(err)
	}
	switch {
	case mark == 0 && count == 0:
		return false, nil
	case mark != application:
		return false, errors.New("it is not a record of Teishi")
	case tables != version:
		return false, fmt.Errorf("its tables are of version %d, and this program knows version %d", tables, version)
	}
	var of string
	if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'domain'").Scan(&of); err != nil {
		return false, fmt.Errorf("read its domain: %w", explain(err))
	}
	if of != domain {
		return false, fmt.Errorf("its domain is %s, not %s: say --domain %s", of, domain, of)
	}
	return true, nil
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
