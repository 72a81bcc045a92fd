//go:build linux

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// wantPatience checks that attempts that failed in a way were further and further apart: the n-th no sooner than
// the waits before it are, of which each is at least half of what it is said to be. Other paths may add one a second.
func (p *press) wantPatience(t *testing.T, sort policystore.Trouble) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	times := p.troubles[sort]
	least, wait := time.Duration(0), 50*time.Millisecond
	for i, at := range times {
		took := at.Sub(times[0])
		others := int(took/time.Second) + 2
		if i > others && took < least {
			t.Errorf("attempt %d of sort %s came after %s, want %s at least", i+1, sort, took, least)
		}
		if i >= others {
			least, wait = least+wait/2, min(2*wait, time.Second)
		}
	}
	t.Logf("%d attempts of sort %s in %s", len(times), sort, times[len(times)-1].Sub(times[0]))
}

// Whatever is wrong with Redis is counted by its sort, tried again in no hurry, and heals.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		lines    []string
		fail     func(h *house)
		sort     policystore.Trouble
		heal     func(h *house)
		attempts int // that fail before it is healed; 3 if 0
	}{
		"no room": {
			fail:     func(h *house) { h.do("CONFIG", "SET", "maxmemory", "1") },
			sort:     policystore.Full,
			heal:     func(h *house) { h.do("CONFIG", "SET", "maxmemory", "0") },
			attempts: 8,
		},
		"cannot save": {
			lines: []string{"save 3600 1"},
			fail:  func(h *house) { h.blockDump(); h.save("err") },
			sort:  policystore.Misconfigured,
			heal:  func(h *house) { h.unblockDump(); h.save("ok") },
		},
		"killed": {
			fail:     func(h *house) { h.must(h.redis.Kill()) },
			sort:     policystore.Unreachable,
			heal:     func(h *house) { h.must(h.redis.Start(h.ctx())) },
			attempts: 8,
		},
		"paused": {
			fail: func(h *house) { h.must(h.redis.Pause()) },
			sort: policystore.Timeout,
			heal: func(h *house) { h.must(h.redis.Resume()) },
		},
		"password changed": {
			fail: func(h *house) {
				h.do("ACL", "SETUSER", redis.Writer, "resetpass", ">another")
				h.do("CLIENT", "KILL", "USER", redis.Writer)
			},
			sort: policystore.Unauthorized,
			heal: func(h *house) { h.do("ACL", "SETUSER", redis.Writer, "resetpass", ">pw-"+redis.Writer) },
		},
		"a replica": {
			fail: func(h *house) { h.do("REPLICAOF", "127.0.0.1", "1") },
			sort: policystore.ReadOnly,
			heal: func(h *house) { h.do("REPLICAOF", "NO", "ONE") },
		},
		"too few replicas": {
			fail: func(h *house) { h.do("CONFIG", "SET", "min-replicas-to-write", "1") },
			sort: policystore.ReadOnly,
			heal: func(h *house) { h.do("CONFIG", "SET", "min-replicas-to-write", "0") },
		},
		"evicts": {
			fail: func(h *house) {
				h.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
				h.do("CLIENT", "KILL", "USER", redis.Writer)
			},
			sort: policystore.Misconfigured,
			heal: func(h *house) { h.do("CONFIG", "SET", "maxmemory-policy", "noeviction") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, test.lines...)
			h.grow(5)
			p := h.publish(nil)
			h.waitPublished()
			test.fail(h)
			h.grow(5)
			h.waitTrouble(p, test.sort, max(test.attempts, 3))
			test.heal(h)
			began := time.Now()
			h.waitPublished()
			h.waitProofs(2)
			t.Logf("healed within %s", time.Since(began))
			p.wantPatience(t, test.sort)
			if err, _ := p.doubt(); err != nil {
				t.Errorf("the record is doubted: %v", err)
			}
			h.whole()
		})
	}
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// blockDump keeps Redis from saving, root or not: where the file is to be there is a directory with something in it.
func (h *house) blockDump() {
	h.t.Helper()
	h.must(os.MkdirAll(filepath.Join(h.redis.Dir(), "dump.rdb", "in-the-way"), 0o700))
}

func (h *house) unblockDump() {
	h.t.Helper()
	h.must(os.RemoveAll(filepath.Join(h.redis.Dir(), "dump.rdb")))
}

