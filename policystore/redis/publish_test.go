//go:build linux

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
)

// whole checks that Redis has the record's entries from the first that it has on, each once, and nothing else.
func (h *house) whole() (first int64) {
	h.t.Helper()
	all, err := h.admin.XRange(h.ctx(), logKey, "-", "+").Result()
	if err != nil || len(all) == 0 {
		h.t.Fatalf("log = %d entries, %v", len(all), err)
	}
	var r int64
	for i, m := range all {
		if i == 0 {
			if _, err := fmt.Sscanf(m.ID, "%d-0", &first); err != nil {
				h.t.Fatal(err)
			}
			r = first
		}
		e, err := policystore.DecodeEntry([]byte(m.Values["entry"].(string)))
		own := h.entryAt(policy.Revision(r))
		if want := fmt.Sprintf("%d-0", r); err != nil || m.ID != want || e.Position() != own.Position() || m.Values["hash"] != own.Hash.String() {
			h.t.Fatalf("log has at %s the entry %s, %v, want at %s the entry %s", m.ID, e.Position(), err, want, own.Position())
		}
		r++
	}
	if last := r - 1; last != int64(h.at.Revision) {
		h.t.Fatalf("log ends at %d, want %d", last, h.at.Revision)
	}
	return first
}

// proofs returns how many head proofs there are.
func (h *house) proofs(ctx context.Context) int64 {
	var n int64
	info, err := h.admin.XInfoStream(ctx, hbKey).Result()
	if err == nil {
		n = info.EntriesAdded
	}
	return n
}

// waitProofs waits for n head proofs more than there are.
func (h *house) waitProofs(n int64) {
	h.t.Helper()
	began := h.proofs(h.ctx())
	h.wait("head proofs", func(ctx context.Context) error {
		if now := h.proofs(ctx); now < began+n {
			return fmt.Errorf("%d, were %d", now, began)
		}
		return nil
	})
}

// What is in the record comes to be in Redis, and what is appended at once; and proofs flow.
func TestPublish(t *testing.T) {
	h := newHouse(t)
	h.grow(300)
	p := h.publish(nil)
	h.waitPublished()
	h.waitProofs(2)
	h.grow(50)
	h.waitPublished()
	if first := h.whole(); first != 1 {
		t.Errorf("log begins at %d, want 1", first)
	}
	if err, told := p.doubt(); err != nil || !told {
		t.Errorf("Doubt was told %v, %t, want nil", err, told)
	}
	h.wait("no lag", func(context.Context) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lag != 0 {
			return fmt.Errorf("a lag of %d", p.lag)
		}
		return nil
	})
	if n := h.admin.XLen(h.ctx(), hbKey).Val(); n > 200 {
		t.Errorf("%d proofs are kept", n)
	}
	if p.count(redis.Seed) != 1 || p.count(redis.Gap)+p.count(redis.Fork) != 0 || len(p.troubles) != 0 {
		t.Errorf("publishing met %v, %v, want one seed and nothing else", p.happened, p.troubles)
	}
}

// A Redis that has lost everything is filled again from a checkpoint, though nothing is written.
func TestPublishAnew(t *testing.T) {
	for name, lose := range map[string]func(h *house) error{
		"restarted empty": func(h *house) error { return h.redis.RestartEmpty(h.ctx()) },
		"flushed":         func(h *house) error { h.do("FLUSHALL"); return nil },
		"log deleted":     func(h *house) error { h.do("DEL", "LOG"); return nil },
		"log emptied":     func(h *house) error { h.do("XTRIM", "LOG", "MAXLEN", "0"); return nil },
		"meta deleted":    func(h *house) error { h.do("DEL", "META"); return nil },
		"end deleted":     func(h *house) error { h.do("XDEL", "LOG", "49-0", "50-0"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.grow(50)
			h.publish(nil)
			h.waitPublished()
			h.checkpoint(40)
			if err := lose(h); err != nil {
				t.Fatal(err)
			}
			h.wait("a checkpoint", h.stages("1:40", "none"))
			h.waitPublished()
			h.grow(5)
			h.waitPublished()
			if first := h.whole(); first != 40 {
				t.Errorf("log begins at %d, want 40", first)
			}
		})
	}
}

