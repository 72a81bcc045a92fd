package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// look is what Redis has.
type look struct {
	epoch            int64
	seed             string
	said             []string // of meta, as it stands there: epoch, seed, and the newest checkpoint
	newest, previous stage    // of the checkpoints
	missing          bool     // the newest is not where it is said to be
	first, top       goredis.XMessage
	last             string // the last id that there ever was; not that of top if what followed it was deleted
}

func (l *look) empty() bool { return l.epoch == 0 || l.top.ID == "" }

// revision returns that of the last entry; 0 if its id is none that a publisher gives.
func (l *look) revision() policy.Revision {
	r, _ := revisionOf(l.top.ID)
	return r
}

// look looks at what there is.
func (p *Publisher) look(ctx context.Context, c *session) (l look, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var meta *goredis.SliceCmd
	var log *goredis.XInfoStreamCmd
	_, err = c.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		meta = pipe.HMGet(ctx, p.keys.meta(), epochField, seedField, checkpointField, previousField)
		log = pipe.XInfoStream(ctx, p.keys.log())
		return nil
	})
	if noSuchKey(log.Err()) {
		err = meta.Err()
	} else if err == nil {
		l.first, l.top, l.last = log.Val().FirstEntry, log.Val().LastEntry, log.Val().LastGeneratedID
	}
	if err != nil {
		return l, fmt.Errorf("look at what is published: %w", err)
	}
	said := texts(meta.Val())
	l.epoch, l.seed, l.said = epochOf(said[0]), said[1], said
	l.newest, _ = parseStage(said[2]) // what is no name of a checkpoint is none
	l.previous, _ = parseStage(said[3])
	if l.newest.revision > 0 {
		size, err := c.StrLen(ctx, p.keys.checkpoint(l.newest)).Result()
		if err != nil {
			return l, fmt.Errorf("look at the newest checkpoint: %w", err)
		}
		l.missing = size == 0
	}
	return l, nil
}

// course is what follows from a look.
type course struct {
	step    step
	replace bool  // what is there may be replaced, if it is still what was seen
	doubt   error // the record was rewound
	alarm   error // Redis has what the record has not
}

type step int

const (
	stay     step = iota // there is nothing to be done, or nothing that may be done
	goOn                 // with what follows the last entry
	makeAnew             // the stream
)

// judge looks at what there is, compares it with the record, and decides what is to be done.
func (w *writer) judge(ctx context.Context) (look, course, error) {
	var err error
	if w.head, err = w.Publisher.head(ctx); err != nil {
		return look{}, course{}, fmt.Errorf("read the head of the record: %w", err)
	}
	l, err := w.look(ctx, w.c)
	if err != nil {
		return l, course{}, err
	}
	if l.epoch > w.head.Epoch || l.revision() > w.head.Revision { // others may have written meanwhile
		if w.head, err = w.Publisher.head(ctx); err != nil {
			return l, course{}, fmt.Errorf("read the head of the record: %w", err)
		}
	}
	c, err := w.compare(ctx, l)
	if err == nil {
		w.shown.foreign.Store(c.step == stay && c.alarm != nil)
		w.show(l)
	}
	return l, c, err
}

// show keeps what others have to know of a look.
func (w *writer) show(l look) {
	if newest := int64(l.newest.revision); w.shown.checkpoint.Swap(newest) != newest {
		w.shown.bytes.Store(0)
	}
	w.shown.missing.Store(l.missing)
	top := int64(min(l.revision(), w.head.Revision))
	if w.shown.top.Swap(top) > top && !l.empty() {
		w.observe.Happened(Gap)
	}
	w.lag(max(w.inbox.heard(), w.head.Revision))
}

func (w *writer) compare(ctx context.Context, l look) (course, error) {
	switch {
	case l.epoch > w.head.Epoch && w.head.Revision == 0:
		return w.ahead(ctx, l, fmt.Errorf("the record is empty, and Redis has it up to %d of epoch %d: teishi store repair brings that back", l.revision(), l.epoch))
	case l.epoch > w.head.Epoch:
		return w.ahead(ctx, l, fmt.Errorf("what Redis has is of epoch %d, the record of %d", l.epoch, w.head.Epoch))
	case l.empty() && w.head.Revision == 0:
		return course{step: stay}, nil
	case l.empty(), l.epoch < w.head.Epoch:
		return course{step: makeAnew}, nil
	case l.revision() > w.head.Revision:
		return w.beyond(ctx, l)
	}
	return w.within(ctx, l)
}

// within compares a stream that ends where the record has been.
func (w *writer) within(ctx context.Context, l look) (course, error) {
	own, err := w.read(ctx, max(1, l.revision()), 1)
	if err != nil {
		return course{}, fmt.Errorf("read entry %d: %w", l.revision(), err)
	}
	if len(own) == 0 {
		return course{}, fmt.Errorf("read entry %d: %w", l.revision(), policystore.ErrNotFound)
	}
	if !w.holds(l.top, own[0]) {
		return w.ahead(ctx, l, fmt.Errorf("the entry that Redis has at %s is not the record's", l.top.ID))
	}
	if l.last != l.top.ID { // what followed was deleted, and cannot be added again
		return course{step: makeAnew, replace: true}, nil
	}
	w.at = own[0].Position()
	return w.orAnew(ctx)
}

// holds reports whether a message of log is the record's own entry, with the signature that it has there.
func (p *Publisher) holds(m goredis.XMessage, own policystore.Entry) bool {
	e, err := p.whole(m)
	return err == nil && e.Position() == own.Position() && bytes.Equal(e.Signature, own.Signature) &&
		field(m, hashField) == own.Hash.String()
}

