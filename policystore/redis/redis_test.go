//go:build linux

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// The keys of the domain of the tests.
const (
	logKey  = "{teishi:" + storetest.Domain + "}:log"
	hbKey   = "{teishi:" + storetest.Domain + "}:hb"
	metaKey = "{teishi:" + storetest.Domain + "}:meta"
	ckptKey = "{teishi:" + storetest.Domain + "}:ckpt:"
)

// house is a Redis with only the users that we need, a record, and what has been written to it.
type house struct {
	t       *testing.T
	cluster *cluster.Cluster
	redis   *cluster.Redis
	admin   *goredis.Client
	record  *sqlite.Log
	at      policystore.Position
	time    policy.Instant
	signer  *policystore.Signer
}

// users returns the users as the cluster makes them.
func users(all []redis.User) []cluster.RedisUser {
	var made []cluster.RedisUser
	for _, u := range all {
		made = append(made, cluster.RedisUser{Name: u.Name, Password: "pw-" + u.Name, Rules: u.Rules})
	}
	return made
}

// newHouse starts a Redis with these lines in its configuration.
func newHouse(t *testing.T, lines ...string) *house {
	t.Helper()
	h := bareHouse(t)
	h.start(cluster.RedisConfig{Lines: lines})
	return h
}

// bareHouse is a house without a Redis. Tests with a house of their own run at the same time: they mostly wait.
func bareHouse(t *testing.T) *house {
	t.Helper()
	t.Parallel()
	h := &house{t: t, cluster: cluster.Test(t)}
	h.record = h.openRecord("record.db")
	return h
}

func (h *house) start(c cluster.RedisConfig) {
	h.t.Helper()
	c.Users = users(redis.ServerUsers(storetest.Domain))
	r, err := h.cluster.StartRedis(h.ctx(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.redis = r
	if c.TLS == nil {
		h.admin = h.client(cluster.Admin)
	}
}

// client returns a client of the tests' own.
func (h *house) client(user string) *goredis.Client {
	h.t.Helper()
	o, err := goredis.ParseURL(h.redis.URL(user))
	if err != nil {
		h.t.Fatal(err)
	}
	o.DisableIdentity = true
	c := goredis.NewClient(o)
	h.t.Cleanup(func() { c.Close() })
	return c
}

func (h *house) openRecord(name string) *sqlite.Log {
	h.t.Helper()
	path := filepath.Join(h.cluster.Directory(), name)
	log, err := sqlite.Open(h.ctx(), sqlite.Config{Path: path, Domain: storetest.Domain, Authority: "authority-1", Logger: h.logger()})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := log.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return log
}

func (h *house) ctx() context.Context {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), cluster.Watchdog)
	h.t.Cleanup(cancel)
	return ctx
}

func (h *house) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(h.t.Output(), nil))
}

// wait waits for a condition, which says what is the case instead.
func (h *house) wait(what string, condition func(context.Context) error) {
	h.t.Helper()
	if err := cluster.Wait(h.ctx(), what, condition); err != nil {
		h.t.Fatal(err)
	}
}

// entry returns an entry that follows a position.
func (h *house) entry(p policystore.Position, id string) policystore.Entry {
	h.t.Helper()
	payload, err := policystore.EncodeChanges([]policy.Change{{Put: &policy.Organization{ID: id}}})
	if err != nil {
		h.t.Fatal(err)
	}
	e := policystore.Entry{
		Epoch:         max(1, p.Epoch),
		Revision:      p.Revision + 1,
		Time:          h.time + 1000*policy.Instant(p.Revision+1),
		Principal:     "writer",
		Method:        "teishi.v1.RegistryService/PutOrganization",
		RequestID:     id,
		RequestDigest: policystore.RequestDigest("method", []byte(id)),
		Reason:        "a test",
		Payload:       payload,
		PreviousHash:  p.Hash,
	}
	e.Hash = e.Sum(storetest.Domain)
	h.signer.SignEntry(storetest.Domain, &e)
	return e
}

// grow appends n entries to the record.
func (h *house) grow(n int) []policystore.Entry {
	h.t.Helper()
	var entries []policystore.Entry
	for range n {
		e, err := h.record.Append(h.ctx(), h.at, h.entry(h.at, fmt.Sprintf("o%d", h.at.Revision+1)))
		if err != nil {
			h.t.Fatal(err)
		}
		h.at = e.Position()
		entries = append(entries, e)
	}
	return entries
}

