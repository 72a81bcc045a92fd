package client_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
)

// wall is a clock that shows what it is set to.
type wall struct {
	mu      sync.Mutex
	now     time.Time
	instead []time.Time
}

func (w *wall) read() (time.Time, []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now, w.instead
}

func (w *wall) set(now time.Time, instead ...time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.instead = now, instead
}

// unproven is a source that proves nothing: what is followed from it is EXPIRED.
type unproven struct{ policystore.Source }

func (u unproven) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		for e, err := range u.Source.Tail(ctx, p) {
			if e.Head == nil && !yield(e, err) {
				return
			}
		}
	}
}

// pair is a server and a client in this process that decide from the same replica, by the same clock.
type pair struct {
	mood    string
	replica *policystore.Replica
	remote  *client.Remote
	local   *client.Local
}

// pairs returns one for each age that policy may have.
func (h *house) pairs(clock *wall) []pair {
	h.t.Helper()
	aged := func(spent time.Duration) *policystore.Replica {
		r := policystore.NewReplica(policystore.ReplicaConfig{
			Origins:       []policystore.Origin{{Name: "silent", Source: unproven{h.log}}},
			Domain:        domain,
			ServeStaleFor: spent,
		})
		h.runs(r.Run)
		return r
	}
	var all []pair
	for mood, replica := range map[string]*policystore.Replica{"fresh": h.replica, "expired": aged(policystore.Never), "spent": aged(1)} {
		server := service.New(service.Config{Replica: replica, Domain: domain, Clock: clock.read})
		all = append(all, pair{
			mood:    mood,
			replica: replica,
			remote:  remote(h.t, serve(h.t, server), client.Config{}),
			local:   client.Over(replica, client.Config{Clock: clock.read}),
		})
	}
	for _, p := range all {
		p.answers(h.t)
	}
	return all
}

// answers waits until the server says that it is healthy, which it does late where nothing is proven.
func (p pair) answers(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, err := p.remote.Check(t.Context(), city)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// reaches waits until the replica has all there is.
func (h *house) reaches(r *policystore.Replica) {
	h.t.Helper()
	head, err := h.log.Head(h.t.Context())
	h.must(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		v, err := r.View(h.t.Context(), policystore.Demand{})
		h.must(err)
		if v.Position == head {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("a replica is at %v, want %v", v.Position, head)
		}
	}
}

// said is everything that a client says to a question.
type said struct {
	Outcome     client.Outcome
	Reason      client.Reason
	Allowed     bool
	Obligations []client.Obligation
	Details     client.Details
	Denied      string
	Undecided   client.UndecidedError
}

func ask(t *testing.T, c client.Checker, q client.Query) said {
	d, err := c.Check(t.Context(), q)
	s := said{Outcome: d.Outcome(), Reason: d.Reason(), Allowed: d.Allowed(), Obligations: d.Obligations(), Details: d.Details()}
	if denied, ok := errors.AsType[*client.DeniedError](d.Err()); ok {
		s.Denied = denied.Error()
	}
	if e, ok := errors.AsType[*client.UndecidedError](err); ok {
		s.Undecided = client.UndecidedError{Code: e.Code, Reason: e.Reason}
	}
	if age := s.Details.Freshness.Age; age != policystore.Never {
		s.Details.Freshness.Age = age.Round(time.Hour) // they are not asked at the same moment
	}
	return s
}

// TestDifferential asks the same questions of a server and of a client that decides itself, in many policies, of every age, at many
// instants, with and without doubt about the clock. They never differ in anything.
func TestDifferential(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h := open(t)
	h.settle()
	clock, seen := &wall{now: time.Now()}, make(map[string]int)
	pairs := h.pairs(clock)
	for round := range 12 {
		d := &dice{Rand: rand.New(rand.NewPCG(seed, uint64(round))), now: time.Now()}
		d.govern(h, round)
		for _, p := range pairs {
			h.reaches(p.replica)
			d.compare(t, p, clock, seen)
		}
	}
	for _, want := range []string{"ALLOWED", "DENIED", "INDETERMINATE", "obligations", "obligations in doubt", "advice", "unrecognized",
		"STALE_POLICY", "CLOCK_UNCERTAIN", "RELEASED", "UNREGISTERED_APP", "DEPENDS_ON_PURPOSE", "MISSING_ATTRIBUTE"} {
		if seen[want] == 0 {
			t.Errorf("no answer was about %s: %v", want, seen)
		}
	}
}

func (d *dice) compare(t *testing.T, p pair, clock *wall, seen map[string]int) {
	for range 150 {
		now := d.within().Add(time.Duration(d.IntN(3)-1) * time.Microsecond)
		clock.set(now)
		doubted := d.once(3)
		if doubted {
			clock.set(now, d.within(), d.within())
		}
		q := d.query()
		asked, decided := ask(t, p.remote, q), ask(t, p.local, q)
		if diff := cmp.Diff(asked, decided); diff != "" {
			t.Fatalf("%s, at %v, in doubt %v: %+v: asked (-) and decided here (+):\n%s", p.mood, now, doubted, q, diff)
		}
		count(seen, &asked, doubted)
	}
}

func count(seen map[string]int, s *said, doubted bool) {
	seen[string(s.Outcome)]++
	seen[string(s.Reason)]++
	for what, n := range map[string]int{"obligations": len(s.Obligations), "advice": len(s.Details.Advice), "unrecognized": len(s.Details.Unrecognized)} {
		seen[what] += n
		if doubted {
			seen[what+" in doubt"] += n
		}
	}
}
