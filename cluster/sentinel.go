//go:build linux

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SentinelConfig says how Redis runs under Sentinel: a master and two replicas, watched by three sentinels of which two
// must agree that the master is down.
type SentinelConfig struct {
	// Redis says how each of the three runs. Its Master and Announce must be empty.
	Redis RedisConfig
	// Users of the sentinels themselves, as in RedisConfig. Default: none.
	Users []RedisUser
	// ReplicationUser and SentinelUser are those of Redis's users as whom replicas follow their master, and sentinels do
	// their work. Default: Admin, if there are users.
	ReplicationUser, SentinelUser string
	// PeerUser is the one of Users as whom sentinels speak to each other. Default: Admin, if there are any.
	PeerUser string
	// DownAfter is how long a server must be silent to count as down. Default: 500 ms.
	DownAfter time.Duration
	// Shims puts a shim before each Redis, by which replicas, sentinels and whoever asks them know it. It is still reached
	// directly at its own address.
	Shims bool
}

// Sentinel is a Redis that changes its master when that fails.
type Sentinel struct {
	Nodes     []*Redis // the first is the master at the beginning
	Shims     []*Shim  // before each of the nodes, if asked for
	Sentinels []*Redis // the watchers; they speak Redis's protocol
}

// MasterName is what the sentinels call the master.
const MasterName = "teishi"

// StartSentinel starts Redis under Sentinel and returns when the replicas follow and the sentinels know each other.
func (c *Cluster) StartSentinel(ctx context.Context, config SentinelConfig) (*Sentinel, error) {
	s := &Sentinel{}
	for range 3 {
		if err := s.startNode(ctx, c, config); err != nil {
			return nil, err
		}
	}
	for range 3 {
		if err := s.startWatcher(ctx, c, config); err != nil {
			return nil, err
		}
	}
	return s, Wait(ctx, "replicas and sentinels", s.complete)
}

// startNode starts the next Redis: the first is the master of the others.
func (s *Sentinel) startNode(ctx context.Context, c *Cluster, config SentinelConfig) error {
	node := config.Redis
	if len(s.Nodes) > 0 {
		node.Master = s.Nodes[0]
	}
	if user := config.ReplicationUser; user != "" {
		node.Lines = append(slices.Clone(node.Lines), "masteruser "+user, "masterauth "+passwordOf(user, node.Users, c.password))
	}
	var shim *Shim
	if config.Shims {
		var err error
		if shim, err = c.StartShim(ShimConfig{Seed: uint64(len(s.Nodes))}); err != nil {
			return err
		}
		node.Announce = shim.Addr()
		s.Shims = append(s.Shims, shim)
	}
	r, err := c.StartRedis(ctx, node)
	if err != nil {
		return err
	}
	if shim != nil {
		shim.SetTarget(r.Addr())
	}
	s.Nodes = append(s.Nodes, r)
	return nil
}

// startWatcher starts the next sentinel.
func (s *Sentinel) startWatcher(ctx context.Context, c *Cluster, config SentinelConfig) error {
	r, err := c.redis(RedisConfig{Name: "sentinel", Users: config.Users, TLS: config.Redis.TLS}, "--sentinel")
	if err != nil {
		return err
	}
	err = onFreeAddress(func(address string) error {
		r.address = address
		if err := r.writeConfig(s.watch(r, c, config)); err != nil {
			return err
		}
		return r.Start(ctx)
	})
	s.Sentinels = append(s.Sentinels, r)
	return err
}

