//go:build linux

package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
)

// library returns how many goroutines run, or were started by, what we speak to Redis with.
func library() int {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
	n := 0
	for stack := range bytes.SplitSeq(all.Bytes(), []byte("\n\n")) {
		if bytes.Contains(stack, []byte("redis/go-redis")) {
			n++
		}
	}
	return n
}

// Whoever has ended leaves neither connections nor goroutines behind, however often. It is not run beside others, which
// have some of their own.
func TestNothingIsLeft(t *testing.T) {
	h := &house{t: t, cluster: cluster.Test(t)}
	h.record = h.openRecord("record.db")
	w := &watched{house: h}
	w.start(cluster.SentinelConfig{})
	h.grow(5)
	for range 3 {
		p := w.publish()
		h.waitPublished()
		h.waitProofs(1)
		p.stop()
	}
	s := w.source(w.config(redis.Reader))
	for range 20 {
		c := h.live(s, policystore.Position{})
		c.wantEntries(h.tailOf(1))
		c.stop()
		if _, err := s.Checkpoint(h.ctx()); err == nil {
			t.Fatal("there is a checkpoint")
		}
		h.tail(s, policystore.Position{Epoch: 1, Revision: 99}).wantEnd(policystore.Behind, nil)
	}
	h.admin.Close()
	h.wait("every goroutine to end", func(context.Context) error {
		if n := library(); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
	h.admin = h.client(cluster.Admin)
	h.wait("every connection to be closed", func(ctx context.Context) error {
		for _, user := range []string{redis.Reader, redis.Writer} {
			if all := h.admin.Do(ctx, "CLIENT", "LIST").String(); bytes.Contains([]byte(all), []byte("user="+user)) {
				return fmt.Errorf("there is one of %s: %s", user, all)
			}
		}
		return nil
	})
}

// Another database than the first is used where the URL names it.
func TestDatabase(t *testing.T) {
	h := newHouse(t)
	h.grow(3)
	h.publish(func(c *redis.PublisherConfig) { c.URL += "/3" })
	reader := h.reader()
	reader.URL += "/3"
	h.wantReached(h.replica(h.source(reader)))
	if n := h.admin.DBSize(h.ctx()).Val(); n != 0 {
		t.Errorf("there are %d keys in the first database", n)
	}
}

// A script that the server has forgotten is sent again.
func TestScriptForgotten(t *testing.T) {
	h := newHouse(t)
	h.grow(3)
	p := h.publish(nil)
	for range 3 {
		h.waitPublished()
		h.do("SCRIPT", "FLUSH")
		h.grow(200)
	}
	h.waitPublished()
	h.whole()
	if len(p.troubles) != 0 {
		t.Errorf("publishing met %v", p.troubles)
	}
}

// Whoever follows what is to be published does not wait for Redis, and keeps no more of it than it may: the rest is read.
func TestFollowedWithoutRedis(t *testing.T) {
	const n = 1500 // more than is kept
	h := newHouse(t)
	h.grow(3)
	p := h.publish(nil)
	h.waitPublished()
	h.must(h.redis.Pause())
	h.grow(n)
	h.wait("the lag to grow", func(context.Context) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		return atLeast(int(p.lag), n)
	})
	h.must(h.redis.Resume())
	h.waitPublished()
	h.whole()
}

// Of another domain in the same Redis nothing is seen, and nothing touched.
func TestDomainsAreApart(t *testing.T) {
	h, _ := full(t, 3)
	c := h.reader()
	c.Domain = "other"
	h.do("ACL", "SETUSER", redis.Reader, "%R~{teishi:other}:*")
	h.tail(h.source(c), policystore.Position{}).wantEnd(policystore.Missing, nil)
	c.Domain = "another"
	h.tail(h.source(c), policystore.Position{}).wantEnd(policystore.Unauthorized, nil)
}
