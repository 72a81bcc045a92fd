package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// makeAnew has the stream begin at the newest checkpoint, or at entry 1 where there is none, and reports whether it does.
// Nothing is made anew that others have made meanwhile.
func (w *writer) makeAnew(ctx context.Context, l look, replace bool) (bool, error) {
	at, from := stage{}, policy.Revision(1)
	c, err := w.checkpoint(ctx)
	switch {
	case err == nil:
		at, from = stageOf(c.Position), c.Position.Revision
		if err := w.store(ctx, w.c, c); err != nil {
			return false, err
		}
	case !errors.Is(err, policystore.ErrNotFound):
		return false, err
	}
	own, err := w.read(ctx, from, 1)
	if err != nil {
		return false, fmt.Errorf("read entry %d: %w", from, err)
	}
	if len(own) == 0 {
		return false, fmt.Errorf("read entry %d: %w", from, policystore.ErrNotFound)
	}
	e, err := encoded(own[0])
	if err != nil {
		return false, err
	}
	a, err := w.runSeed(ctx, at, &e, l, replace)
	if err != nil || a.word != answerOK {
		return false, err
	}
	w.observe.Happened(Seed)
	w.logger.Info("made what is published anew", slog.String("redis", w.address.String()), slog.Int64("revision", int64(from)))
	return true, nil
}

func (w *writer) runSeed(ctx context.Context, at stage, e *sent, l look, replace bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	keys := []string{w.keys.log(), w.keys.meta(), w.keys.checkpoint(at)}
	args := []any{w.head.Epoch, int64(e.Revision), e.Hash.String(), e.encoded, at.String(), rand.Text(), w.keys.checkpoints(), "", "", "", ""}
	if replace {
		args = append(args[:7], l.said[0], l.seed, l.top.ID, field(l.top, hashField))
	}
	a, err := answerOf(w.scripts.seed.Run(ctx, w.c, keys, args...))
	if err != nil {
		return a, fmt.Errorf("make what is published anew: %w", err)
	}
	return a, nil
}

// ErrOnlyCopy says that what is published is not the record's and, as far as anybody can tell without keys, may be the only
// copy of what the record has lost.
var ErrOnlyCopy = errors.New("what Redis has may be the only copy")

// Reseed has what is published begin anew, from what the record has, and returns when all of it is there. It is refused by
// policystore.ErrRewound where Redis has what the record has lost; and where nobody is trusted, by ErrOnlyCopy where it has
// signed entries that are not the record's, or goes on where the record ends. With force it is not, and what is lost is
// returned.
func (p *Publisher) Reseed(ctx context.Context, force bool) (lost, err error) {
	w := writer{Publisher: p, good: func() {}}
	if lost, err = w.reseed(ctx, force); err != nil {
		return lost, p.troubled(fmt.Errorf("reseed: %w", err))
	}
	return lost, nil
}

func (w *writer) reseed(ctx context.Context, force bool) (lost, err error) {
	if w.c, err = w.open(ctx); err != nil {
		return nil, err
	}
	defer w.c.close()
	retry := minRetry
	for made := false; ctx.Err() == nil; {
		look, course, err := w.judge(ctx)
		switch {
		case err != nil:
			return lost, err
		case w.head.Revision == 0:
			return lost, fmt.Errorf("the record is empty: %w", policystore.ErrNotFound)
		case made && course.step == goOn:
			if all, err := w.drain(ctx); err != nil || all {
				return lost, err
			}
			continue
		}
		only, err := w.onlyCopy(ctx, look, course)
		if err != nil || only != nil && !force {
			return lost, errors.Join(err, only)
		}
		if made, err = w.makeAnew(ctx, look, !look.empty()); err != nil {
			return lost, err
		}
		if made && only != nil {
			lost = only
		}
		if !made { // others were quicker
			pause(ctx, retry)
			retry = min(2*retry, maxRetry)
		}
	}
	return lost, ctx.Err()
}

// onlyCopy returns what would be lost with what Redis has; nil if that is nothing, or nothing that anybody has acknowledged.
func (w *writer) onlyCopy(ctx context.Context, l look, c course) (only, err error) {
	switch {
	case c.doubt != nil || c.alarm == nil:
		return c.doubt, nil
	case w.trust != nil:
		return nil, nil
	case l.epoch == w.head.Epoch && l.revision() > w.head.Revision:
		return fmt.Errorf("%w: it has the entries %d to %d of epoch %d, where the record ends", ErrOnlyCopy, w.head.Revision+1, l.revision(), l.epoch), nil
	}
	signed, err := w.lost(ctx, l)
	if err != nil || signed == nil {
		return nil, err
	}
	return fmt.Errorf("%w: its entry %s is signed, and not the record's", ErrOnlyCopy, signed), nil
}
