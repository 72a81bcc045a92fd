package faults

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// deliveryRows break the wire to Redis, or what comes over it.
var deliveryRows = []row{
	{"7a", "two seconds of latency to Redis", "I6 I11 I12", plan{}, func(h *house) {
		h.wire(func() { h.reading.Latency(2 * time.Second) })
	}},
	{"7b", "30 % of packets to Redis are lost", "I6 I11 I12", plan{onlyRedis: true}, func(h *house) {
		since := time.Now()
		h.reading.Loss(0.3)
		h.publishing.Loss(0.3)
		h.wait("writes flow", h.writesFlow())
		h.wait("writes flow on", h.writesFlow())
		h.undisturbed(since)
		h.must(h.reading.Heal())
		h.must(h.publishing.Heal())
		h.become(fresh, h.points...)
	}},
	{"7c", "connections to Redis are half-open", "I6 I11 I12", plan{}, func(h *house) {
		h.wire(h.reading.HalfOpen)
	}},
	{"7d", "authorities' connections to Redis are half-open", "I6 I11 I12", plan{}, func(h *house) {
		h.wire(h.publishing.HalfOpen)
	}},
	{"10a", "hostile Redis: a forged entry that chains well, signing on", "I2 I3 I7 I12", plan{signed: true}, func(h *house) {
		h.hostile(func(e *policystore.Entry) {}, func() { h.follows("grpc") })
	}},
	{"10b", "hostile Redis: a forged entry that does not chain, signing off", "I2 I3 I7 I12", plan{}, func(h *house) {
		h.hostile(func(e *policystore.Entry) { e.PreviousHash[0]++ }, func() { h.follows("grpc") })
	}},
	{"10c", "hostile Redis: entries deleted and a checkpoint exchanged, signing on", "I3 I7 I12", plan{signed: true}, func(h *house) {
		h.follows("redis")
		h.publishing.Cut()
		point := h.points[0]
		h.must(point.Kill())
		h.forgeCheckpoint()
		h.restart(point)
		h.wait("a start that believes no forged checkpoint", func(ctx context.Context) error { return h.is(ctx, point, fresh, 0, 0) })
		h.must(h.publishing.Heal())
		h.follows("redis")
	}},
	{"10d", "hostile Redis: old proofs replayed while nothing new comes, signing on", "I6 I7 I12", plan{signed: true, onlyRedis: true}, func(h *house) {
		proofs := h.proofBytes()
		h.publishing.Cut()
		h.must(cluster.Wait(h.ctx, "decision points that are STALE although proofs come", func(ctx context.Context) error {
			for _, p := range proofs {
				h.evaluate("return redis.call('XADD', KEYS[1], '*', 'proof', unhex(ARGV[1]))", []string{"hb"}, p)
			}
			return h.each(ctx, h.points, stale)
		}))
		h.must(h.publishing.Heal())
		h.become(fresh, h.points...)
	}},
	{"10e", "hostile Redis: delivery is held back, signing on", "I6 I7 I12", plan{signed: true, onlyRedis: true}, func(h *house) {
		h.reading.Hold()
		h.become(stale, h.points...)
		h.wait("writes flow", h.writesFlow())
		h.reading.Release()
		h.become(fresh, h.points...)
	}},
	{"11", "entries are trimmed and deleted while a decision point is away", "I3 I8 I12", plan{}, func(h *house) {
		h.follows("redis")
		h.formerCheckpoint()
		h.wait("writes flow", h.writesFlow())
		before, _ := h.history.acknowledged()
		h.isolate()
		h.wait("forty more writes", h.reach(before+40))
		h.cli("XTRIM", logKey, "MAXLEN", "=", "20")
		h.cli("XDEL", logKey, fmt.Sprintf("%d-0", h.top()-5))
		h.must(h.reading.Heal())
		h.wait("until decision points notice", func(context.Context) error {
			for _, p := range h.points {
				if !strings.Contains(p.Log(), "a checkpoint is needed") {
					return fmt.Errorf("%s has not noticed that entries are gone", p.Name())
				}
			}
			return nil
		})
		for _, p := range h.points {
			h.breaks(p.Name(), "at apply wait") // where the program can be broken, so that a moment lasts
		}
		h.rejoin()
		h.wait("answers meanwhile", h.answers(50))
		for _, p := range h.points {
			h.breaks(p.Name())
		}
		h.follows("redis")
	}},
}

const logKey = "{teishi:" + domain + "}:log"

// wire breaks the wire, sees that decision points take the other way, and that they come back.
func (h *house) wire(breakIt func()) {
	h.Helper()
	h.follows("redis")
	since := time.Now()
	breakIt()
	h.follows("grpc")
	h.undisturbed(since)
	h.wait("writes flow", h.writesFlow())
	h.must(h.reading.Heal())
	h.must(h.publishing.Heal())
	h.follows("redis")
}

