package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

const (
	// orphaned is for how long a checkpoint is kept that was stored and never made the newest.
	orphaned = time.Hour
	// sourceAgain is after what time, at most, a source that had no newer checkpoint is asked again: that reads a whole one.
	sourceAgain = time.Minute
)

// publishCheckpoints publishes the source's newest checkpoint when one is due, until ctx ends.
func (p *Publisher) publishCheckpoints(ctx context.Context) {
	way := path{Publisher: p, name: "checkpoints"}
	looks := time.NewTicker(p.limits.look)
	defer looks.Stop()
	var again time.Time
	for retry := p.limits.look; ; {
		select {
		case now := <-looks.C:
			if !p.checkpointDue() || now.Before(again) {
				continue
			}
		case <-ctx.Done():
			return
		}
		done, err := p.publishCheckpoint(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			way.failed(err)
		default:
			way.fine()
		}
		if done {
			retry = p.limits.look
		} else {
			retry = min(2*retry, sourceAgain)
		}
		again = time.Now().Add(retry)
	}
}

// checkpointDue reports whether so much was published since the newest checkpoint that there should be another, or it is lost.
func (p *Publisher) checkpointDue() bool {
	top, newest := policy.Revision(p.shown.top.Load()), policy.Revision(p.shown.checkpoint.Load())
	return p.shown.missing.Load() || top-newest >= p.limits.checkpointEntries || top > newest && p.shown.bytes.Load() >= p.limits.checkpointBytes
}

// publishCheckpoint publishes the source's newest checkpoint, if it is newer than what there is, and reports whether it did.
func (p *Publisher) publishCheckpoint(ctx context.Context) (done bool, err error) {
	c, err := p.checkpoint(ctx)
	if errors.Is(err, policystore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	connection, err := p.open(ctx)
	if err != nil {
		return false, err
	}
	defer connection.close()
	l, err := p.look(ctx, connection)
	if err != nil || !l.wants(c.Position) {
		return false, err
	}
	if ours, err := p.ours(ctx, &l); err != nil || !ours {
		return false, err
	}
	if err := p.store(ctx, connection, c); err != nil {
		return false, err
	}
	if done, err = p.makeNewest(ctx, connection, l, stageOf(c.Position)); done {
		p.shown.checkpoint.Store(int64(c.Position.Revision))
		p.shown.bytes.Store(0)
		p.shown.missing.Store(false)
		p.observe.Happened(PublishedCheckpoint)
		p.logger.Info("published a checkpoint", slog.Int64("revision", int64(c.Position.Revision)), slog.Int("bytes", len(c.Body)))
	}
	return done, err
}

// wants reports whether a checkpoint at a position is newer than the newest, or takes its place where it is lost, and
// whether the entry that it stands at is there.
func (l *look) wants(p policystore.Position) bool {
	newer := p.Revision > l.newest.revision || l.missing && p.Revision == l.newest.revision
	return newer && !l.empty() && p.Revision <= l.revision()
}

// ours reports whether what there is was not found to be another history than the record's, and ends with an entry of it.
// Of any other nothing is trimmed: it may be the only copy.
func (p *Publisher) ours(ctx context.Context, l *look) (bool, error) {
	if p.shown.foreign.Load() {
		return false, nil
	}
	own, err := p.read(ctx, l.revision(), 1)
	if err != nil {
		return false, fmt.Errorf("read entry %d: %w", l.revision(), err)
	}
	return len(own) == 1 && p.holds(l.top, own[0]), nil
}

// makeNewest has a stored checkpoint be the newest. What is behind the one before is trimmed, but for what is kept in any case.
func (p *Publisher) makeNewest(ctx context.Context, c *session, l look, at stage) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	trim := ""
	if first := min(l.newest.revision, l.revision()-p.limits.keep+1); first > 1 && !l.missing {
		trim = idOf(first)
	}
	keys := []string{p.keys.log(), p.keys.meta(), p.keys.checkpoint(at)}
	a, err := answerOf(p.scripts.checkpoint.Run(ctx, c, keys, l.epoch, cmp.Or(l.said[2], noStage), at.String(), trim, p.keys.checkpoints()))
	if err != nil {
		return false, fmt.Errorf("publish the checkpoint at %s: %w", at, err)
	}
	return a.word == answerOK, nil // else others were quicker
}

// store stores a checkpoint where it is to be. Until it is the newest it is there for a while only, so that whoever is
// interrupted leaves nothing behind; one that is there already keeps what it has.
func (p *Publisher) store(ctx context.Context, c *session, checkpoint policystore.Checkpoint) error {
	b, err := policystore.EncodeCheckpoint(&checkpoint)
	if err != nil {
		return err
	}
	failpoint.Hit(ctx, "publish-checkpoint")
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	key := p.keys.checkpoint(stageOf(checkpoint.Position))
	err = c.SetArgs(ctx, key, b, goredis.SetArgs{Mode: "NX", TTL: orphaned}).Err()
	if errors.Is(err, goredis.Nil) {
		err = c.SetArgs(ctx, key, b, goredis.SetArgs{Mode: "XX", KeepTTL: true}).Err()
	}
	if err != nil {
		return fmt.Errorf("store the checkpoint at %d: %w", checkpoint.Position.Revision, err)
	}
	return nil
}

// checkpoint returns the newest checkpoint that the source has, if it is of the record and whole; else an older one of the
// record; else policystore.ErrNotFound.
func (p *Publisher) checkpoint(ctx context.Context) (policystore.Checkpoint, error) {
	c, err := p.source.Checkpoint(ctx)
	for {
		if err == nil {
			err = p.stands(ctx, &c)
		}
		if !unusable(err) {
			return c, err
		}
		p.logger.Error("a checkpoint is not fit to be published; looking for an older one", slog.Any("error", err))
		archive, ok := p.record.(policystore.Archive)
		if !ok || c.Position.Revision <= 1 {
			return c, policystore.ErrNotFound
		}
		c, err = archive.CheckpointAt(ctx, c.Position.Revision-1)
	}
}

// unusable reports whether an error is of what was read, rather than of reading it.
func unusable(err error) bool {
	return errors.Is(err, policystore.ErrBroken) || errors.Is(err, policystore.ErrFormat)
}

// stands reports as an error that the record has no entry where a checkpoint was taken.
func (p *Publisher) stands(ctx context.Context, c *policystore.Checkpoint) error {
	own, err := p.read(ctx, c.Position.Revision, 1)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", c.Position.Revision, err)
	}
	if len(own) == 0 || own[0].Position() != c.Position || c.Domain != p.domain {
		return fmt.Errorf("the record has no entry %s of a checkpoint: %w", c.Position, policystore.ErrBroken)
	}
	return nil
}
