package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
)

// surroundings is what there is where a tail is to begin.
type surroundings struct {
	epoch    int64
	seed     string
	length   int64              // of log
	entries  []goredis.XMessage // at the place and after it, as far as they are there
	proof    string             // the id of the last proof; 0-0 if there is none
	lastHead string             // that proof, encoded
}

// look asks for all that tells whether a tail can go on from where it is, at once.
func (t *tail) look(ctx context.Context) (s surroundings, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	t.seen = time.Now()
	var meta *goredis.SliceCmd
	var length *goredis.IntCmd
	var entries *goredis.XMessageSliceCmd
	var proofs *goredis.XInfoStreamCmd
	_, err = t.c.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		meta = pipe.HMGet(ctx, t.keys.meta(), epochField, seedField)
		length = pipe.XLen(ctx, t.keys.log())
		entries = pipe.XRangeN(ctx, t.keys.log(), idOf(t.at.Revision), idOf(t.at.Revision+1), 2)
		proofs = pipe.XInfoStream(ctx, t.keys.proofs())
		return nil
	})
	s.proof = "0-0"
	if noSuchKey(proofs.Err()) {
		err = errors.Join(meta.Err(), length.Err(), entries.Err())
	} else if proofs.Err() == nil {
		s.proof, s.lastHead = proofs.Val().LastGeneratedID, field(proofs.Val().LastEntry, proofField)
	}
	if err != nil {
		return s, err
	}
	said := texts(meta.Val())
	s.epoch, s.seed, s.length, s.entries = epochOf(said[0]), said[1], length.Val(), entries.Val()
	return s, nil
}

// noSuchKey reports whether XINFO found nothing.
func noSuchKey(err error) bool {
	answer, ok := errors.AsType[goredis.Error](err)
	return ok && strings.HasPrefix(answer.Error(), "ERR no such key")
}

// place reports as an error that the stream does not have what follows the place a tail is at. Proofs count from now on if
// the tail has had none.
func (t *tail) place(ctx context.Context) error {
	s, err := t.look(ctx)
	if err != nil {
		return err
	}
	t.seed = s.seed
	if t.proof == "" {
		t.proof = s.proof
	}
	if s.epoch == 0 || s.length == 0 {
		if t.at.Revision == 0 && s.provenEmpty() {
			return nil
		}
		return errMissing
	}
	if s.leadsOn(t.at) {
		return nil
	}
	return t.elsewhere(ctx, s)
}

// provenEmpty reports whether an authority has said that there is nothing in the record, so that nothing is to be expected.
func (s *surroundings) provenEmpty() bool {
	h, err := policystore.DecodeHead([]byte(s.lastHead))
	return err == nil && h.Position.Revision == 0
}

// leadsOn reports whether the entry at the place is the one that p says, or the one after it names it.
func (s *surroundings) leadsOn(p policystore.Position) bool {
	if len(s.entries) == 0 {
		return false
	}
	e, err := entryOf(s.entries[0])
	return err == nil && (e.Position() == p || e.Revision == p.Revision+1 && e.PreviousHash == p.Hash)
}

// elsewhere says why the place is not in the stream.
func (t *tail) elsewhere(ctx context.Context, s surroundings) error {
	problem := fmt.Sprintf("what is published, of epoch %d, does not lead on from %s", s.epoch, t.at)
	switch {
	case t.at.Revision == 0:
		return fmt.Errorf("%s: %w", problem, policystore.ErrCompacted)
	case s.epoch > t.at.Epoch:
		return fmt.Errorf("%s: %w", problem, policystore.ErrEpoch)
	case s.epoch < t.at.Epoch:
		return fmt.Errorf("%s: %w", problem, policystore.ErrDiverged)
	case len(s.entries) > 0:
		if _, err := entryOf(s.entries[0]); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", problem, policystore.ErrDiverged)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	log, err := t.c.XInfoStream(ctx, t.keys.log()).Result()
	if err != nil {
		return err
	}
	if top, err := revisionOf(log.LastGeneratedID); err == nil && top < t.at.Revision {
		return &policystore.TroubleError{Trouble: policystore.Behind, Err: fmt.Errorf("it is at %d and does not have %s yet", top, t.at)}
	}
	return fmt.Errorf("%s: %w", problem, policystore.ErrCompacted)
}

// still looks whether the stream is the one in which the place was seen: what was lost or made anew wakes nobody.
func (t *tail) still(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	t.seen = time.Now()
	var meta *goredis.SliceCmd
	var length *goredis.IntCmd
	_, err := t.c.Pipelined(looking, func(pipe goredis.Pipeliner) error {
		meta = pipe.HMGet(looking, t.keys.meta(), seedField)
		length = pipe.XLen(looking, t.keys.log())
		return nil
	})
	if err != nil {
		return err
	}
	if texts(meta.Val())[0] == t.seed && length.Val() > 0 {
		return nil
	}
	return t.place(ctx)
}
