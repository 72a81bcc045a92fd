package policystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

const (
	verifyAgain  = time.Minute // after what did not verify, or could not be read
	verification = "verification"
)

// Verify reads the whole record once, in the background of a start that began with a checkpoint, and checks every link, hash,
// time, format and, from the first revision that any trusted key is trusted for, signature, until ctx ends: what was written
// before anybody signed is vouched for by the first entry that is signed, through the chain. While an entry does not verify
// the record is in doubt, and is read again every minute. What the entries fold into is for the function Verify to see.
func (a *Authority) Verify(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		read, err := a.verifyChain(ctx)
		switch {
		case err == nil:
			a.Doubt(verification, nil)
			a.logger.Info("every entry verifies", slog.Int64("revision", int64(read)), slog.Duration("took", time.Since(began)))
			return
		case damaged(err), errors.Is(err, ErrSignature):
			a.Doubt(verification, err)
		case ctx.Err() == nil:
			a.logger.Warn("the record could not be verified", slog.Any("error", err))
		}
		pause(ctx, verifyAgain)
	}
}

// verifyChain returns up to where every entry follows the one before it.
func (a *Authority) verifyChain(ctx context.Context) (policy.Revision, error) {
	var at Position
	var last policy.Instant
	for {
		entries, err := a.log.Read(ctx, at.Revision+1, readBatch)
		if err != nil {
			return at.Revision, fmt.Errorf("read from entry %d: %w", at.Revision+1, err)
		}
		if len(entries) == 0 {
			return at.Revision, nil
		}
		for i := range entries {
			e := &entries[i]
			if err := e.Follows(at, last, a.domain); err != nil {
				return at.Revision, err
			}
			if _, err := e.Changes(); err != nil {
				return at.Revision, err
			}
			if err := a.replica.trust.verifyRecorded(a.domain, e); err != nil {
				return at.Revision, err
			}
			at, last = e.Position(), e.Time
		}
	}
}
