//go:build linux

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// sign has the house's entries be signed from now on, and returns whose signatures are trusted.
func (h *house) sign() *policystore.TrustedKeys {
	h.t.Helper()
	signer, err := policystore.NewSigner()
	if err != nil {
		h.t.Fatal(err)
	}
	h.signer = signer
	trust, err := policystore.ParseTrustedKeys(strings.NewReader(signer.Public()))
	if err != nil {
		h.t.Fatal(err)
	}
	return trust
}

// restored returns another record, with the first n entries of the house's: as it is after an old dump was restored.
func (h *house) restored(n int) *sqlite.Log {
	h.t.Helper()
	log := h.openRecord(fmt.Sprintf("restored-%d.db", n))
	h.repair(log, n)
	return log
}

// repair appends to a record what it lacks of the first n entries of the house's.
func (h *house) repair(log *sqlite.Log, n int) {
	h.t.Helper()
	at, err := log.Head(h.ctx())
	for err == nil && int(at.Revision) < n {
		_, err = log.Append(h.ctx(), at, h.entryAt(at.Revision+1))
		e := h.entryAt(at.Revision + 1)
		at = e.Position()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// waitDoubt waits until a publisher has told that its record was rewound, or that it was not.
func (h *house) waitDoubt(p *press, want error) {
	h.t.Helper()
	h.wait(fmt.Sprintf("the doubt to be %v", want), func(context.Context) error {
		if got, told := p.doubt(); !told || !errors.Is(got, want) {
			return fmt.Errorf("it is %v, told %t", got, told)
		}
		return nil
	})
}

// bothWays runs a test with a record that is signed and one that is not.
func bothWays(t *testing.T, test func(t *testing.T, h *house, trust *policystore.TrustedKeys)) {
	t.Run("signed", func(t *testing.T) {
		h := newHouse(t)
		test(t, h, h.sign())
	})
	t.Run("unsigned", func(t *testing.T) { test(t, newHouse(t), nil) })
}

func trusting(trust *policystore.TrustedKeys, record *sqlite.Log) func(*redis.PublisherConfig) {
	return func(c *redis.PublisherConfig) {
		c.Trust = trust
		if record != nil {
			c.Record, c.Source = record, record
		}
	}
}

// A record of yesterday is doubted, until it is repaired; what Redis has stays.
func TestRewound(t *testing.T) {
	bothWays(t, func(t *testing.T, h *house, trust *policystore.TrustedKeys) {
		h.grow(40)
		h.publish(trusting(trust, nil))
		h.waitPublished()
		digest := h.entries()
		for _, lost := range []int{1, 30} {
			log := h.restored(40 - lost)
			p := h.publish(trusting(trust, log))
			h.waitDoubt(p, policystore.ErrRewound)
			if first, _ := p.doubt(); !strings.Contains(first.Error(), "goes on to 40") {
				t.Errorf("the doubt is %v", first)
			}
			if _, err := h.newPress(trusting(trust, log)).Reseed(h.ctx(), false); !errors.Is(err, policystore.ErrRewound) {
				t.Errorf("Reseed from a record that is behind = %v, want ErrRewound", err)
			}
			if now := h.entries(); now != digest {
				t.Errorf("a record that is behind has changed what is published to %s, of %s", now, digest)
			}
			h.repair(log, 40)
			h.waitDoubt(p, nil)
			p.stop()
		}
	})
}

// entries returns what log and meta are, for comparison.
func (h *house) entries() string {
	h.t.Helper()
	return fmt.Sprint(h.admin.XRange(h.ctx(), logKey, "-", "+").Val(), h.admin.HGetAll(h.ctx(), metaKey).Val())
}

// A record of yesterday that was written since is doubted where signatures tell that Redis has what was lost. Where nothing
// is signed nobody can tell: nothing more is published, until somebody says which is right.
func TestRewoundAndWritten(t *testing.T) {
	bothWays(t, func(t *testing.T, h *house, trust *policystore.TrustedKeys) {
		h.grow(40)
		h.publish(trusting(trust, nil)).doubtless(h)
		log := h.restored(30)
		other := h.entry(mustPosition(h, 30), "another")
		for range 15 {
			e, err := log.Append(h.ctx(), mustHead(h, log), other)
			if err != nil {
				t.Fatal(err)
			}
			other = h.entry(e.Position(), fmt.Sprint("another", e.Revision))
		}
		p := h.publish(trusting(trust, log))
		h.wait("an alarm", func(context.Context) error { return atLeast(p.count(redis.Fork), 1) })
		if trust != nil {
			h.waitDoubt(p, policystore.ErrRewound)
		}
		h.waitLooks(5)
		if err, _ := p.doubt(); (err != nil) != (trust != nil) {
			t.Errorf("the doubt is %v", err)
		}
		if err := h.published(h.ctx()); err != nil {
			t.Errorf("what was published is not left as it was: %v", err)
		}
		_, err := h.newPress(trusting(trust, log)).Reseed(h.ctx(), false)
		if trust != nil {
			if !errors.Is(err, policystore.ErrRewound) {
				t.Errorf("Reseed = %v, want ErrRewound", err)
			}
			return
		}
		if err != nil {
			t.Errorf("Reseed = %v", err)
		}
		h.record, h.at = log, mustHead(h, log)
		h.waitPublished()
		h.whole()
	})
}

func mustHead(h *house, log *sqlite.Log) policystore.Position {
	h.t.Helper()
	p, err := log.Head(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// doubtless waits until the publisher has published all, and stops it.
func (p *press) doubtless(h *house) {
	h.t.Helper()
	h.waitPublished()
	p.stop()
}

// What was put into Redis past every publisher is replaced where signatures tell that it is not ours, and never published
// after. Where nothing is signed Redis is trusted: what chains is taken for what the record has lost.
func TestForged(t *testing.T) {
	for name, test := range map[string]struct {
		forge    func(h *house)
		unsigned error // what the record is doubted by where nothing is signed; nil: nothing more is published
	}{
		"well-chained": {func(h *house) { h.put("21-0", h.unsigned(h.at, "forged")) }, policystore.ErrRewound},
		"two of them": {func(h *house) {
			e := h.unsigned(h.at, "forged")
			h.put("21-0", e)
			h.put("22-0", h.unsigned(e.Position(), "forged too"))
		}, policystore.ErrRewound},
		"not chained":      {func(h *house) { h.put("21-0", h.unsigned(mustPosition(h, 5), "forged")) }, nil},
		"a second at one":  {func(h *house) { h.put("20-1", h.unsigned(h.at, "forged")) }, nil},
		"not an entry":     {func(h *house) { h.do("XADD", "LOG", "21-0", "entry", "x", "hash", "y") }, nil},
		"the last changed": {func(h *house) { h.replaceLast(func(e *policystore.Entry) { e.Reason = "forged" }) }, nil},
		"signature gone":   {func(h *house) { h.replaceLast(func(e *policystore.Entry) { e.Signature = []byte{1} }) }, nil},
		"epoch raised":     {func(h *house) { h.do("HSET", "META", "epoch", "9") }, policystore.ErrRewound},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, h *house, trust *policystore.TrustedKeys) {
				h.grow(20)
				p := h.publish(trusting(trust, nil))
				h.waitPublished()
				h.waitDoubt(p, nil)
				test.forge(h)
				h.wait("an alarm", func(context.Context) error { return atLeast(p.count(redis.Fork), 1) })
				if trust == nil {
					h.wantStopped(p, test.unsigned)
					if test.unsigned == nil {
						if _, err := p.Reseed(h.ctx(), true); err != nil {
							t.Fatalf("Reseed = %v", err)
						}
					} else {
						h.do("FLUSHALL")
					}
				}
				h.grow(5)
				h.waitPublished()
				h.waitDoubt(p, nil)
				h.whole()
				for _, m := range h.admin.XRange(h.ctx(), logKey, "-", "+").Val() {
					if strings.Contains(m.Values["entry"].(string), "forged") {
						t.Errorf("what was forged is at %s", m.ID)
					}
				}
			})
		})
	}
}