// save has Redis save in the background, and waits until that has ended so.
func (h *house) save(status string) {
	h.t.Helper()
	h.do("BGSAVE", "SCHEDULE")
	h.wait("the save to end", func(ctx context.Context) error {
		info, err := h.admin.Info(ctx, "persistence").Result()
		if err != nil || !strings.Contains(info, "rdb_last_bgsave_status:"+status) || !strings.Contains(info, "rdb_bgsave_in_progress:0") {
			return errors.Join(err, errors.New("it has not"))
		}
		return nil
	})
}

// A Redis that loads its data is waited for.
func TestLoading(t *testing.T) {
	h := newHouse(t, "key-load-delay 10000", "loading-process-events-interval-bytes 1024")
	h.grow(5)
	p := h.publish(nil)
	h.waitPublished()
	for i := range 300 {
		h.do("SET", fmt.Sprint("filler:", i), strings.Repeat(fmt.Sprint(i%7), 2000))
	}
	dump, err := h.redis.Dump(h.ctx())
	h.must(err)
	c := h.live(h.source(h.reader()), h.at)
	h.must(h.redis.RestartFrom(h.ctx(), dump))
	h.waitTrouble(p, policystore.Loading, 1)
	p.wantPatience(t, policystore.Loading)
	c.wantEnd(policystore.Unreachable, nil)
	h.grow(5)
	h.waitPublished()
}

// firstDoubt returns what was told first of the record; something was.
func (p *press) firstDoubt() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doubts[0]
}

// A Redis that loads its data for longer than any other is waited for may yet tell that the record was rewound. Its patience
// has an end: the last of these publishers believes the record before all is loaded.
func TestDoubtLastsWhileLoading(t *testing.T) {
	h := newHouse(t, "key-load-delay 10000", "loading-process-events-interval-bytes 1024")
	h.grow(5)
	h.publish(nil).doubtless(h)
	for i := range 500 { // they take five seconds
		h.do("SET", fmt.Sprint("filler:", i), strings.Repeat(fmt.Sprint(i%7), 2000))
	}
	dump, err := h.redis.Dump(h.ctx())
	h.must(err)
	restarted := make(chan error, 1)
	ctx := h.ctx()
	go func() { restarted <- h.redis.RestartFrom(ctx, dump) }()
	h.wait("Redis to load", func(ctx context.Context) error {
		if err := h.admin.Ping(ctx).Err(); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
			return fmt.Errorf("it says %v", err)
		}
		return nil
	})
	log := h.restored(3)
	patient := h.publish(trusting(nil, log))
	hasty := h.newPress(trusting(nil, log))
	hasty.WaitForLoading(2500 * time.Millisecond)
	hasty.run(t)
	h.waitTrouble(patient, policystore.Loading, 1)
	h.must(<-restarted)
	h.waitDoubt(patient, policystore.ErrRewound)
	if first := patient.firstDoubt(); !errors.Is(first, policystore.ErrRewound) {
		t.Errorf("before Redis had loaded the doubt was said to be %v", first)
	}
	h.waitDoubt(hasty, policystore.ErrRewound)
	if first := hasty.firstDoubt(); first != nil {
		t.Errorf("whoever does not wait that long was told %v first, want nil", first)
	}
}

// A server that will not do is refused from the beginning, said once, and looked at again.
func TestMisconfigured(t *testing.T) {
	h := newHouse(t, "maxmemory-policy volatile-lru")
	h.grow(5)
	p := h.publish(nil)
	h.waitTrouble(p, policystore.Misconfigured, 4)
	h.waitDoubt(p, nil)
	if n := h.admin.DBSize(h.ctx()).Val(); n != 0 {
		t.Errorf("%d keys are published to a server that may drop them", n)
	}
	h.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	h.waitPublished()
	h.waitProofs(1)
}

