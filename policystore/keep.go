package policystore

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// A checkpoint is due after so many entries, or so many bytes of payload.
const (
	checkpointEntries = 5000
	checkpointPayload = 16 << 20
)

// KeepCheckpoints stores a checkpoint of what is in force every 5,000 entries or 16 MiB of payload, and one at once where
// there is a key to sign with and the newest is not signed, until ctx ends. It does nothing for a log that is no Archive, and
// while the record is in doubt. One that cannot be stored is logged and is due again 5,000 entries later: without it a start
// takes longer.
func (a *Authority) KeepCheckpoints(ctx context.Context) {
	archive, ok := a.log.(Archive)
	if !ok {
		return
	}
	k := keeper{authority: a, archive: archive, every: checkpointEntries + policy.Revision(rand.N(checkpointEntries/10))}
	for first := true; ctx.Err() == nil; {
		s := a.replica.state.Load()
		_, newer := a.Proof() // there are none while the record is in doubt
		if s.snapshot != nil && a.Doubted() == nil {
			if first {
				k.look(ctx)
				first = false
			}
			k.keep(ctx, s)
		}
		select {
		case <-s.sequel.there:
		case <-newer:
		case <-ctx.Done():
		}
	}
}

// keeper keeps the checkpoints of an authority. Several authorities of one record keep them at slightly different intervals,
// so that mostly one of them does.
type keeper struct {
	authority *Authority
	archive   Archive
	every     policy.Revision
	last      policy.Revision // of the newest checkpoint known
	signed    bool            // it is, if there is a key
	folded    int64           // bytes of payload when the last one was taken
}

func (k *keeper) due(s *state) bool {
	return s.position.Revision-k.last >= k.every || s.payload-k.folded >= checkpointPayload || !k.signed
}

// keep stores what the state holds, if that is due and nobody else has done so.
func (k *keeper) keep(ctx context.Context, s *state) {
	if !k.due(s) {
		return
	}
	if before := k.last; before > 0 && k.signed {
		if k.look(ctx); k.last > before {
			k.folded = s.payload
		}
		if !k.due(s) {
			return
		}
	}
	if err := k.checkpoint(ctx, s); err != nil && ctx.Err() == nil {
		k.authority.logger.Error("no checkpoint was stored", slog.Any("error", err))
	}
	k.last, k.folded, k.signed = s.position.Revision, s.payload, true
}

// look learns where the newest checkpoint of what is in force is, 0 if there is none or it is damaged. It looks until it
// knows or ctx ends. One past the head is of no use to a start, so it does not count.
func (k *keeper) look(ctx context.Context) {
	for retry := minRetry; ctx.Err() == nil; retry = min(2*retry, maxRetry) {
		c, err := k.archive.CheckpointAt(ctx, k.authority.replica.state.Load().position.Revision)
		switch {
		case err == nil:
			k.last, k.signed = c.Position.Revision, k.authority.signer == nil || len(c.Signature) > 0
			return
		case errors.Is(err, ErrNotFound), damaged(err):
			k.last, k.signed = 0, k.authority.signer == nil
			return
		}
		k.authority.logger.Warn("where the newest checkpoint is was not learnt", slog.Any("error", err), slog.Duration("retry", retry))
		pause(ctx, retry)
	}
}

func (k *keeper) checkpoint(ctx context.Context, s *state) error {
	began, a := time.Now(), k.authority
	c, err := NewCheckpoint(a.domain, s.view(reading(), a.replica.spent))
	if err != nil {
		return err
	}
	a.signer.SignCheckpoint(&c)
	failpoint.Hit(ctx, "mid-checkpoint")
	if err := k.archive.StoreCheckpoint(ctx, c); err != nil {
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
