package policystore

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// A checkpoint is due after so many entries, or so many bytes of payload.
const (
	checkpointEntries = 5000
	checkpointPayload = 16 << 20
)

// KeepCheckpoints stores a checkpoint of what is in force every 5,000 entries or 16 MiB of payload, until ctx ends; then
// it returns nil. It does nothing for a log that is no Archive. One that cannot be stored is logged and is due again
// 5,000 entries later: without it a start takes longer.
func (a *Authority) KeepCheckpoints(ctx context.Context) error {
	archive, ok := a.log.(Archive)
	if !ok {
		return nil
	}
	if err := a.replica.WaitReady(ctx); err != nil {
		return nil
	}
	last := a.lastCheckpoint(ctx, archive)
	folded := int64(0) // bytes of payload when the last one was taken
	for ctx.Err() == nil {
		s := a.replica.state.Load()
		if s.position.Revision-last >= checkpointEntries || s.payload-folded >= checkpointPayload {
			if err := a.checkpoint(ctx, archive, s); err != nil && ctx.Err() == nil {
				a.logger.Error("no checkpoint was stored", slog.Any("error", err))
			}
			last, folded = s.position.Revision, s.payload
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// lastCheckpoint returns the revision of the newest checkpoint of what is in force; 0 if there is none or it is damaged.
// It looks until it knows or ctx ends. One past the head is of no use to a start, so it does not count.
func (a *Authority) lastCheckpoint(ctx context.Context, archive Archive) policy.Revision {
	for retry := minRetry; ctx.Err() == nil; retry = min(2*retry, maxRetry) {
		c, err := archive.CheckpointAt(ctx, a.replica.state.Load().position.Revision)
		switch {
		case err == nil:
			return c.Position.Revision
		case errors.Is(err, ErrNotFound), damaged(err):
			return 0
		}
		a.logger.Warn("where the newest checkpoint is was not learnt", slog.Any("error", err), slog.Duration("retry", retry))
		pause(ctx, retry)
	}
	return 0
}

func (a *Authority) checkpoint(ctx context.Context, archive Archive, s *state) error {
	began := time.Now()
	c, err := NewCheckpoint(a.domain, s.view(a.replica.name, began))
	if err != nil {
		return err
	}
	if err := archive.StoreCheckpoint(ctx, c); err != nil {
		return err
	}
	a.logger.Info("stored a checkpoint", slog.Int64("revision", int64(c.Position.Revision)),
		slog.Int("bytes", len(c.Body)), slog.Duration("took", time.Since(began)))
	return nil
}

// keepApart is how many entries lie at least between the checkpoints that are kept beside the newest two: about as many as
// an answer from the past has to fold.
const keepApart = 20_000

// Dispensable returns which of the checkpoints at these revisions, the newest first, an Archive need not keep: what is
// neither among the newest two nor far enough from the one kept before it.
func Dispensable(newestFirst []policy.Revision) []policy.Revision {
	var drop []policy.Revision
	var kept policy.Revision
	for i := len(newestFirst) - 1; i >= 2; i-- {
		if at := newestFirst[i]; at-kept >= keepApart {
			kept = at
		} else {
			drop = append(drop, at)
		}
	}
	return drop
}
