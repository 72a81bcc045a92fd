//go:build linux

package redis_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/credential"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// watched is a house whose Redis is watched by sentinels; nobody has more permissions than ours, on either plane.
type watched struct {
	*house
	sentinel *cluster.Sentinel
}

func newWatched(t *testing.T, c cluster.SentinelConfig) *watched {
	t.Helper()
	w := &watched{house: bareHouse(t)}
	w.start(c)
	return w
}

func (w *watched) start(c cluster.SentinelConfig) {
	w.t.Helper()
	c.Redis.Users, c.Users = users(redis.ServerUsers(storetest.Domain)), users(redis.SentinelUsers())
	c.ReplicationUser, c.SentinelUser = redis.Replication, redis.Watcher
	var err error
	w.sentinel, err = w.cluster.StartSentinel(w.ctx(), c)
	w.must(err)
	for _, s := range w.sentinel.Sentinels { // among each other they are our user too
		for _, args := range [][]string{
			{"SENTINEL", "CONFIG", "SET", "sentinel-user", redis.Watcher}, {"SENTINEL", "CONFIG", "SET", "sentinel-pass", "pw-" + redis.Watcher},
		} {
			_, err := s.CLI(w.ctx(), args...)
			w.must(err)
		}
	}
	for _, s := range w.sentinel.Sentinels {
		_, err := s.CLI(w.ctx(), "CLIENT", "KILL", "USER", cluster.Admin, "SKIPME", "yes")
		w.must(err)
	}
	w.follow(w.sentinel.Nodes[0])
}

// follow has the house look at a Redis.
func (w *watched) follow(r *cluster.Redis) {
	w.t.Helper()
	w.redis = r
	w.admin = w.client(cluster.Admin)
}

// config returns the Config of a user, who is told where the master is.
func (w *watched) config(user string) redis.Config {
	u := url.URL{
		Scheme:   "redis+sentinel",
		User:     url.UserPassword(user, "pw-"+user),
		Host:     strings.Join(w.sentinel.Addrs(), ","),
		Path:     "/" + cluster.MasterName,
		RawQuery: url.Values{"sentinel_user": {redis.Seeker}, "sentinel_password": {"pw-" + redis.Seeker}}.Encode(),
	}
	return redis.Config{URL: u.String(), Domain: storetest.Domain, Logger: w.logger()}
}

func (w *watched) publish() *press {
	w.t.Helper()
	return w.house.publish(func(c *redis.PublisherConfig) { c.Config = w.config(redis.Writer) })
}