// A password that is wrong in the file is right as soon as the file is.
func TestPasswordFile(t *testing.T) {
	h := newHouse(t)
	all := h.grow(5)
	file := filepath.Join(t.TempDir(), "password")
	h.must(os.WriteFile(file, []byte("wrong\n"), 0o600))
	with := func(user string) redis.Config {
		return redis.Config{URL: "redis://" + user + ":ignored@" + h.redis.Addr(), PasswordFile: file, Domain: storetest.Domain, Logger: h.logger()}
	}
	p := h.publish(func(c *redis.PublisherConfig) { c.Config = with(redis.Writer) })
	s := h.source(with(redis.Reader))
	h.waitTrouble(p, policystore.Unauthorized, 4)
	err := h.tail(s, policystore.Position{}).ends()
	if policystore.TroubleOf(err) != policystore.Unauthorized || strings.Contains(err.Error(), "wrong\n") || strings.Contains(err.Error(), "ignored") {
		t.Errorf("with a wrong password the tail ends with %v", err)
	}
	h.must(os.Remove(file))
	if err := h.tail(s, policystore.Position{}).ends(); policystore.TroubleOf(err) != policystore.Unauthorized || !strings.Contains(err.Error(), file) {
		t.Errorf("without the password file the tail ends with %v", err)
	}
	h.must(os.WriteFile(file, []byte("pw-"+redis.Writer+"\n"), 0o600))
	h.waitPublished()
	h.must(os.WriteFile(file, []byte("pw-"+redis.Reader), 0o600))
	h.tail(s, policystore.Position{}).wantEntries(all)
}

// A wire that has lost its connections and does not say so is noticed by our own deadline, and by who publishes too.
func TestHalfOpen(t *testing.T) {
	h, all := full(t, 5)
	shim, err := h.cluster.StartShim(cluster.ShimConfig{Target: h.redis.Addr()})
	h.must(err)
	reader, writer := h.reader(), h.writer()
	reader.URL, writer.URL = h.redis.URLAt(shim.Addr(), redis.Reader), h.redis.URLAt(shim.Addr(), redis.Writer)
	p := h.publish(func(c *redis.PublisherConfig) { c.Config = writer })
	s := h.source(reader)
	c := h.live(s, all[3].Position())
	c.wantEntries(all[4:])
	h.waitProofs(1)
	shim.HalfOpen()
	began := time.Now()
	c.wantEnd(policystore.Timeout, nil)
	t.Logf("noticed within %s", time.Since(began))
	h.waitTrouble(p, policystore.Timeout, 2)
	h.must(shim.Heal())
	h.grow(3)
	h.waitPublished()
	h.waitProofs(2)
	h.tail(s, all[4].Position()).wantEntries(h.tailOf(6))
}

// A reader of a replica follows it; a publisher does not take it for the master.
func TestReplica(t *testing.T) {
	h := newHouse(t)
	all := h.grow(5)
	h.publish(nil)
	h.waitPublished()
	replica, err := h.cluster.StartRedis(h.ctx(), cluster.RedisConfig{Master: h.redis, Users: users(redis.ServerUsers(storetest.Domain))})
	h.must(err)
	reader := h.reader()
	reader.URL = replica.URL(redis.Reader)
	h.wait("the replica to have it all", func(context.Context) error {
		for event, err := range h.source(reader).Tail(h.ctx(), policystore.Position{}) {
			if err != nil {
				return err
			}
			if event.Entry != nil && event.Entry.Revision == 5 {
				return nil
			}
		}
		return errors.New("it ended")
	})
	h.tail(h.source(reader), policystore.Position{}).wantEntries(all)
	p := h.publish(func(c *redis.PublisherConfig) { c.URL = replica.URL(redis.Writer) })
	h.waitTrouble(p, policystore.ReadOnly, 3)
}

// An initial doubt ends though Redis is never reached, and not by its first trouble: it may be loading what the record lacks.
func TestDoubtEndsWithoutRedis(t *testing.T) {
	h := bareHouse(t)
	address, err := cluster.FreeAddress()
	h.must(err)
	began := time.Now()
	p := h.publish(func(c *redis.PublisherConfig) {
		c.Config = redis.Config{URL: "redis://" + address, Domain: storetest.Domain, Logger: h.logger()}
	})
	h.waitDoubt(p, nil)
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("the doubt ended after %s, by trouble that may pass", took)
	}
	shim, err := h.cluster.StartShim(cluster.ShimConfig{}) // takes connections, and has nowhere to pass them
	h.must(err)
	shim.Hold()
	p = h.publish(func(c *redis.PublisherConfig) {
		c.Config = redis.Config{URL: "redis://" + shim.Addr(), Domain: storetest.Domain, Logger: h.logger()}
	})
	h.waitDoubt(p, nil)
}
