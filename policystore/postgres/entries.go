package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const columns = `revision, epoch, time, principal, method, request_id, request_digest, reason, previous_hash, hash, signature, payload`

const (
	// The comparison and the insertion are one statement, and so one transaction. What that transaction needs is set in it,
	// before it inserts: the commit waits for the disk, and for a synchronous standby if there is one, and whoever is
	// second at a revision does not wait for the first for longer than this program does.
	appendEntry = `WITH settings AS MATERIALIZED (
	SELECT set_config('synchronous_commit', 'on', true), set_config('lock_timeout', '3s', true)
)
INSERT INTO teishi.entries (` + columns + `)
SELECT $1::bigint, $2::bigint, $3::bigint, $4::bytea, $5::bytea, $6::bytea, $7::bytea, $8::bytea, $9::bytea, $10::bytea, $11::bytea, $12::bytea
FROM settings
WHERE coalesce((SELECT max(revision) FROM teishi.entries), 0) = $13::bigint
AND coalesce((SELECT epoch FROM teishi.entries WHERE revision = $13), 0) = $14::bigint
AND coalesce((SELECT hash FROM teishi.entries WHERE revision = $13), decode(repeat('00', 32), 'hex')) = $15::bytea`

	// What is sent is bounded by the server: all that it sends is received.
	readEntries = `SELECT ` + columns + ` FROM (
	SELECT *, sum(octet_length(payload)) OVER (ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
	FROM teishi.entries WHERE revision >= $1::bigint ORDER BY revision LIMIT $2::bigint
) AS batch WHERE coalesce(before, 0) < $3::bigint ORDER BY revision`

	findRequest = `SELECT ` + columns + ` FROM teishi.entries
WHERE sha256(principal) = sha256($1::bytea) AND sha256(request_id) = sha256($2::bytea)`

	readHead = `SELECT pg_is_in_recovery(), coalesce(epoch, 0), coalesce(revision, 0), hash
FROM (VALUES (true)) AS always LEFT JOIN (
	SELECT epoch, revision, hash FROM teishi.entries ORDER BY revision DESC LIMIT 1
) AS head ON true`
)

// binary has what is read sent as it is instead of in hexadecimal. It costs another round trip the first time a connection is
// asked: then the types are learnt, and kept here. Neither the server nor a pooler keeps anything.
const binary = pgx.QueryExecModeCacheDescribe

// Append stores the entry if the head is at after. Once begun it is not ended by ctx, but by a deadline of its own, so that
// its outcome is known if it can be.
func (l *Log) Append(ctx context.Context, after policystore.Position, e policystore.Entry) (policystore.Entry, error) {
	if l.readOnly {
		return e, policystore.ErrReadOnly
	}
	if e.Revision != after.Revision+1 || e.PreviousHash != after.Hash {
		return e, fmt.Errorf("append entry %d after %s: %w", e.Revision, after, policystore.ErrBroken)
	}
	if err := ctx.Err(); err != nil {
		return e, err
	}
	ctx, cancel := within(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	appended := false
	err := l.commit(ctx, func(c *pgxpool.Conn) error {
		tag, err := c.Exec(ctx, appendEntry,
			int64(e.Revision), e.Epoch, int64(e.Time), []byte(e.Principal), []byte(e.Method), []byte(e.RequestID),
			e.RequestDigest[:], []byte(e.Reason), e.PreviousHash[:], e.Hash[:], e.Signature, blob(e.Payload),
			int64(after.Revision), after.Epoch, after.Hash[:])
		appended = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return e, l.refused(ctx, e, err)
	}
	if !appended {
		return e, policystore.ErrConflict
	}
	l.hardened(e.Revision)
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

// refused says why an append was: another entry was first, the request is in the record, or what the server says.
func (l *Log) refused(ctx context.Context, e policystore.Entry, err error) error {
	if found, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case found.Code == serializationFailure, found.Code == uniqueViolation && found.ConstraintName == "entries_pkey":
			return policystore.ErrConflict
		case found.Code == uniqueViolation:
			there, err := l.Request(ctx, e.Principal, e.RequestID)
			if err != nil {
				return err
			}
			return &policystore.DuplicateError{Entry: there}
		}
	}
	return fmt.Errorf("append entry %d: %w", e.Revision, l.explain(ctx, err))
}

// maxRead bounds the bytes of payload that one Read returns, but for its last entry.
const maxRead = 4 << 20

// Read returns up to n entries from the revision on. Those before one that cannot be read are returned first.
func (l *Log) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	return l.read(ctx, l.reading, from, n)
}

func (l *Log) read(ctx context.Context, pool *pgxpool.Pool, from policy.Revision, n int) ([]policystore.Entry, error) {
	ctx, cancel := within(ctx, batchWithin)
	defer cancel()
	rows, err := pool.Query(ctx, readEntries, binary, int64(from), int64(n), int64(maxRead))
	if err != nil {
		return nil, fmt.Errorf("read entries from %d: %w", from, l.explain(ctx, err))
	}
	defer rows.Close()
	var entries []policystore.Entry
	for rows.Next() {
		var e policystore.Entry
		if e, err = scan(rows); err != nil {
			break
		}
		entries = append(entries, e)
	}
	rows.Close()
	if err = errors.Join(err, rows.Err()); err != nil && len(entries) == 0 {
		return nil, fmt.Errorf("read entries from %d: %w", from, l.explain(ctx, err))
	}
	return entries, nil
}

// Request returns the entry of the principal and request id. Whoever finds it there takes the write for acknowledged, so it is
// not returned before it is as durable as one that was, unless nothing may be written.
func (l *Log) Request(ctx context.Context, principal, id string) (policystore.Entry, error) {
	ctx, cancel := within(ctx, answerWithin)
	defer cancel()
	e, err := scan(l.writing.QueryRow(ctx, findRequest, []byte(principal), []byte(id)))
	if err == nil && !l.readOnly {
		err = l.harden(ctx, e.Revision)
	}
	if err != nil {
		return e, fmt.Errorf("read request %s: %w", id, l.explain(ctx, err))
	}
	return e, nil
}

// Head returns the position of the last committed entry. Only that of a primary proves anything.
func (l *Log) Head(ctx context.Context) (policystore.Position, error) {
	ctx, cancel := within(ctx, answerWithin)
	defer cancel()
	p, err := l.head(ctx)
	if err != nil {
		return p, fmt.Errorf("read the head: %w", l.explain(ctx, err))
	}
	return p, nil
}

func (l *Log) head(ctx context.Context) (p policystore.Position, err error) {
	var standby bool
	var hash []byte
	err = l.following.QueryRow(ctx, readHead).Scan(&standby, &p.Epoch, &p.Revision, &hash)
	switch {
	case err != nil:
		return p, err
	case standby:
		return p, pgconn.ErrStandbyConnection
	case p.Revision == 0:
		return p, nil
	}
	return p, p.Hash.Set(hash)
}

func scan(row pgx.Row) (e policystore.Entry, err error) {
	var principal, method, request, digest, reason, previous, hash []byte
	err = row.Scan(&e.Revision, &e.Epoch, &e.Time, &principal, &method, &request, &digest, &reason,
		&previous, &hash, &e.Signature, &e.Payload)
	if err != nil {
		return e, err
	}
	e.Principal, e.Method, e.RequestID, e.Reason = string(principal), string(method), string(request), string(reason)
	return e, errors.Join(e.RequestDigest.Set(digest), e.PreviousHash.Set(previous), e.Hash.Set(hash))
}
