package faults

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/teishi-dev/teishi/policystore/redis"
)

// redisRows break Redis itself.
var redisRows = []row{
	{"1", "Redis is killed under writes", "I1 I2 I4 I6 I11 I12", plan{}, func(h *house) {
		h.wait("writes flow", h.writesFlow())
		since := time.Now()
		h.must(h.redis.Kill())
		h.follows("grpc")
		h.wait("writes flow without Redis", h.writesFlow())
		h.undisturbed(since)
		h.must(h.redis.Restart(h.ctx))
		h.follows("redis")
	}},
	{"1b", "Redis is killed, and decision points have no other way", "I4 I6 I7 I12", plan{onlyRedis: true}, func(h *house) {
		since, before := time.Now(), h.connections()
		h.must(h.redis.Kill())
		h.become(stale, h.points...)
		h.calm(h.connections()-before, time.Since(since))
		h.wait("writes flow without Redis", h.writesFlow())
		h.undisturbed(since)
		h.must(h.redis.Restart(h.ctx))
		h.become(fresh, h.points...)
	}},
	{"2", "Redis restarts empty", "I4 I7 I12", plan{onlyRedis: true}, func(h *house) {
		since := time.Now()
		h.must(h.redis.RestartEmpty(h.ctx))
		h.become(fresh, h.points...)
		h.healed("a restart without data")
		h.undisturbed(since)
	}},
	{"2b", "FLUSHALL", "I4 I7 I12", plan{onlyRedis: true}, func(h *house) {
		since := time.Now()
		h.cli("FLUSHALL")
		h.wait("until what is published was made anew", h.published())
		h.healed("FLUSHALL")
		h.undisturbed(since)
	}},
	{"3", "Redis is restored from an old dump", "I2 I4 I12", plan{onlyRedis: true}, func(h *house) {
		dump, err := h.redis.Dump(h.ctx)
		h.must(err)
		before, _ := h.history.acknowledged()
		h.wait("a hundred more writes", h.reach(before+100))
		since := time.Now()
		h.must(h.redis.RestartFrom(h.ctx, dump))
		h.healed("an old dump")
		h.undisturbed(since)
	}},
	{"4", "Sentinel fails over to a replica that lacks the last entries", "I1 I2 I12", plan{sentinel: true, onlyRedis: true}, func(h *house) {
		master, err := h.sentinel.Master(h.ctx)
		h.must(err)
		for _, n := range h.sentinel.Nodes {
			if n != master {
				h.must(n.Pause())
			}
		}
		before, _ := h.history.acknowledged()
		h.wait("twenty writes that no replica has", h.reach(before+20))
		h.must(master.Kill())
		for _, n := range h.sentinel.Nodes {
			if n != master {
				h.must(n.Resume())
			}
		}
		h.wait("a failover", func(ctx context.Context) error {
			_, err := h.sentinel.FailedOver(ctx, master)
			return err
		})
		h.healed("a failover")
		h.must(master.Restart(h.ctx))
	}},
	{"5", "the old master stays reachable to decision points after a failover", "I6 I12", plan{sentinel: true, oldMaster: true}, func(h *house) {
		old := h.sentinel.Nodes[0]
		h.follows("redis")
		h.sentinel.Shims[0].Cut()
		h.wait("a failover", func(ctx context.Context) error {
			_, err := h.sentinel.FailedOver(ctx, old)
			return err
		})
		h.follows("grpc")
		h.must(h.sentinel.Shims[0].Heal())
	}},
	{"5b", "publishing is wedged while head proofs flow", "I5 I6 I11 I12", plan{onlyRedis: true}, func(h *house) {
		since := time.Now()
		h.cli("ACL", "SETUSER", redis.Writer, "resetkeys", "~{teishi:"+domain+"}:hb")
		h.become(stale, h.points...)
		h.undisturbed(since)
		h.cli("ACL", "SETUSER", redis.Writer, "resetkeys", "~{teishi:"+domain+"}:*")
		h.become(fresh, h.points...)
	}},
	{"5c", "publishing is wedged, and there is another way", "I6 I12", plan{}, func(h *house) {
		h.follows("redis")
		h.cli("ACL", "SETUSER", redis.Writer, "resetkeys", "~{teishi:"+domain+"}:hb")
		h.follows("grpc")
		h.cli("ACL", "SETUSER", redis.Writer, "resetkeys", "~{teishi:"+domain+"}:*")
		h.follows("redis")
	}},
	{"5d", "an authority lags behind the record that it proves", "I5 I6 I12", plan{noRedis: true, tagged: true}, func(h *house) {
		h.follows("grpc")
		h.breaks("authority-0", "at apply wait")
		h.follows("grpc-2")
		h.breaks("authority-0")
		h.follows("grpc")
	}},
	{"6", "the role changes under blocked readers", "I4 I12", plan{onlyRedis: true}, func(h *house) {
		for _, id := range h.readers() {
			h.cli("CLIENT", "UNBLOCK", id, "ERROR")
		}
		h.wait("writes flow", h.writesFlow())
		h.cli("REPLICAOF", "127.0.0.1", "1")
		h.wait("writes flow to the record", h.writesFlow())
		h.cli("REPLICAOF", "NO", "ONE")
		h.healed("a change of role")
	}},
	{"8", "Redis has no memory left", "I1 I11 I12", plan{}, func(h *house) {
		since := time.Now()
		h.cli("CONFIG", "SET", "maxmemory", "1")
		h.follows("grpc")
		h.wait("writes flow to the record", h.writesFlow())
		h.undisturbed(since)
		h.cli("CONFIG", "SET", "maxmemory", "0")
		h.follows("redis")
	}},
	{"9", "passwords change, and change back", "I11 I12", plan{}, func(h *house) {
		since := time.Now()
		h.cli("ACL", "SETUSER", redis.Reader, "resetpass", ">another")
		h.cli("ACL", "SETUSER", redis.Writer, "resetpass", ">another")
		for _, user := range []string{redis.Reader, redis.Writer} {
			h.cli("CLIENT", "KILL", "USER", user)
		}
		before := h.connections()
		began := time.Now()
		h.follows("grpc")
		h.wait("writes flow without Redis", h.writesFlow())
		h.undisturbed(since)
		h.calm(h.connections()-before, time.Since(began))
		h.cli("ACL", "SETUSER", redis.Reader, "resetpass", ">"+readerPassword)
		h.cli("ACL", "SETUSER", redis.Writer, "resetpass", ">"+publisherPassword)
		h.follows("redis")
	}},
}

