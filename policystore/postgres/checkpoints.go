package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	readCheckpoint = `SELECT revision, epoch, hash, time, fold_version, state_hash, signature, body FROM teishi.checkpoints
WHERE revision <= $1::bigint ORDER BY revision DESC LIMIT 1`
	findCheckpoint = `SELECT revision FROM teishi.checkpoints WHERE revision <= $1::bigint ORDER BY revision DESC LIMIT 1`

	// Of the authorities that store the same checkpoint, as they do, one is first.
	lockCheckpoints = `SELECT pg_advisory_xact_lock(hashtextextended('teishi.checkpoints', 0))`
	findEntry       = `SELECT EXISTS (SELECT FROM teishi.entries WHERE revision = $1::bigint AND epoch = $2::bigint AND hash = $3::bytea)`
	listCheckpoints = `SELECT revision FROM teishi.checkpoints
WHERE revision <= (SELECT max(revision) FROM teishi.entries) ORDER BY revision DESC`
	dropCheckpoints = `DELETE FROM teishi.checkpoints WHERE revision = ANY ($1::bigint[])`
)

// Checkpoint returns the newest checkpoint; its errors are those of CheckpointAt.
func (l *Log) Checkpoint(ctx context.Context) (policystore.Checkpoint, error) {
	return l.CheckpointAt(ctx, math.MaxInt64)
}

// CheckpointAt returns the newest checkpoint at or before the revision, or policystore.ErrNotFound. One that is damaged is
// policystore.ErrBroken, and what is returned has its revision.
func (l *Log) CheckpointAt(ctx context.Context, at policy.Revision) (policystore.Checkpoint, error) {
	ctx, cancel := within(ctx, bodyWithin)
	defer cancel()
	c, err := l.readCheckpoint(ctx, at)
	if err == nil {
		return c, nil
	}
	err = l.explain(ctx, err)
	if errors.Is(err, policystore.ErrBroken) { // where it is may still be read, if what it holds may not
		if unread := l.reading.QueryRow(ctx, findCheckpoint, int64(at)).Scan(&c.Position.Revision); unread != nil {
			err = errors.Join(err, l.explain(ctx, unread))
		}
	}
	return c, fmt.Errorf("read the checkpoint: %w", err)
}

func (l *Log) readCheckpoint(ctx context.Context, at policy.Revision) (policystore.Checkpoint, error) {
	c := policystore.Checkpoint{Domain: l.domain}
	var hash, stateHash []byte
	var fold int64
	err := l.reading.QueryRow(ctx, readCheckpoint, binary, int64(at)).Scan(
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
	if l.readOnly {
		return policystore.ErrReadOnly
	}
	ctx, cancel := within(ctx, bodyWithin)
	defer cancel()
	err := pgx.BeginFunc(ctx, l.reading, func(tx pgx.Tx) error { return l.storeCheckpoint(ctx, tx, c) })
	if err != nil {
		return fmt.Errorf("store the checkpoint at %d: %w", c.Position.Revision, l.explain(ctx, err))
	}
	return nil
}

func (l *Log) storeCheckpoint(ctx context.Context, tx pgx.Tx, c policystore.Checkpoint) error {
	if _, err := tx.Exec(ctx, lockCheckpoints); err != nil {
		return err
	}
	var ours bool
	err := tx.QueryRow(ctx, findEntry, int64(c.Position.Revision), c.Position.Epoch, c.Position.Hash[:]).Scan(&ours)
	if err != nil {
		return err
	}
	if !ours || c.Domain != l.domain {
		return policystore.ErrDiverged
	}
	if _, err := tx.Exec(ctx, dropCheckpoints, []int64{int64(c.Position.Revision)}); err != nil {
		return err
	}
	// What is copied is sent as it is, and not logged, as parameters of statements are where the server logs statements.
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"teishi", "checkpoints"},
		[]string{"revision", "epoch", "hash", "time", "fold_version", "state_hash", "signature", "body"}, pgx.CopyFromRows([][]any{{
			int64(c.Position.Revision), c.Position.Epoch, c.Position.Hash[:], int64(c.Time), int64(c.FoldVersion), c.StateHash[:],
			c.Signature, blob(c.Body)}}))
	if err != nil {
		return err
	}
	return thin(ctx, tx)
}

// thin drops what need not be kept. What is past the head is not counted: it would take the place of the newest.
func thin(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, listCheckpoints)
	if err != nil {
		return err
	}
	newestFirst, err := pgx.CollectRows(rows, pgx.RowTo[policy.Revision])
	if err != nil {
		return err
	}
	var drop []int64
	for _, r := range policystore.Dispensable(newestFirst) {
		drop = append(drop, int64(r))
	}
	if drop == nil {
		return nil
	}
	_, err = tx.Exec(ctx, dropCheckpoints, drop)
	return err
}