// A Redis of yesterday gets what it lacks; readers that are ahead wait, and go on.
func TestPublishToAnOldDump(t *testing.T) {
	h := newHouse(t)
	h.grow(50)
	p := h.publish(nil)
	h.waitPublished()
	dump, err := h.redis.Dump(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	h.grow(500)
	h.waitPublished()
	p.stop()
	if err := h.redis.RestartFrom(h.ctx(), dump); err != nil {
		t.Fatal(err)
	}
	s := h.source(h.reader())
	h.tail(s, h.at).wantEnd(policystore.Behind, nil)
	at := h.at
	p.run(t)
	h.waitPublished()
	if first := h.whole(); first != 1 {
		t.Errorf("log begins at %d, want 1", first)
	}
	if p.count(redis.Seed) != 1 || p.count(redis.Gap) != 1 {
		t.Errorf("publishing met %v, want one seed, at the beginning, and one gap", p.happened)
	}
	more := h.grow(3)
	h.tail(s, at).wantEntries(more)
}

// A Redis too far behind begins anew where there is a checkpoint, and is filled up where there is none.
func TestPublishFarBehind(t *testing.T) {
	for _, checkpoint := range []bool{true, false} {
		t.Run(fmt.Sprint(checkpoint), func(t *testing.T) {
			h, _ := full(t, 20)
			h.grow(300)
			want := int64(1)
			if checkpoint {
				h.checkpoint(250)
				want = 250
			}
			p := h.newPress(nil)
			p.Limit(5000, 10_000, 100)
			p.run(t)
			h.waitPublished()
			if first := h.whole(); first != want {
				t.Errorf("log begins at %d, want %d", first, want)
			}
		})
	}
}

// Any number of publishers may run, and begin at once: every entry is there once.
func TestPublishersAtOnce(t *testing.T) {
	const presses = 4
	h := newHouse(t)
	h.grow(200)
	h.checkpoint(150)
	all := make([]*press, presses)
	for i := range all {
		all[i] = h.newPress(nil)
		all[i].Limit(60, 100, 10_000)
	}
	for _, p := range all {
		p.run(t)
	}
	for range 60 {
		h.grow(5)
	}
	h.checkpoint(400)
	h.waitPublished()
	h.do("FLUSHALL")
	h.grow(20)
	h.waitPublished()
	h.wait("the newest checkpoint", func(ctx context.Context) error {
		if c := h.admin.HGet(ctx, metaKey, "checkpoint").Val(); c != "1:400" {
			return fmt.Errorf("it is %s", c)
		}
		return nil
	})
	h.whole()
	seeds := 0
	for _, p := range all {
		seeds += p.count(redis.Seed)
		if p.count(redis.Fork) != 0 {
			t.Errorf("a publisher met %v", p.happened)
		}
		if err, _ := p.doubt(); err != nil {
			t.Errorf("a publisher doubts the record: %v", err)
		}
	}
	if seeds != 2 {
		t.Errorf("%d publishers made the stream anew, want one at the beginning and one when it was flushed", seeds)
	}
}

// What keeps entries from being published keeps no proofs back, and what keeps proofs back keeps no entries.
func TestPublishPathsAreApart(t *testing.T) {
	h := newHouse(t)
	h.grow(5)
	p := h.publish(nil)
	h.waitPublished()
	h.do("ACL", "SETUSER", redis.Writer, "resetkeys", "~"+hbKey)
	h.grow(1)
	h.waitTrouble(p, policystore.Unauthorized, 2)
	h.waitProofs(3)
	if err := h.published(h.ctx()); err == nil {
		t.Error("an entry is published without permission")
	}
	h.wait("a lag", func(context.Context) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		return atLeast(int(p.lag), 1)
	})

	h.do("ACL", "SETUSER", redis.Writer, "resetkeys", "~"+logKey, "~"+metaKey, "~"+ckptKey+"*")
	h.waitPublished()
	had, refused := h.proofs(h.ctx()), p.trouble(policystore.Unauthorized)
	h.grow(3)
	h.waitPublished()
	h.waitTrouble(p, policystore.Unauthorized, refused+3)
	h.grow(3)
	h.waitPublished()
	if now := h.proofs(h.ctx()); now > had+1 { // one may have been under way
		t.Errorf("%d proofs are published without permission", now-had)
	}
	h.do("ACL", "SETUSER", redis.Writer, "~"+hbKey)
	h.waitProofs(2)
}

func atLeast(n, want int) error {
	if n < want {
		return fmt.Errorf("%d, want %d", n, want)
	}
	return nil
}

// A publisher is told apart from one that was started with nothing there.
func TestPublishNothing(t *testing.T) {
	h := newHouse(t)
	p := h.publish(nil)
	h.waitProofs(2)
	if n := h.admin.Exists(h.ctx(), logKey, metaKey).Val(); n != 0 {
		t.Errorf("%d keys are there of an empty record", n)
	}
	if err, told := p.doubt(); err != nil || !told {
		t.Errorf("Doubt was told %v, %t, want nil", err, told)
	}
	if _, err := h.newPress(nil).Reseed(h.ctx(), false); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Reseed from an empty record = %v, want ErrNotFound", err)
	}
	h.grow(1)
	h.waitPublished()
}

// Entries are published when the source yields them, not when somebody looks.
func TestPublishAtOnce(t *testing.T) {
	const n = 200
	h, _ := full(t, 1)
	h.publish(nil)
	c := h.live(h.source(h.reader()), h.at)
	h.waitProofs(2) // everybody waits
	times := make([]time.Duration, 0, n)
	for range n {
		e := h.grow(1)
		began := time.Now() // it is durable
		c.wantEntries(e)
		times = append(times, time.Since(began))
	}
	t.Logf("from durable to yielded: %s", spread(times))
	h.whole()
}

// spread returns the median, the 99th of a hundred, and the longest.
func spread(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("p50 %s, p99 %s, max %s", times[len(times)/2], times[len(times)*99/100], times[len(times)-1])
}
