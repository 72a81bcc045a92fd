package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	readCheckpoint = `SELECT revision, epoch, hash, time, fold_version, state_hash, signature, body FROM checkpoints
WHERE revision <= ? ORDER BY revision DESC LIMIT 1`
	findCheckpoint  = `SELECT revision FROM checkpoints WHERE revision <= ? ORDER BY revision DESC LIMIT 1`
	storeCheckpoint = `INSERT OR REPLACE INTO checkpoints (revision, epoch, hash, time, fold_version, state_hash, signature, body)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM entries WHERE revision = ?1 AND epoch = ?2 AND hash = ?3)`
	listCheckpoints = `SELECT revision FROM checkpoints WHERE revision <= (SELECT max(revision) FROM entries) ORDER BY revision DESC`
	dropCheckpoint  = `DELETE FROM checkpoints WHERE revision = ?`
)

// Checkpoint returns the newest checkpoint; its errors are those of CheckpointAt.
func (l *Log) Checkpoint(ctx context.Context) (policystore.Checkpoint, error) {
	return l.CheckpointAt(ctx, math.MaxInt64)
}

// CheckpointAt returns the newest checkpoint at or before the revision, or policystore.ErrNotFound. One that is damaged is
// policystore.ErrBroken, and what is returned has its revision.
func (l *Log) CheckpointAt(ctx context.Context, at policy.Revision) (policystore.Checkpoint, error) {
	c, err := l.readCheckpoint(ctx, at)
	if err == nil {
		return c, nil
	}
	err = l.explain(err)
	if errors.Is(err, policystore.ErrBroken) { // where it is may still be read, if what it holds may not
		if unread := l.reader.QueryRowContext(ctx, findCheckpoint, at).Scan(&c.Position.Revision); unread != nil {
			err = errors.Join(err, l.explain(unread))
		}
	}
	return c, fmt.Errorf("read the checkpoint: %w", err)
}

func (l *Log) readCheckpoint(ctx context.Context, at policy.Revision) (policystore.Checkpoint, error) {
	c := policystore.Checkpoint{Domain: l.domain}
	var hash, stateHash []byte
	var fold int64
	err := l.reader.QueryRowContext(ctx, readCheckpoint, at).Scan(
		&c.Position.Revision, &c.Position.Epoch, &hash, &c.Time, &fold, &stateHash, &c.Signature, &c.Body)
	if err != nil {
		return c, err
	}
	if c.FoldVersion = int32(fold); int64(c.FoldVersion) != fold {
		return c, fmt.Errorf("a fold version of %d: %w", fold, policystore.ErrBroken)
	}
	return c, errors.Join(c.Position.Hash.Set(hash), c.StateHash.Set(stateHash))
}

// StoreCheckpoint stores the checkpoint and drops those no longer kept. One of another record is refused.
func (l *Log) StoreCheckpoint(ctx context.Context, c policystore.Checkpoint) error {
	if l.writer == nil {
		return policystore.ErrReadOnly
	}
	if err := l.storeCheckpoint(ctx, c); err != nil {
		return fmt.Errorf("store the checkpoint at %d: %w", c.Position.Revision, l.explain(err))
	}
	return nil
}

func (l *Log) storeCheckpoint(ctx context.Context, c policystore.Checkpoint) error {
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	result, err := tx.ExecContext(ctx, storeCheckpoint, c.Position.Revision, c.Position.Epoch, c.Position.Hash[:], c.Time,
		c.FoldVersion, c.StateHash[:], c.Signature, c.Body)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 || c.Domain != l.domain {
		return policystore.ErrDiverged
	}
	if err := thin(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// thin drops what need not be kept. What is past the head is not counted: it would take the place of the newest.
func thin(ctx context.Context, tx *sql.Tx) error {
	revisions, err := listed(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range policystore.Dispensable(revisions) {
		if _, err := tx.ExecContext(ctx, dropCheckpoint, r); err != nil {
			return err
		}
	}
	return nil
}

// listed returns the revisions of the checkpoints, the newest first.
func listed(ctx context.Context, tx *sql.Tx) ([]policy.Revision, error) {
	rows, err := tx.QueryContext(ctx, listCheckpoints)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var revisions []policy.Revision
	for rows.Next() {
		var r policy.Revision
		if err := rows.Scan(&r); err != nil {
			return nil, err
		}
		revisions = append(revisions, r)
	}
	return revisions, rows.Err()
}