// reader returns the Config of whoever follows.
func (h *house) reader() redis.Config {
	return redis.Config{URL: h.redis.URL(redis.Reader), Domain: storetest.Domain, Logger: h.logger()}
}

func (h *house) writer() redis.Config {
	return redis.Config{URL: h.redis.URL(redis.Writer), Domain: storetest.Domain, Logger: h.logger()}
}

func (h *house) source(c redis.Config) *redis.Source {
	h.t.Helper()
	s, err := redis.NewSource(c)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// press is a running publisher and what it has told.
type press struct {
	*redis.Publisher
	stop func() // returns when it has ended

	mu       sync.Mutex
	doubts   []error
	happened map[redis.Happening]int
	troubles map[policystore.Trouble][]time.Time
	lag      int64
}

// newPress makes a publisher of the house's record that does not run yet. Change, which may be nil, changes how.
func (h *house) newPress(change func(*redis.PublisherConfig)) *press {
	h.t.Helper()
	p := &press{happened: map[redis.Happening]int{}, troubles: map[policystore.Trouble][]time.Time{}, stop: func() {}}
	c := redis.PublisherConfig{Record: h.record, Source: h.record, Doubt: func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.doubts = append(p.doubts, err)
	}}
	c.Observer = redis.Observer{
		Lag: func(n int64) { p.mu.Lock(); defer p.mu.Unlock(); p.lag = n },
		Trouble: func(t policystore.Trouble) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.troubles[t] = append(p.troubles[t], time.Now())
		},
		Happened: func(what redis.Happening) { p.mu.Lock(); defer p.mu.Unlock(); p.happened[what]++ },
	}
	if h.redis != nil {
		c.Config = h.writer()
	}
	if change != nil {
		change(&c)
	}
	var err error
	if p.Publisher, err = redis.NewPublisher(c); err != nil {
		h.t.Fatal(err)
	}
	p.Hurry()
	return p
}

// run runs the publisher until the test ends, or it is stopped.
func (p *press) run(t *testing.T) *press {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	p.stop = func() { cancel(); running.Wait() }
	t.Cleanup(p.stop)
	return p
}

// publish runs a publisher of the house's record.
func (h *house) publish(change func(*redis.PublisherConfig)) *press {
	h.t.Helper()
	return h.newPress(change).run(h.t)
}

func (p *press) count(what redis.Happening) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.happened[what]
}

func (p *press) trouble(sort policystore.Trouble) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.troubles[sort])
}

// waitTrouble waits until n attempts have failed in a way.
func (h *house) waitTrouble(p *press, sort policystore.Trouble, n int) {
	h.t.Helper()
	h.wait(fmt.Sprintf("trouble of sort %s", sort), func(context.Context) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.troubles[sort]) < n {
			return fmt.Errorf("%v, want %d of %s", p.troubles, n, sort)
		}
		return nil
	})
}

// doubt returns what was told last of the record, and whether anything was.
func (p *press) doubt() (error, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.doubts) == 0 {
		return nil, false
	}
	return p.doubts[len(p.doubts)-1], true
}

// top returns the revision and hash of the last entry in Redis.
func (h *house) top(ctx context.Context) (string, string, error) {
	all, err := h.admin.XRevRangeN(ctx, logKey, "+", "-", 1).Result()
	if err != nil || len(all) == 0 {
		return "", "", errors.Join(err, errors.New("there is no entry in Redis"))
	}
	hash, _ := all[0].Values["hash"].(string)
	return all[0].ID, hash, nil
}

// published reports as an error that Redis does not end where the record does.
func (h *house) published(ctx context.Context) error {
	id, hash, err := h.top(ctx)
	if err == nil && (id != fmt.Sprintf("%d-0", h.at.Revision) || hash != h.at.Hash.String()) {
		err = fmt.Errorf("Redis ends at %s, %s, want %s", id, hash, h.at)
	}
	return err
}

func (h *house) waitPublished() {
	h.t.Helper()
	h.wait("the record to be in Redis", h.published)
}
