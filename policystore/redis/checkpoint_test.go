//go:build linux

package redis_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// checkpoint stores in the record what its entries up to a revision fold into.
func (h *house) checkpoint(r policy.Revision) policystore.Checkpoint {
	h.t.Helper()
	v, err := policystore.NewHistory(h.record, storetest.Domain).At(h.ctx(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := policystore.NewCheckpoint(storetest.Domain, v)
	if err != nil {
		h.t.Fatal(err)
	}
	h.signer.SignCheckpoint(&c)
	if err := h.record.StoreCheckpoint(h.ctx(), c); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// stored puts a checkpoint of a body into Redis, past every publisher.
func (h *house) stored(r policy.Revision, body []byte) policystore.Checkpoint {
	h.t.Helper()
	e := h.entryAt(r)
	c := policystore.Checkpoint{Domain: storetest.Domain, Position: e.Position(), Time: e.Time, FoldVersion: policystore.FoldVersion, Body: body}
	b, err := policystore.EncodeCheckpoint(&c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.do("SET", "CKPT"+stage(r), b)
	return c
}

func stage(r policy.Revision) string { return fmt.Sprintf("1:%d", r) }

func TestSourceCheckpoint(t *testing.T) {
	h, _ := full(t, 9)
	s := h.source(h.reader())
	if _, err := s.Checkpoint(h.ctx()); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Checkpoint where meta says none = %v, want ErrNotFound", err)
	}
	large := make([]byte, 3<<20) // exactly a number of pieces would end at a piece that is empty
	if _, err := rand.Read(large); err != nil {
		t.Fatal(err)
	}
	older, newer := h.stored(4, []byte("older")), h.stored(8, large)
	h.do("HSET", "META", "checkpoint", stage(8), "previous", stage(4))
	for at, want := range map[policy.Revision]*policystore.Checkpoint{3: nil, 4: &older, 7: &older, 8: &newer, 9: &newer} {
		c, err := s.CheckpointAt(h.ctx(), at)
		switch {
		case want == nil:
			if !errors.Is(err, policystore.ErrNotFound) {
				t.Errorf("CheckpointAt(%d) = %s, %v, want ErrNotFound", at, c.Position, err)
			}
		case err != nil || !cmp.Equal(*want, c, cmp.Comparer(bytes.Equal)):
			t.Errorf("CheckpointAt(%d) = %s, %v, want %s", at, c.Position, err, want.Position)
		}
	}
	if c, err := s.Checkpoint(h.ctx()); err != nil || c.Position != newer.Position {
		t.Errorf("Checkpoint = %s, %v, want %s", c.Position, err, newer.Position)
	}
	if err := s.StoreCheckpoint(h.ctx(), newer); !errors.Is(err, policystore.ErrReadOnly) {
		t.Errorf("StoreCheckpoint = %v, want ErrReadOnly", err)
	}

	h.do("SETRANGE", "CKPT"+stage(8), 2<<20, "torn")
	if c, err := s.Checkpoint(h.ctx()); !errors.Is(err, policystore.ErrBroken) || c.Position.Revision != 8 || policystore.TroubleOf(err) != policystore.Damaged {
		t.Errorf("a damaged Checkpoint = %s, %v, want ErrBroken at 8", c.Position, err)
	}
	h.stored(9, []byte("elsewhere"))
	h.do("RENAME", ckptKey+stage(9), ckptKey+stage(8))
	if c, err := s.Checkpoint(h.ctx()); !errors.Is(err, policystore.ErrBroken) || c.Position.Revision != 8 {
		t.Errorf("a Checkpoint of another place = %s, %v, want ErrBroken at 8", c.Position, err)
	}
	h.do("SET", "CKPT"+stage(8), "teishi checkpoint 2\n")
	if _, err := s.Checkpoint(h.ctx()); !errors.Is(err, policystore.ErrFormat) || policystore.TroubleOf(err) != policystore.Unknown {
		t.Errorf("a Checkpoint of another format = %v, want ErrFormat", err)
	}
	h.do("DEL", "CKPT"+stage(8))
	if _, err := s.Checkpoint(h.ctx()); policystore.TroubleOf(err) != policystore.Missing || errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("a missing Checkpoint = %v, want trouble of sort missing", err)
	}
	h.do("HSET", "META", "checkpoint", "8")
	if _, err := s.Checkpoint(h.ctx()); !errors.Is(err, policystore.ErrBroken) {
		t.Errorf("a Checkpoint of no name = %v, want ErrBroken", err)
	}
}

// stages reports as an error that other checkpoints are there than these, the newest first.
func (h *house) stages(newest, previous string) func(context.Context) error {
	return func(ctx context.Context) error {
		meta, err := h.admin.HGetAll(ctx, metaKey).Result()
		if err != nil || meta["checkpoint"] != newest || meta["previous"] != previous {
			return errors.Join(err, fmt.Errorf("meta is %v, want %s and %s", meta, newest, previous))
		}
		want := 0
		for _, s := range []string{newest, previous} {
			if s != "none" {
				want++
				if ttl, err := h.admin.TTL(ctx, ckptKey+s).Result(); err != nil || ttl != -1 {
					return errors.Join(err, fmt.Errorf("checkpoint %s is gone in %s", s, ttl))
				}
			}
		}
		if keys, err := h.admin.Keys(ctx, ckptKey+"*").Result(); err != nil || len(keys) != want {
			return errors.Join(err, fmt.Errorf("there are the checkpoints %v, want %d", keys, want))
		}
		return nil
	}
}

// Checkpoints come every so many entries; the last two are kept, what is behind both is trimmed, but for the last entries.
func TestCheckpointsArePublished(t *testing.T) {
	h := newHouse(t)
	h.grow(30)
	p := h.newPress(nil)
	p.Limit(100, 150, 10_000)
	p.run(t)
	h.waitPublished()
	h.wait("no checkpoint", h.stages("none", "none"))
	h.grow(90)
	h.checkpoint(120)
	h.waitPublished()
	h.wait("the first", h.stages("1:120", "none"))
	h.grow(80)
	h.checkpoint(200) // too soon, until there are twenty more
	h.grow(20)
	h.waitPublished()
	h.wait("the second", h.stages("1:200", "1:120"))
	h.grow(110)
	h.checkpoint(330)
	h.waitPublished()
	h.wait("the third", h.stages("1:330", "1:200"))
	if n := p.count(redis.PublishedCheckpoint); n != 3 {
		t.Errorf("%d checkpoints were published, want 3", n)
	}
	first := h.admin.XRangeN(h.ctx(), logKey, "-", "+", 1).Val()[0].ID
	var from int
	if _, err := fmt.Sscanf(first, "%d-0", &from); err != nil || from < 2 || from > 181 {
		t.Errorf("the stream begins at %s, want it trimmed, and not beyond the last 150 of 330", first)
	}
	all := h.record
	entries, err := all.Read(h.ctx(), 201, 130)
	if err != nil {
		t.Fatal(err)
	}
	h.tail(h.source(h.reader()), mustPosition(h, 200)).wantEntries(entries)
}

func mustPosition(h *house, r policy.Revision) policystore.Position {
	e := h.entryAt(r)
	return e.Position()
}

// A checkpoint that was lost is published again, and one whose publisher died halfway is made whole.
func TestCheckpointLost(t *testing.T) {
	h := newHouse(t)
	h.grow(30)
	h.checkpoint(20)
	h.publish(nil)
	h.waitPublished()
	h.wait("a checkpoint", h.stages("1:20", "none"))
	h.do("DEL", "CKPT"+stage(20))
	h.wait("the checkpoint again", h.stages("1:20", "none"))
	h.checkpoint(30)
	h.do("SET", "CKPT"+stage(30), "half of it", "EX", "3600")
	h.do("DEL", "CKPT"+stage(20))
	h.wait("a newer checkpoint", h.stages("1:30", "none"))
}

// A checkpoint that does not stand in the record, or is damaged, is not published; an older one is.
func TestCheckpointNotOfTheRecord(t *testing.T) {
	h := newHouse(t)
	h.grow(30)
	want := h.checkpoint(10)
	other := h.checkpoint(20)
	other.Position.Hash[0]++
	p := h.newPress(func(c *redis.PublisherConfig) { c.Source = swapped{h.record, other} })
	p.run(t)
	h.waitPublished()
	h.wait("the older checkpoint", h.stages("1:10", "none"))
	if c, err := h.source(h.reader()).Checkpoint(h.ctx()); err != nil || c.Position != want.Position {
		t.Errorf("Checkpoint = %s, %v, want %s", c.Position, err, want.Position)
	}
}

// swapped is a source with another checkpoint.
type swapped struct {
	policystore.Source
	c policystore.Checkpoint
}

func (s swapped) Checkpoint(context.Context) (policystore.Checkpoint, error) { return s.c, nil }