// Whoever reseeds does not destroy, unless it is demanded, what may be the only copy of what the record has lost: without keys
// that is whatever is signed, and whatever goes on where the record ends.
func TestReseedKeepsTheOnlyCopy(t *testing.T) {
	for name, test := range map[string]struct {
		signed, trusted bool
		kept, others    int // of the 40 entries, and those written since
		want            error
	}{
		"signed, without keys":          {true, false, 30, 15, redis.ErrOnlyCopy},
		"signed, with keys":             {true, true, 30, 15, policystore.ErrRewound},
		"unsigned, ahead":               {false, false, 10, 5, redis.ErrOnlyCopy},
		"unsigned, of the same history": {false, false, 30, 0, policystore.ErrRewound},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			var trust *policystore.TrustedKeys
			if test.signed {
				trust = h.sign()
			}
			h.grow(40)
			h.publish(trusting(trust, nil)).doubtless(h)
			log := h.restored(test.kept)
			for i := range test.others {
				if _, err := log.Append(h.ctx(), mustHead(h, log), h.entry(mustHead(h, log), fmt.Sprint("another", i))); err != nil {
					t.Fatal(err)
				}
			}
			if !test.trusted {
				trust = nil
			}
			before := h.entries()
			if lost, err := h.newPress(trusting(trust, log)).Reseed(h.ctx(), false); !errors.Is(err, test.want) || lost != nil {
				t.Errorf("Reseed = %v, %v, want %v", lost, err, test.want)
			}
			if now := h.entries(); now != before {
				t.Errorf("the only copy has become %s, was %s", now, before)
			}
			if lost, err := h.newPress(trusting(trust, log)).Reseed(h.ctx(), true); err != nil || !errors.Is(lost, test.want) {
				t.Errorf("Reseed by force = %v, %v, want that %v is lost", lost, err, test.want)
			}
			h.record, h.at = log, mustHead(h, log)
			h.whole()
		})
	}
}

