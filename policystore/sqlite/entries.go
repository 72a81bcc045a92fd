package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const columns = `revision, epoch, time, principal, method, request_id, request_digest, reason, previous_hash, hash, signature, payload`

// The comparison and the insertion are one statement, and so one transaction.
const (
	appendEntry = `INSERT INTO entries (` + columns + `) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
WHERE (SELECT ifnull(max(revision), 0) FROM entries) = ?13
AND ifnull((SELECT epoch FROM entries WHERE revision = ?13), 0) = ?14
AND ifnull((SELECT hash FROM entries WHERE revision = ?13), zeroblob(32)) = ?15`
	readEntries = `SELECT ` + columns + ` FROM entries WHERE revision >= ? ORDER BY revision LIMIT ?`
	findRequest = `SELECT ` + columns + ` FROM entries WHERE principal = ? AND request_id = ?`
	readHead    = `SELECT epoch, revision, hash FROM entries ORDER BY revision DESC LIMIT 1`
)

type writes struct{ append *sql.Stmt }

func (w *writes) prepare(ctx context.Context, db *sql.DB) error {
	return prepare(ctx, db, map[**sql.Stmt]string{&w.append: appendEntry})
}

type reads struct{ entries, request *sql.Stmt }

func (r *reads) prepare(ctx context.Context, db *sql.DB) error {
	return prepare(ctx, db, map[**sql.Stmt]string{&r.entries: readEntries, &r.request: findRequest})
}

type follows struct{ entries, head *sql.Stmt }

func (f *follows) prepare(ctx context.Context, db *sql.DB) error {
	return prepare(ctx, db, map[**sql.Stmt]string{&f.entries: readEntries, &f.head: readHead})
}

func prepare(ctx context.Context, db *sql.DB, statements map[**sql.Stmt]string) error {
	for stmt, text := range statements {
		var err error
		if *stmt, err = db.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("prepare %q: %w", text, explain(err))
		}
	}
	return nil
}

// Append stores the entry if the head is at after. Once begun it is not ended by ctx, so that its outcome is known.
func (l *Log) Append(ctx context.Context, after policystore.Position, e policystore.Entry) (policystore.Entry, error) {
	if l.writer == nil {
		return e, policystore.ErrReadOnly
	}
	if e.Revision != after.Revision+1 || e.PreviousHash != after.Hash {
		return e, fmt.Errorf("append entry %d after %s: %w", e.Revision, after, policystore.ErrBroken)
	}
	if err := ctx.Err(); err != nil {
		return e, err
	}
	result, err := l.writes.append.ExecContext(context.WithoutCancel(ctx),
		e.Revision, e.Epoch, e.Time, e.Principal, e.Method, e.RequestID, e.RequestDigest[:], e.Reason,
		e.PreviousHash[:], e.Hash[:], e.Signature, blob(e.Payload), after.Revision, after.Epoch, after.Hash[:])
	if err != nil {
		return e, l.refused(ctx, e, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return e, errors.Join(policystore.ErrConflict, err)
	}
	l.Wake()
	return e, nil
}

// blob keeps an empty payload from being stored as NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// refused says why an append was: the request is in the record, or what the database says.
func (l *Log) refused(ctx context.Context, e policystore.Entry, err error) error {
	if found, ok := errors.AsType[*sqlite.Error](err); ok && found.Code() == lib.SQLITE_CONSTRAINT_UNIQUE {
		there, err := l.Request(context.WithoutCancel(ctx), e.Principal, e.RequestID)
		if err != nil {
			return err
		}
		return &policystore.DuplicateError{Entry: there}
	}
	return fmt.Errorf("append entry %d: %w", e.Revision, l.explain(err))
}

// maxRead bounds the bytes of payload that one Read returns, but for its last entry.
const maxRead = 4 << 20

// Read returns up to n entries from the revision on. Those before one that cannot be read are returned first.
func (l *Log) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	return l.read(ctx, l.reads.entries, from, n)
}

func (l *Log) read(ctx context.Context, statement *sql.Stmt, from policy.Revision, n int) ([]policystore.Entry, error) {
	rows, err := statement.QueryContext(ctx, from, n)
	if err != nil {
		return nil, fmt.Errorf("read entries from %d: %w", from, l.explain(err))
	}
	defer rows.Close()
	var entries []policystore.Entry
	for size := 0; size < maxRead && rows.Next(); {
		var e policystore.Entry
		if e, err = scan(rows); err != nil {
			break
		}
		entries, size = append(entries, e), size+len(e.Payload)
	}
	if err = errors.Join(err, rows.Err()); err != nil && len(entries) == 0 {
		return nil, fmt.Errorf("read entries from %d: %w", from, l.explain(err))
	}
	return entries, nil
}

// Request returns the entry of the principal and request id.
func (l *Log) Request(ctx context.Context, principal, id string) (policystore.Entry, error) {
	e, err := scan(l.reads.request.QueryRowContext(ctx, principal, id))
	if err != nil {
		return e, fmt.Errorf("read request %s: %w", id, l.explain(err))
	}
	return e, nil
}

// Head returns the position of the last committed entry.
func (l *Log) Head(ctx context.Context) (policystore.Position, error) {
	p, err := position(l.follows.head.QueryRowContext(ctx))
	if errors.Is(err, sql.ErrNoRows) {
		return policystore.Position{}, nil
	}
	if err != nil {
		return p, fmt.Errorf("read the head: %w", l.explain(err))
	}
	return p, nil
}

// explain says in our words what the database said, or that the log was closed.
func (l *Log) explain(err error) error {
	select {
	case <-l.closed:
		return policystore.ErrClosed
	default:
	}
	if errors.Is(err, sql.ErrNoRows) {
		return policystore.ErrNotFound
	}
	return explain(err)
}

type scanner interface{ Scan(columns ...any) error }

func scan(row scanner) (e policystore.Entry, err error) {
	var digest, previous, hash []byte
	err = row.Scan(&e.Revision, &e.Epoch, &e.Time, &e.Principal, &e.Method, &e.RequestID, &digest, &e.Reason,
		&previous, &hash, &e.Signature, &e.Payload)
	if err != nil {
		return e, err
	}
	return e, errors.Join(e.RequestDigest.Set(digest), e.PreviousHash.Set(previous), e.Hash.Set(hash))
}

func position(row scanner) (p policystore.Position, err error) {
	var hash []byte
	if err = row.Scan(&p.Epoch, &p.Revision, &hash); err != nil {
		return p, err
	}
	return p, p.Hash.Set(hash)
}