// each reports as an error that one of the servers is in another state.
func (h *house) each(ctx context.Context, servers []*cluster.Teishi, state teishiv1.Freshness_State) error {
	for _, s := range servers {
		if err := h.is(ctx, s, state, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// hostile has Redis hold an entry that no authority wrote, after the last that one did, which resumes the use of every app.
func (h *house) hostile(spoil func(*policystore.Entry), then func()) {
	h.Helper()
	h.follows("redis")
	h.publishing.Cut()
	h.wait("writes flow past Redis", h.writesFlow())
	e := h.forged(h.top())
	spoil(&e)
	e.Hash = e.Sum(domain)
	encoded, err := policystore.EncodeEntry(&e)
	h.must(err)
	h.evaluate("return redis.call('XADD', KEYS[1], ARGV[2], 'hash', ARGV[3], 'entry', unhex(ARGV[1]))", []string{"log"},
		hex.EncodeToString(encoded), fmt.Sprintf("%d-0", e.Revision), e.Hash.String())
	then()
	h.must(h.publishing.Heal())
	if !h.plan.signed {
		_, err := h.reseed()
		h.must(err)
	}
	h.follows("redis")
}

// forged is an entry that follows the one at a revision, and withdraws what suspends an app.
func (h *house) forged(after int64) policystore.Entry {
	h.Helper()
	r := h.record()
	last := r.entries[after-1]
	payload, err := policystore.EncodeChanges([]policy.Change{{Put: &policy.Organization{ID: "forged"}}})
	h.must(err)
	return policystore.Entry{
		Epoch: last.Epoch, Revision: last.Revision + 1, Time: last.Time + 1, Principal: "local", Method: last.Method,
		RequestID: "forged", Reason: "forged", Payload: payload, PreviousHash: last.Hash,
	}
}

// evaluate runs a script in Redis as somebody who may do everything. Its first argument is in hexadecimal, for unhex.
func (h *house) evaluate(script string, keys []string, args ...string) string {
	h.Helper()
	const unhex = "local function unhex(s) return (s:gsub('..', function(x) return string.char(tonumber(x, 16)) end)) end "
	words := []string{"EVAL", unhex + script, fmt.Sprint(len(keys))}
	for _, k := range keys {
		words = append(words, "{teishi:"+domain+"}:"+k)
	}
	return h.cli(append(words, args...)...)
}

// proofBytes returns the proofs that are in Redis, in hexadecimal.
func (h *house) proofBytes() []string {
	h.Helper()
	out := h.evaluate(`local all = {} for _, m in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
		all[#all+1] = (m[2][2]:gsub('.', function(c) return string.format('%02x', c:byte()) end)) end return table.concat(all, ' ')`, []string{"hb"})
	proofs := strings.Fields(strings.Trim(strings.TrimSpace(out), `"`))
	if len(proofs) == 0 {
		h.problem("there are no proofs in Redis")
	}
	return proofs
}

// forgeCheckpoint leaves in Redis a checkpoint in which nothing is suspended, and no entry before it.
func (h *house) forgeCheckpoint() {
	h.Helper()
	r := h.record()
	last := r.entries[h.top()-1]
	s := policy.New()
	changes := []policy.Change{{Put: &policy.Organization{ID: organization}}}
	for app := range apps {
		changes = append(changes, policy.Change{Put: &policy.App{ID: appID(app)}})
	}
	s, err := s.Apply(last.Revision, changes)
	h.must(err)
	h.putCheckpoint(policystore.View{Snapshot: s, Position: last.Position(), Time: last.Time})
	h.cli("XTRIM", logKey, "MAXLEN", "=", "1")
}

// formerCheckpoint leaves in Redis a genuine checkpoint, of before what decision points have applied.
func (h *house) formerCheckpoint() {
	h.Helper()
	log, closeLog := h.openRecord()
	defer func() { h.must(closeLog()) }()
	v, err := policystore.NewHistory(log, domain).At(h.ctx, 2)
	h.must(err)
	h.putCheckpoint(v)
}

// putCheckpoint has Redis hold a checkpoint as its newest.
func (h *house) putCheckpoint(v policystore.View) {
	h.Helper()
	c, err := policystore.NewCheckpoint(domain, v)
	h.must(err)
	data, err := policystore.EncodeCheckpoint(&c)
	h.must(err)
	stage := fmt.Sprintf("%d:%d", v.Position.Epoch, v.Position.Revision)
	h.evaluate("redis.call('SET', KEYS[2], unhex(ARGV[1])) return redis.call('HSET', KEYS[1], 'checkpoint', ARGV[2])",
		[]string{"meta", "ckpt:" + stage}, hex.EncodeToString(data), stage)
}

// reseed says that what the record holds is right.
func (h *house) reseed() (string, error) {
	return h.teishi("redis", "reseed", "--redis", "redis://"+redisUser+"@"+h.redis.Addr(), "--redis-password-file", h.password(redisUser, publisherPassword))
}