// What meta says in another way than any publisher would, it does not say: the stream is made anew, by whoever publishes and
// by whoever reseeds.
func TestMetaWrittenByAnother(t *testing.T) {
	bothWays(t, func(t *testing.T, h *house, trust *policystore.TrustedKeys) {
		h.grow(20)
		h.publish(trusting(trust, nil)).doubtless(h)
		for _, epoch := range []string{"01", "+1", "0", "1 "} {
			h.do("HSET", "META", "epoch", epoch)
			if _, err := h.newPress(trusting(trust, nil)).Reseed(h.ctx(), false); err != nil {
				t.Errorf("Reseed where the epoch is %q = %v", epoch, err)
			}
			h.whole()
			h.do("HSET", "META", "epoch", epoch)
			p := h.publish(trusting(trust, nil))
			h.grow(2)
			h.waitPublished()
			if got := h.admin.HGet(h.ctx(), metaKey, "epoch").Val(); got != "1" {
				t.Errorf("the epoch %q has become %q, want 1", epoch, got)
			}
			p.stop()
		}
		h.whole()
	})
}

// A checkpoint whose name no publisher would write is followed by one that has a name.
func TestCheckpointNamedByAnother(t *testing.T) {
	h := newHouse(t)
	h.grow(30)
	h.publish(nil).doubtless(h)
	h.checkpoint(25)
	for _, name := range []string{"01:20", "20", "x"} {
		h.do("HSET", "META", "checkpoint", name)
		p := h.newPress(nil)
		p.Limit(10, 100, 10_000)
		p.run(t)
		h.wait("a checkpoint", h.stages("1:25", "none"))
		p.stop()
	}
}

// What Redis has and the record has not is left as it is: no checkpoint of the record is put there, and nothing is trimmed.
func TestNoCheckpointOfAnotherHistory(t *testing.T) {
	h := newHouse(t)
	h.grow(40)
	h.publish(nil).doubtless(h)
	log := h.restored(30)
	other := h.entry(mustPosition(h, 30), "another")
	for range 15 {
		e, err := log.Append(h.ctx(), mustHead(h, log), other)
		if err != nil {
			t.Fatal(err)
		}
		other = h.entry(e.Position(), fmt.Sprint("another", e.Revision))
	}
	h.record = log
	h.checkpoint(20)
	h.checkpoint(35)
	before := h.entries()
	p := h.newPress(nil)
	p.Limit(5, 1, 10_000)
	p.run(t)
	h.wait("an alarm", func(context.Context) error { return atLeast(p.count(redis.Fork), 1) })
	h.waitLooks(15)
	if now := h.entries(); now != before {
		t.Errorf("what another history has put there has become %s, of %s", now, before)
	}
}