// cli runs a command of redis-cli as somebody who may do everything.
func (h *house) cli(args ...string) string {
	h.Helper()
	out, err := h.redis.CLI(h.ctx, args...)
	h.must(err)
	return out
}

// top is the last revision in Redis, 0 if there is none.
func (h *house) top() int64 {
	out := h.cli("XREVRANGE", "{teishi:"+domain+"}:log", "+", "-", "COUNT", "1")
	id, _, _ := strings.Cut(out, "-")
	revision, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64)
	if err != nil {
		return 0
	}
	return revision
}

// published holds once Redis has what was acknowledged when it was asked first.
func (h *house) published() func(context.Context) error {
	want, _ := h.history.acknowledged()
	return func(context.Context) error {
		if top := h.top(); top < want {
			return fmt.Errorf("Redis ends at revision %d, want %d", top, want)
		}
		return nil
	}
}

// readers are the ids of the connections of decision points to Redis.
func (h *house) readers() []string {
	var ids []string
	for line := range strings.Lines(h.cli("CLIENT", "LIST")) {
		if !strings.Contains(line, "user="+redis.Reader+" ") {
			continue
		}
		for _, word := range strings.Fields(line) {
			if id, ok := strings.CutPrefix(word, "id="); ok {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		h.problem("nobody reads Redis")
	}
	return ids
}

// connections is how many were made to Redis so far.
func (h *house) connections() int64 {
	return h.reading.Traffic().Connections + h.publishing.Traffic().Connections
}

// calm checks that so many connections in that time are no storm of retries: ten a second from each server, at the most.
func (h *house) calm(connections int64, in time.Duration) {
	h.Helper()
	if most := int64(10*in.Seconds()+20) * int64(len(h.servers())); connections > most {
		h.problem("I11: %d connections in %s, want at most %d", connections, in.Round(time.Millisecond), most)
	}
	h.logf("%d connections in %s", connections, in.Round(time.Millisecond))
}