// orAnew goes on, unless the stream is far behind and a checkpoint would bring it nearer.
func (w *writer) orAnew(ctx context.Context) (course, error) {
	if w.long || w.head.Revision-w.at.Revision <= w.limits.backfill {
		return course{step: goOn}, nil
	}
	c, err := w.checkpoint(ctx)
	if err == nil && c.Position.Revision > w.at.Revision {
		return course{step: makeAnew, replace: true}, nil
	}
	if err != nil && !errors.Is(err, policystore.ErrNotFound) {
		return course{}, err
	}
	w.long = true
	return course{step: goOn}, nil
}

// beyond judges a stream that goes on where the record ends.
func (w *writer) beyond(ctx context.Context, l look) (course, error) {
	problem := fmt.Errorf("what Redis has goes on to %d, the record ends at %s", l.revision(), w.head)
	if w.trust != nil {
		return w.ahead(ctx, l, problem)
	}
	follows, err := w.follows(ctx)
	switch {
	case err != nil:
		return course{}, err
	case follows:
		return doubted(problem), nil
	}
	return course{step: stay, alarm: fmt.Errorf("%w, with another history: teishi redis reseed has it begin anew", problem)}, nil
}

// follows reports whether nothing in the stream says that it is another history than the record's: what the record is
// without, nobody could tell any longer where it was trimmed.
func (w *writer) follows(ctx context.Context) (bool, error) {
	entries, err := w.entries(ctx, max(1, w.head.Revision), w.head.Revision+1)
	if err != nil {
		return false, err
	}
	for _, m := range entries {
		e, err := w.whole(m)
		if err != nil || e.Position() != w.head && e.PreviousHash != w.head.Hash {
			return false, nil
		}
	}
	return true, nil
}

// ahead judges a stream that has what the record has not. What is validly signed the record has lost. Without signatures
// a later epoch is believed, and another history is for somebody to look at.
func (w *writer) ahead(ctx context.Context, l look, problem error) (course, error) {
	if w.trust == nil {
		if l.epoch > w.head.Epoch {
			return doubted(problem), nil
		}
		return course{step: stay, alarm: fmt.Errorf("%w: teishi redis reseed has it begin anew", problem)}, nil
	}
	lost, err := w.lost(ctx, l)
	switch {
	case err != nil:
		return course{}, err
	case lost != nil:
		return doubted(fmt.Errorf("%w, and entry %s there is validly signed", problem, lost)), nil
	}
	return course{step: makeAnew, replace: true, alarm: fmt.Errorf("%w, and nothing of it is validly signed", problem)}, nil
}

func doubted(problem error) course {
	err := fmt.Errorf("%w: %w", policystore.ErrRewound, problem)
	return course{step: stay, doubt: err, alarm: err}
}

const (
	lookedBack = 1024 // how many entries before the record's head are looked at for what was lost
	lookedAt   = 4096 // how many at all
)

// lost returns the position of an entry that is signed, validly where anybody is trusted, and not the record's; nil if there is
// none.
func (w *writer) lost(ctx context.Context, l look) (*policystore.Position, error) {
	from := w.head.Revision
	if top := l.revision(); top > 0 {
		from = min(from, top)
	}
	from = max(1, from-lookedBack)
	if first, err := revisionOf(l.first.ID); err == nil {
		from = max(from, first)
	}
	for until := from + lookedAt; from < until; {
		entries, err := w.entries(ctx, from, from+batchEntries-1)
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 && from > w.head.Revision {
			break
		}
		own, err := w.read(ctx, from, batchEntries)
		if err != nil {
			return nil, fmt.Errorf("read from entry %d: %w", from, err)
		}
		if p := w.foreign(entries, own, from); p != nil {
			return p, nil
		}
		from = following(from, len(own), w.head.Revision)
	}
	return nil, nil
}

// following returns the revision after a batch of which the record gave so many: fewer than asked for perhaps, to bound the bytes.
func following(from policy.Revision, own int, head policy.Revision) policy.Revision {
	if end := from + policy.Revision(own); own > 0 && end <= head {
		return end
	}
	return from + batchEntries
}

// foreign returns the position of the first entry that is signed, validly where anybody is trusted, and not among the record's
// own from a revision on.
func (w *writer) foreign(entries []goredis.XMessage, own []policystore.Entry, from policy.Revision) *policystore.Position {
	for _, m := range entries {
		e, err := w.verified(m)
		if err != nil || len(e.Signature) == 0 {
			continue
		}
		i := int(e.Revision - from)
		known := i < len(own) && own[i].Position() == e.Position()
		if !known && (i < len(own) || e.Revision > w.head.Revision) {
			p := e.Position()
			return &p
		}
	}
	return nil
}

// entries returns what the stream has from one revision to another: no more than twice what publishers may have put there.
func (w *writer) entries(ctx context.Context, from, to policy.Revision) ([]goredis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	all, err := w.c.XRangeN(ctx, w.keys.log(), idOf(from), idOf(to), 2*int64(to-from+1)).Result()
	if err != nil {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	return all, nil
}

// whole returns an entry whose hash is its own.
func (p *Publisher) whole(m goredis.XMessage) (policystore.Entry, error) {
	e, err := entryOf(m)
	if err == nil && e.Hash != e.Sum(p.domain) {
		err = fmt.Errorf("entry %d does not have the hash it states: %w", e.Revision, policystore.ErrBroken)
	}
	return e, err
}

// verified returns an entry that is signed by whoever is trusted.
func (w *writer) verified(m goredis.XMessage) (policystore.Entry, error) {
	e, err := w.whole(m)
	if err == nil {
		err = w.trust.VerifyEntry(w.domain, &e)
	}
	return e, err
}
