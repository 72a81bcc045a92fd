package redis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
)

const (
	readCount = 32 // of each stream
	readBlock = time.Second
	readGrace = 1500 * time.Millisecond // what a read may take longer than it blocks
)

// Tail yields the entries after p as they are published, and head proofs as they come: none that were there before. Where
// Redis does not have what follows p it ends at once, and says why. It ends with the connection: whoever calls it again
// is looked at again, perhaps by another server.
func (s *Source) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		t := tail{Source: s, at: p, yield: yield}
		if err := t.run(ctx); err != nil && ctx.Err() == nil {
			yield(policystore.Event{}, s.troubled(fmt.Errorf("follow: %w", err)))
		}
	}
}

// tail is a cursor over both streams.
type tail struct {
	*Source
	c     *session
	at    policystore.Position
	seed  string    // that of the stream in which the place was seen
	proof string    // the id after which proofs are new
	since time.Time // what the next read brings was not there before
	seen  time.Time // when the place was last looked for
	yield func(policystore.Event, error) bool
	ended bool // the receiver wants no more
}

func (t *tail) run(ctx context.Context) (err error) {
	if t.c, err = t.open(ctx); err != nil {
		return err
	}
	defer t.c.close()
	t.since = time.Now()
	if err := t.place(ctx); err != nil {
		return err
	}
	for !t.ended && ctx.Err() == nil {
		entries, proofs, err := t.read(ctx)
		if err != nil {
			return err
		}
		if err := t.deliver(ctx, entries, proofs); err != nil || t.ended {
			return err
		}
		if len(entries) == 0 && time.Since(t.seen) >= readBlock {
			if err := t.still(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// read waits for what is new in either stream, for as long as a read blocks.
func (t *tail) read(ctx context.Context) (entries, proofs []goredis.XMessage, err error) {
	ctx, cancel := context.WithTimeout(ctx, readBlock+readGrace)
	defer cancel()
	streams, err := t.c.XRead(ctx, &goredis.XReadArgs{
		Streams: []string{t.keys.log(), t.keys.proofs(), idOf(t.at.Revision), t.proof},
		Count:   readCount,
		Block:   readBlock, // neither 0, which is for ever, nor less, which is not at all
	}).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil, nil
	}
	for _, stream := range streams {
		switch stream.Stream {
		case t.keys.log():
			entries = stream.Messages
		case t.keys.proofs():
			proofs = stream.Messages
		}
	}
	return entries, proofs, err
}

// deliver yields what a read brought.
func (t *tail) deliver(ctx context.Context, entries, proofs []goredis.XMessage) error {
	since := t.since
	if len(proofs) < readCount { // else more were there
		t.since = time.Now()
	}
	for _, m := range entries {
		if err := t.entry(ctx, m); err != nil || t.ended {
			return err
		}
	}
	for _, m := range proofs {
		if t.head(m, since); t.ended {
			return nil
		}
	}
	return nil
}

// entry yields an entry, which must be the next.
func (t *tail) entry(ctx context.Context, m goredis.XMessage) error {
	r, err := revisionOf(m.ID)
	if err != nil {
		return err
	}
	if r != t.at.Revision+1 {
		return fmt.Errorf("after entry %d comes %d: %w", t.at.Revision, r, policystore.ErrCompacted)
	}
	e, err := entryOf(m)
	if err != nil {
		return err
	}
	if e.PreviousHash != t.at.Hash { // perhaps because there is another stream by now
		if err := t.place(ctx); err != nil {
			return err
		}
	}
	t.at = e.Position()
	t.ended = !t.yield(policystore.Event{Entry: &e}, nil)
	return nil
}

// head yields a head proof. What is no proof proves nothing, and keeps nothing else from coming.
func (t *tail) head(m goredis.XMessage, since time.Time) {
	t.proof = m.ID
	h, err := policystore.DecodeHead([]byte(field(m, proofField)))
	if err != nil {
		if t.config.Damaged != nil {
			t.config.Damaged()
		}
		return
	}
	h.Received = since
	t.ended = !t.yield(policystore.Event{Head: &h}, nil)
}