// replica returns a running replica that follows a source.
func (h *house) replica(s policystore.Source) *policystore.Replica {
	h.t.Helper()
	r := policystore.NewReplica(policystore.ReplicaConfig{
		Origins: []policystore.Origin{{Name: "redis", Source: s}}, Domain: storetest.Domain, Logger: h.logger(),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { h.must(r.Run(ctx)) })
	h.t.Cleanup(func() { cancel(); running.Wait() })
	return r
}

// wantReached waits until a replica has what the record has.
func (h *house) wantReached(r *policystore.Replica) {
	h.t.Helper()
	var got policystore.View
	h.wait("the replica to have it all", func(ctx context.Context) (err error) {
		got, err = r.View(ctx, policystore.Demand{MinRevision: h.at.Revision})
		return err
	})
	want, err := policystore.NewHistory(h.record, storetest.Domain).At(h.ctx(), h.at.Revision)
	h.must(err)
	if got.Position != want.Position {
		h.t.Errorf("the replica is at %s, want %s", got.Position, want.Position)
	}
	gotHash, err := policystore.StateHash(storetest.Domain, got)
	h.must(err)
	if wantHash, err := policystore.StateHash(storetest.Domain, want); err != nil || gotHash != wantHash {
		h.t.Errorf("the replica's state hashes to %s, want %s, %v", gotHash, wantHash, err)
	}
}

func TestSentinelFailover(t *testing.T) {
	w := newWatched(t, cluster.SentinelConfig{})
	w.grow(50)
	p := w.publish()
	w.waitPublished()
	r := w.replica(w.source(w.config(redis.Reader)))
	w.grow(50)
	w.wantReached(r)

	old := w.redis
	w.must(old.Kill())
	began := time.Now()
	w.grow(50) // while nobody is the master
	master, err := w.sentinel.FailedOver(w.ctx(), old)
	w.must(err)
	t.Logf("failed over within %s", time.Since(began))
	w.follow(master)
	w.waitPublished()
	w.waitProofs(2)
	t.Logf("published again within %s", time.Since(began))
	w.whole()
	w.wantReached(r)
	if err, _ := p.doubt(); err != nil {
		t.Errorf("the record is doubted: %v", err)
	}
}

// An administrator who changes roles while everybody is blocked interrupts, and loses nothing.
func TestSentinelRoleChange(t *testing.T) {
	w := newWatched(t, cluster.SentinelConfig{})
	w.grow(10)
	w.publish()
	w.waitPublished()
	s := w.source(w.config(redis.Reader))
	c := w.live(s, w.at)
	w.wait("a blocked reader", w.blocked(1))
	old := w.redis
	_, err := w.sentinel.Sentinels[0].CLI(w.ctx(), "SENTINEL", "FAILOVER", cluster.MasterName)
	w.must(err)
	if err := c.ends(); policystore.TroubleOf(err) != policystore.ReadOnly && policystore.TroubleOf(err) != policystore.Unreachable {
		t.Errorf("the tail ends with %v, of sort %s", err, policystore.TroubleOf(err))
	}
	master, err := w.sentinel.FailedOver(w.ctx(), old)
	w.must(err)
	w.follow(master)
	at := w.at
	more := w.grow(5)
	w.waitPublished()
	c = w.live(s, at)
	c.wantEntries(more)
}

// A Sentinel that names a replica, as one that was cut off does, is not followed there; nor is anything published there.
func TestSentinelNamesAReplica(t *testing.T) {
	w := newWatched(t, cluster.SentinelConfig{DownAfter: time.Minute})
	w.grow(5)
	p := w.publish()
	w.waitPublished()
	_, err := w.redis.CLI(w.ctx(), "REPLICAOF", "127.0.0.1", strings.Split(w.sentinel.Nodes[1].Addr(), ":")[1])
	w.must(err)
	w.waitTrouble(p, policystore.ReadOnly, 2)
	c := w.tail(w.source(w.config(redis.Reader)), w.at)
	if err := c.ends(); policystore.TroubleOf(err) != policystore.ReadOnly || !strings.Contains(err.Error(), "not the master") {
		t.Errorf("at a replica that Sentinel names the tail ends with %v", err)
	}
}

func TestSentinelRefused(t *testing.T) {
	w := newWatched(t, cluster.SentinelConfig{})
	file := filepath.Join(t.TempDir(), "password")
	w.must(os.WriteFile(file, []byte("wrong"), 0o600))
	for name, test := range map[string]struct {
		change func(c *redis.Config)
		sort   policystore.Trouble
	}{
		"another master":         {func(c *redis.Config) { c.URL = strings.Replace(c.URL, "/"+cluster.MasterName+"?", "/other?", 1) }, policystore.Misconfigured},
		"a wrong password":       {func(c *redis.Config) { c.PasswordFile = file }, policystore.Unauthorized},
		"a wrong one, Sentinel":  {func(c *redis.Config) { c.SentinelPasswordFile = file }, policystore.Unauthorized},
		"nobody, Sentinel":       {func(c *redis.Config) { c.URL, _, _ = strings.Cut(c.URL, "?") }, policystore.Unauthorized},
		"nobody where Sentinels": {func(c *redis.Config) { c.URL = "redis+sentinel://127.0.0.1:1/m" }, policystore.Unreachable},
	} {
		c := w.config(redis.Reader)
		test.change(&c)
		err := w.tail(w.source(c), policystore.Position{}).ends()
		if policystore.TroubleOf(err) != test.sort || strings.Contains(err.Error(), "pw-") {
			t.Errorf("%s: the tail ends with %v of sort %s, want %s", name, err, policystore.TroubleOf(err), test.sort)
		}
	}
	w.grow(1)
	w.must(os.WriteFile(file, []byte("pw-"+redis.Seeker), 0o600))
	c := w.config(redis.Reader)
	c.URL, _, _ = strings.Cut(c.URL, "&sentinel_password")
	c.URL = strings.Replace(c.URL, "sentinel_password="+"pw-"+redis.Seeker+"&", "", 1)
	c.SentinelPasswordFile = file
	if err := w.tail(w.source(c), policystore.Position{}).ends(); policystore.TroubleOf(err) != policystore.Missing {
		t.Errorf("with the password of the file the tail ends with %v, want that nothing is there", err)
	}
	seeker := goredis.NewClient(&goredis.Options{Addr: w.sentinel.Addrs()[0], Username: redis.Seeker, Password: "pw-" + redis.Seeker, DisableIdentity: true})
	defer seeker.Close()
	for _, args := range [][]any{{"SENTINEL", "FAILOVER", cluster.MasterName}, {"SENTINEL", "SET", cluster.MasterName, "quorum", "1"}, {"SHUTDOWN"}, {"INFO"}} {
		if err := seeker.Do(t.Context(), args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v = %v, want NOPERM", args, err)
		}
	}
}

func TestTLS(t *testing.T) {
	h := bareHouse(t)
	ca, err := h.cluster.NewCA()
	h.must(err)
	us, err := ca.Issue("us")
	h.must(err)
	other, err := h.cluster.NewCA()
	h.must(err)
	them, err := other.Issue("them")
	h.must(err)
	h.start(cluster.RedisConfig{TLS: ca, Lines: []string{"tls-auth-clients optional"}})
	h.grow(5)

	files := t.TempDir()
	copyTo := func(name, from string) string {
		b, err := os.ReadFile(from)
		h.must(err)
		path := filepath.Join(files, name)
		h.must(os.WriteFile(path, b, 0o600))
		return path
	}
	with := func(c redis.Config) redis.Config {
		c.Files = credential.Files{CA: copyTo("ca", ca.File), Cert: copyTo("cert", them.CertFile), Key: copyTo("key", them.KeyFile)}
		return c
	}
	p := h.publish(func(c *redis.PublisherConfig) { c.Config = with(c.Config) })
	s := h.source(with(h.reader()))
	h.waitTrouble(p, policystore.Unauthorized, 3)
	h.wait("a refusal", func(context.Context) error { // which a reset may overtake
		err := h.tail(s, policystore.Position{}).ends()
		if policystore.TroubleOf(err) != policystore.Unauthorized {
			return err
		}
		return nil
	})
	copyTo("cert", us.CertFile)
	copyTo("key", us.KeyFile)
	h.wantReached(h.replica(s)) // as soon as it is there
	copyTo("ca", other.File)
	h.tail(s, policystore.Position{}).wantEnd(policystore.Unauthorized, nil)
	h.must(os.WriteFile(filepath.Join(files, "ca"), []byte("none"), 0o600))
	if err := h.tail(s, policystore.Position{}).ends(); !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("with a CA file without certificate the tail ends with %v", err)
	}
	bare := h.reader()
	bare.URL = strings.Replace(bare.URL, "rediss://", "redis://", 1)
	if err := h.tail(h.source(bare), policystore.Position{}).ends(); errors.Is(err, policystore.ErrNotFound) || policystore.TroubleOf(err) == policystore.Missing {
		t.Errorf("without TLS the tail ends with %v", err)
	}
}

// The same through Sentinel: both planes speak TLS.
func TestTLSOfSentinel(t *testing.T) {
	w := &watched{house: bareHouse(t)}
	ca, err := w.cluster.NewCA()
	w.must(err)
	w.sentinel, err = w.cluster.StartSentinel(w.ctx(), cluster.SentinelConfig{
		Redis:           cluster.RedisConfig{TLS: ca, Users: users(redis.ServerUsers(storetest.Domain))},
		Users:           users(redis.SentinelUsers()),
		ReplicationUser: redis.Replication, SentinelUser: redis.Watcher,
	})
	w.must(err)
	w.redis = w.sentinel.Nodes[0]
	w.grow(5)
	secure := func(user string) redis.Config {
		c := w.config(user)
		c.URL = strings.Replace(c.URL, "redis+", "rediss+", 1)
		c.Files.CA = ca.File
		return c
	}
	w.house.publish(func(c *redis.PublisherConfig) { c.Config = secure(redis.Writer) })
	w.wantReached(w.replica(w.source(secure(redis.Reader))))
}