// wantStopped checks that nothing is published, and that the record is doubted or not.
func (h *house) wantStopped(p *press, doubt error) {
	h.t.Helper()
	h.waitDoubt(p, doubt)
	before := h.entries()
	h.waitLooks(5)
	if now := h.entries(); now != before {
		h.t.Errorf("what was stopped goes on: %s, was %s", now, before)
	}
}

// waitLooks waits until publishers have looked at Redis n times more.
func (h *house) waitLooks(n int) {
	h.t.Helper()
	looks := h.calls(h.ctx(), "xinfo|stream")
	h.wait("looks at Redis", func(ctx context.Context) error { return atLeast(h.calls(ctx, "xinfo|stream"), looks+n) })
}

// unsigned returns an entry that follows a position, by somebody without the key.
func (h *house) unsigned(p policystore.Position, id string) policystore.Entry {
	signer := h.signer
	h.signer = nil
	defer func() { h.signer = signer }()
	return h.entry(p, id)
}

// replaceLast replaces the last entry in Redis by one that was changed; what scripts compare stays.
func (h *house) replaceLast(change func(*policystore.Entry)) {
	h.t.Helper()
	e := h.entryAt(h.at.Revision)
	change(&e)
	b, err := policystore.EncodeEntry(&e)
	if err != nil {
		h.t.Fatal(err)
	}
	dump := h.admin.XRange(h.ctx(), logKey, "-", "+").Val()
	h.do("DEL", "LOG")
	for _, m := range dump[:len(dump)-1] {
		h.do("XADD", "LOG", m.ID, "hash", m.Values["hash"], "entry", m.Values["entry"])
	}
	h.do("XADD", "LOG", dump[len(dump)-1].ID, "hash", h.at.Hash.String(), "entry", b)
}

// Entries of the record itself are not taken for forged because they are older than the signatures.
func TestSignedLater(t *testing.T) {
	h := newHouse(t)
	h.grow(20)
	h.publish(nil).doubtless(h)
	p := h.publish(trusting(h.sign(), nil))
	h.waitDoubt(p, nil)
	h.grow(3)
	h.waitPublished()
	if n := p.count(redis.Fork) + p.count(redis.Seed); n != 0 {
		t.Errorf("publishing met %v", p.happened)
	}
}

// A record that was rewound on purpose is of a later epoch: what Redis has is replaced by it. To an authority of the former
// epoch that shows that its own is the past.
func TestEpoch(t *testing.T) {
	bothWays(t, func(t *testing.T, h *house, trust *policystore.TrustedKeys) {
		h.grow(40)
		h.publish(trusting(trust, nil)).doubtless(h)
		log, former := h.restored(30), h.record
		if _, err := policystore.Rewind(h.ctx(), log, storetest.Domain, h.signer, 0, "a test"); err != nil {
			t.Fatal(err)
		}
		s := h.source(h.reader())
		ahead, shared := h.live(s, h.at), h.live(s, mustPosition(h, 30))
		shared.wantEntries(h.tailOf(31))
		h.record, h.at = log, mustHead(h, log)
		p := h.publish(trusting(trust, nil))
		h.waitPublished()
		h.waitDoubt(p, nil)
		h.whole()
		ahead.wantEnd(policystore.Foreign, policystore.ErrEpoch)
		h.tail(s, mustPosition(h, 31)).wantEntries(h.grow(2))
		if c, err := s.Checkpoint(h.ctx()); err != nil || c.Position.Epoch != 2 {
			t.Errorf("Checkpoint = %s, %v, want one of epoch 2", c.Position, err)
		}
		late := h.publish(trusting(trust, former))
		h.waitDoubt(late, policystore.ErrRewound)
	})
}

// tailOf returns the entries of the record from a revision on.
func (h *house) tailOf(r policy.Revision) []policystore.Entry {
	h.t.Helper()
	all, err := h.record.Read(h.ctx(), r, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}
