//go:build linux

package cluster_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
)

func redis(t *testing.T, c *cluster.Cluster, config cluster.RedisConfig) *cluster.Redis {
	t.Helper()
	return must[*cluster.Redis](t)(c.StartRedis(t.Context(), config))
}

func cli(t *testing.T, r *cluster.Redis, args ...string) string {
	t.Helper()
	return strings.TrimSpace(must[string](t)(r.CLI(t.Context(), args...)))
}

func TestRedisKeepsItsDataIfAsked(t *testing.T) {
	c := cluster.Test(t)
	for _, persist := range []bool{true, false} {
		r := redis(t, c, cluster.RedisConfig{Persist: persist})
		address, pids := r.Addr(), family(r.PID())
		checkLoopback(t, r.Name(), r.PID())
		cli(t, r, "SET", "k", "v")
		check(t, r.Kill())
		if err := gone(pids); err != nil {
			t.Errorf("after Kill: %v", err)
		}
		check(t, r.Restart(t.Context()))
		if r.Addr() != address {
			t.Errorf("restarted at %s, want %s", r.Addr(), address)
		}
		want := map[bool]string{true: "v", false: ""}[persist]
		if got := cli(t, r, "GET", "k"); got != want {
			t.Errorf("Persist %v: GET after a restart = %q, want %q", persist, got, want)
		}
		check(t, r.RestartEmpty(t.Context()))
		if got := cli(t, r, "DBSIZE"); got != "0" {
			t.Errorf("Persist %v: DBSIZE after RestartEmpty = %s, want 0", persist, got)
		}
	}
}

func TestRedisIsRestoredFromADump(t *testing.T) {
	c := cluster.Test(t)
	for _, persist := range []bool{true, false} {
		r := redis(t, c, cluster.RedisConfig{Persist: persist})
		cli(t, r, "SET", "k", "old")
		dump := must[[]byte](t)(r.Dump(t.Context()))
		cli(t, r, "SET", "k", "new")
		check(t, r.RestartFrom(t.Context(), dump))
		if got := cli(t, r, "GET", "k"); got != "old" {
			t.Errorf("Persist %v: GET after RestartFrom = %q, want %q", persist, got, "old")
		}
		cli(t, r, "SET", "k", "later")
		check(t, r.Restart(t.Context()))
		if got, want := cli(t, r, "GET", "k"), map[bool]string{true: "later", false: "old"}[persist]; got != want {
			t.Errorf("Persist %v: GET after another restart = %q, want %q", persist, got, want)
		}
	}
}

func TestRedisUsersMayDoWhatTheirRulesSay(t *testing.T) {
	c := cluster.Test(t)
	reader := cluster.RedisUser{Name: "reader", Password: "se#cret", Rules: "resetkeys -@all +ping +get ~a"}
	ca := must[*cluster.CA](t)(c.NewCA())
	for _, tls := range []*cluster.CA{nil, ca} {
		r := redis(t, c, cluster.RedisConfig{Users: []cluster.RedisUser{reader}, TLS: tls})
		checkLoopback(t, r.Name(), r.PID())
		cli(t, r, "SET", "a", "1")
		if got, err := r.CLIAs(t.Context(), "reader", "GET", "a"); err != nil || got != "1\n" {
			t.Errorf("GET as reader = %q, %v", got, err)
		}
		if got, err := r.CLIAs(t.Context(), "reader", "SET", "a", "2"); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("SET as reader = %q, %v, want NOPERM", got, err)
		}
		if got, err := r.CLIAs(t.Context(), "default", "GET", "a"); err == nil {
			t.Errorf("GET as default = %q, want an error", got)
		}
		u := must[*url.URL](t)(url.Parse(r.URL("reader")))
		if password, _ := u.User.Password(); password != reader.Password || u.Host != r.Addr() || (u.Scheme == "rediss") != (tls != nil) {
			t.Errorf("URL = %s", u)
		}
	}
}

func TestRedisReplicates(t *testing.T) {
	c := cluster.Test(t)
	users := []cluster.RedisUser{{Name: "nobody", Password: "x", Rules: "-@all"}}
	ca := must[*cluster.CA](t)(c.NewCA())
	master := redis(t, c, cluster.RedisConfig{Users: users, TLS: ca})
	replica := redis(t, c, cluster.RedisConfig{Name: "replica", Users: users, TLS: ca, Master: master})
	cli(t, master, "SET", "k", "v")
	cli(t, master, "WAIT", "1", "10000")
	if got := cli(t, replica, "GET", "k"); got != "v" {
		t.Errorf("GET at the replica = %q, want v", got)
	}
}

func TestSentinelFailsOver(t *testing.T) {
	c := cluster.Test(t)
	users := []cluster.RedisUser{
		{Name: "follower", Password: "f", Rules: "+psync +replconf +ping"},
		{Name: "watcher", Password: "w", Rules: "allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill"},
	}
	asking := []cluster.RedisUser{
		{Name: "asking", Password: "a", Rules: "-@all +sentinel|get-master-addr-by-name"},
		{Name: "peer", Password: "p", Rules: "allchannels -@all +sentinel|is-master-down-by-addr +ping +info +publish +client|setname"},
	}
	s := must[*cluster.Sentinel](t)(c.StartSentinel(t.Context(), cluster.SentinelConfig{
		Redis: cluster.RedisConfig{Users: users}, Users: asking, ReplicationUser: "follower", SentinelUser: "watcher", PeerUser: "peer", Shims: true,
	}))
	old := must[*cluster.Redis](t)(s.Master(t.Context()))
	if old != s.Nodes[0] {
		t.Errorf("the master is %s, want %s", old.Name(), s.Nodes[0].Name())
	}
	if got := must[string](t)(s.Sentinels[0].CLIAs(t.Context(), "asking", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", cluster.MasterName)); strings.Join(strings.Fields(got), ":") != s.Shims[0].Addr() {
		t.Errorf("the sentinel says that the master is at %q, want that of its shim, %s", got, s.Shims[0].Addr())
	}
	for where, of := range map[*cluster.Redis][]string{
		old:            {"user=follower", "user=watcher"},
		s.Sentinels[0]: {"user=peer"},
	} {
		for _, user := range of {
			if clients := cli(t, where, "CLIENT", "LIST"); !strings.Contains(clients, user) {
				t.Errorf("no client of %s has %s:\n%s", where.Name(), user, clients)
			}
		}
	}
	s.Shims[0].HalfOpen() // the others lose sight of it
	master := must[*cluster.Redis](t)(s.FailedOver(t.Context(), old))
	if got := strings.Fields(cli(t, old, "ROLE"))[0]; got != "master" {
		t.Errorf("the old one, which nobody reaches, says it is a %s, want master", got)
	}
	check(t, master.Kill())
	check(t, s.Shims[0].Heal())
	last := must[*cluster.Redis](t)(s.FailedOver(t.Context(), master))
	t.Logf("masters: %s, %s, %s", old.Name(), master.Name(), last.Name())
}
