package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// barrier is a commit that writes nothing but to the write-ahead log: when it is through, so is all that came before it, on the
// disk and on the synchronous standby.
const barrier = `WITH settings AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true))
SELECT coalesce((SELECT max(revision) FROM teishi.entries), 0)
FROM settings, pg_logical_emit_message(true, 'teishi', 'barrier')`

// commit makes a commit that has to be durable on a connection of its own. That is not so if the server warns: whoever ends
// its wait for a synchronous standby has it commit without, and say so in a warning.
func (l *Log) commit(ctx context.Context, statement func(*pgxpool.Conn) error) error {
	c, err := l.writing.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	noted := c.Conn().PgConn().CustomData()
	delete(noted, warned)
	if err := statement(c); err != nil {
		return err
	}
	if warning, ok := noted[warned]; ok {
		return &policystore.TroubleError{Trouble: policystore.Misconfigured, Err: fmt.Errorf("the server warns: %v", warning)}
	}
	return nil
}

// harden returns when the entry, which was seen in the record, is as durable as one that was acknowledged. It may be less:
// one that waits for a synchronous standby when the server stops is there when it has started again.
func (l *Log) harden(ctx context.Context, r policy.Revision) error {
	if int64(r) <= l.durable.Load() {
		return nil
	}
	var head policy.Revision
	err := l.commit(ctx, func(c *pgxpool.Conn) error { return c.QueryRow(ctx, barrier).Scan(&head) })
	if err == nil {
		l.hardened(head)
	}
	return err
}

// hardened keeps that the entries up to the revision are durable.
func (l *Log) hardened(r policy.Revision) {
	for {
		before := l.durable.Load()
		if int64(r) <= before || l.durable.CompareAndSwap(before, int64(r)) {
			return
		}
	}
}