// watch returns the lines of the configuration of a sentinel.
func (s *Sentinel) watch(r *Redis, c *Cluster, config SentinelConfig) []string {
	down := cmp.Or(config.DownAfter, 500*time.Millisecond)
	host, port, _ := net.SplitHostPort(s.Nodes[0].Announced())
	lines := append(r.network(), users(config.Users, c.password)...)
	lines = append(lines,
		fmt.Sprintf("sentinel monitor %s %s %s 2", MasterName, host, port),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, down.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", MasterName, 4*down.Milliseconds()),
		fmt.Sprintf("sentinel parallel-syncs %s 2", MasterName))
	if all := config.Redis.Users; len(all) > 0 {
		user := cmp.Or(config.SentinelUser, Admin)
		lines = append(lines, fmt.Sprintf("sentinel auth-user %s %s", MasterName, user),
			fmt.Sprintf("sentinel auth-pass %s %s", MasterName, passwordOf(user, all, c.password)))
	}
	if len(config.Users) > 0 {
		user := cmp.Or(config.PeerUser, Admin)
		lines = append(lines, "sentinel sentinel-user "+user, "sentinel sentinel-pass "+passwordOf(user, config.Users, c.password))
	}
	return lines
}

// Addrs returns the addresses of the sentinels.
func (s *Sentinel) Addrs() []string {
	var all []string
	for _, r := range s.Sentinels {
		all = append(all, r.Addr())
	}
	return all
}

// Master returns the Redis that all running sentinels say is the master, and that says so itself.
func (s *Sentinel) Master(ctx context.Context) (*Redis, error) {
	var said []string
	for _, watcher := range s.Sentinels {
		if watcher.PID() == 0 {
			continue
		}
		out, err := watcher.CLI(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName)
		if err != nil {
			return nil, err
		}
		said = append(said, strings.Join(strings.Fields(out), ":"))
	}
	if len(slices.Compact(slices.Clone(said))) != 1 {
		return nil, fmt.Errorf("the sentinels say that the master is at %q", said)
	}
	i := slices.IndexFunc(s.Nodes, func(r *Redis) bool { return r.Announced() == said[0] })
	if i < 0 {
		return nil, fmt.Errorf("the master is at %s, where none of ours is", said[0])
	}
	if role, err := s.Nodes[i].CLI(ctx, "ROLE"); err != nil || !strings.HasPrefix(role, "master\n") {
		return nil, errors.Join(err, fmt.Errorf("%s is to be the master, and says of its role: %q", s.Nodes[i].Name(), role))
	}
	return s.Nodes[i], nil
}

// FailedOver returns the new master as soon as there is another one than the old.
func (s *Sentinel) FailedOver(ctx context.Context, old *Redis) (*Redis, error) {
	var master *Redis
	err := Wait(ctx, "a failover", func(ctx context.Context) (err error) {
		if master, err = s.Master(ctx); err == nil && master == old {
			err = fmt.Errorf("%s is still the master", old.Name())
		}
		return err
	})
	return master, err
}

// complete reports whether the replicas have what the master has, and every sentinel knows of all the others.
func (s *Sentinel) complete(ctx context.Context) error {
	for _, replica := range s.Nodes[1:] {
		if out, err := replica.CLI(ctx, "INFO", "replication"); err != nil || !strings.Contains(out, "master_link_status:up") {
			return errors.Join(err, fmt.Errorf("%s says: %s", replica.Name(), out))
		}
	}
	for _, watcher := range s.Sentinels {
		for field, want := range map[string]int{"num-slaves": len(s.Nodes) - 1, "num-other-sentinels": len(s.Sentinels) - 1} {
			out, err := watcher.CLI(ctx, "SENTINEL", "MASTER", MasterName)
			if err != nil {
				return err
			}
			if got := fieldOf(out, field); got != strconv.Itoa(want) {
				return fmt.Errorf("%s says of %s: %s, want %d", watcher.Name(), field, got, want)
			}
		}
	}
	return nil
}

// fieldOf returns the value of a field in a reply of lines that are fields and values by turns.
func fieldOf(reply, name string) string {
	lines := strings.Split(reply, "\n")
	if i := slices.Index(lines, name); i >= 0 && i+1 < len(lines) {
		return lines[i+1]
	}
	return "nothing"
}
