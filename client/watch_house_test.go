package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
)

// ear keeps what a watch has told.
type ear struct {
	t     testing.TB
	mu    sync.Mutex
	news  chan struct{}
	told  []string
	last  map[int]client.Decision
	ended error
}

// hears runs a watch until the test ends.
func hears(t testing.TB, c client.Client, queries ...client.Query) *ear {
	e := &ear{t: t, news: make(chan struct{}, 1), last: make(map[int]client.Decision)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for change, err := range c.Watch(ctx, queries...) {
			e.hear(change, err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return e
}

func (e *ear) hear(change client.Change, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended = err; err == nil {
		if before, ok := e.last[change.Index]; ok && client.Same(before, change.Decision) {
			e.t.Errorf("the answer to %d was told twice: %v", change.Index, change.Decision)
		}
		e.told = append(e.told, fmt.Sprintf("%d %s", change.Index, word(change.Decision)))
		e.last[change.Index] = change.Decision
	}
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// waits waits until it holds, which must be soon.
func (e *ear) waits(what string, holds func() bool) {
	e.t.Helper()
	patience := time.After(time.Minute)
	for {
		e.mu.Lock()
		ok, told, ended := holds(), e.told, e.ended
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-e.news:
		case <-patience:
			e.t.Fatalf("%s: told %q, %v", what, told, ended)
		}
	}
}

func (e *ear) tells(want ...string) {
	e.t.Helper()
	e.waits(fmt.Sprintf("want %q", want), func() bool { return slices.Equal(e.told, want) })
}

// TestWatch tells the first answers, and each that a write changes or the time, and nothing else.
func TestWatch(t *testing.T) {
	h := open(t)
	h.settle()
	c, l := remote(t, h.address, client.Config{}), local(t, h.address, client.Config{})
	h.caughtUp(l)
	ears := []*ear{hears(t, c, mic, city), hears(t, l, mic, city)}
	tells := func(want ...string) {
		t.Helper()
		for _, e := range ears {
			e.tells(want...)
		}
	}
	tells("0 yes", "1 yes")
	h.suspend()
	tells("0 yes", "1 yes", "0 no")
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "other" } reason: "x"`)
	h.lift()
	tells("0 yes", "1 yes", "0 no", "0 yes")
	soon := time.Now().Add(1500 * time.Millisecond)
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, fmt.Sprintf(`directive { id: "short" authority: "jp" expire_time { seconds: %d nanos: %d }
		provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "city" } targets { in { app: "line" } } } } } reason: "x"`, soon.Unix(), soon.Nanosecond()/1000*1000))
	tells("0 yes", "1 yes", "0 no", "0 yes", "1 no")
	tells("0 yes", "1 yes", "0 no", "0 yes", "1 no", "1 yes")
	if time.Now().Before(soon) {
		t.Errorf("the end was told %s early", time.Until(soon))
	}
}

// TestWatchOfNothing refuses what is not registered, here and there.
func TestWatchOfNothing(t *testing.T) {
	h := open(t)
	h.settle()
	both(t, h, func(t *testing.T, c client.Client) {
		h.caughtUp(c)
		for _, q := range []client.Query{nobody, {Organization: "mic", App: "nothing"}, {Organization: "mic", App: "line", Purpose: "none"}} {
			got := listens(t, c, time.Minute, city, q)
			if e, ok := errors.AsType[*client.UndecidedError](got.err); !ok || e.Code != codes.InvalidArgument || e.Reason != "UNKNOWN_REFERENCE" || len(got.told) != 0 {
				t.Errorf("a watch of %+v told %q, %v", q, got.told, got.err)
			}
		}
	})
}

// TestWatchOutlivesServers ends one server after the other, while what is watched is halted and resumed: it is told in turn, and
// nothing twice.
func TestWatchOutlivesServers(t *testing.T) {
	h := open(t)
	h.settle()
	servers := manual.NewBuilderWithScheme("servers")
	var addresses []resolver.Endpoint
	replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "log", Source: h.log}}, Domain: domain})
	h.runs(replica.Run)
	// start starts another server, and returns what ends it by force.
	start := func() func() {
		s := service.New(service.Config{Replica: replica, Domain: domain})
		addresses = append(addresses, resolver.Endpoint{Addresses: []resolver.Address{{Addr: serve(t, s)}}})
		return func() {
			s.Drain(0, 0)
			addresses = addresses[1:]
		}
	}
	kill := start()
	servers.InitialState(resolver.State{Endpoints: slices.Clone(addresses)})
	c := remote(t, "servers:///x", client.Config{Insecure: true, DialOptions: []grpc.DialOption{grpc.WithResolvers(servers)}})
	e := hears(t, c, mic, city)
	want := []string{"0 yes", "1 yes"}
	e.tells(want...)
	for round := range 3 {
		next := start()
		servers.UpdateState(resolver.State{Endpoints: slices.Clone(addresses)})
		issue(h, fmt.Sprintf("halt-%d", round))
		want = append(want, "0 no")
		e.tells(want...)
		kill()
		do(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, fmt.Sprintf(`directive: "halt-%d" reason: "x"`, round))
		want = append(want, "0 yes")
		e.tells(want...)
		kill = next
	}
	if c.Stats().Resumed < 3 {
		t.Errorf("the watch went on by another stream %d times", c.Stats().Resumed)
	}
}

// TestWatchDifferential compares what both have told after each of many writes with what both answer.
func TestWatchDifferential(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 0)), now: time.Now()}
	h := open(t)
	h.settle()
	var queries []client.Query
	for len(queries) < 60 {
		q := d.query()
		q.Language = "ja"
		if q.Organization != "nobody" && q.Purpose != "none" && q.App != "nothing" && q.App != "x:y" {
			queries = append(queries, q)
		}
	}
	c, l := remote(t, h.address, client.Config{}), local(t, h.address, client.Config{})
	h.caughtUp(l)
	far, near := hears(t, c, queries...), hears(t, l, queries...)
	for round := range 6 {
		d.govern(h, round)
		head, err := h.log.Head(t.Context())
		h.must(err)
		for i, q := range queries {
			q.MinRevision = int64(head.Revision)
			asked, err := c.Check(t.Context(), q)
			h.must(err)
			for who, e := range map[string]*ear{"remote": far, "local": near} {
				e.waits(fmt.Sprintf("%s, round %d: %+v is %v: %+v", who, round, q, asked, asked.Details()), func() bool { return client.Same(e.last[i], asked) })
			}
		}
	}
}

// proving is a source that has these entries, and proves the last of them every second until it stops.
type proving struct {
	entries []policystore.Entry
	stop    time.Time
}

func (p *proving) Checkpoint(context.Context) (policystore.Checkpoint, error) {
	return policystore.Checkpoint{}, policystore.ErrNotFound
}

func (p *proving) Tail(ctx context.Context, after policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		for i := range p.entries {
			if e := p.entries[i]; e.Revision > after.Revision && !yield(policystore.Event{Entry: &e}, nil) {
				return
			}
		}
		for last := p.entries[len(p.entries)-1].Position(); ctx.Err() == nil; {
			if now := time.Now(); now.Before(p.stop) &&
				!yield(policystore.Event{Head: &policystore.HeadProof{Domain: domain, Position: last, Authority: "a", IssuedTime: now}}, nil) {
				return
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

// TestLocalGrowsOld where nothing proves any longer what it follows: what an app's OnStale does not permit then is told.
func TestLocalGrowsOld(t *testing.T) {
	h := open(t)
	h.settle()
	entries, err := h.log.Read(t.Context(), 1, 100)
	h.must(err)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		source := &proving{entries: entries, stop: began.Add(10 * time.Second)}
		c, err := client.Follow("", client.Config{Replica: policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "a", Source: source}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := listens(t, c, 60*time.Second, city, client.Query{Organization: "city", App: "mail"})
		if want := []string{"0 yes", "1 yes"}; !slices.Equal(got.told, want) {
			t.Errorf("within the bound it told %q, %v, want %q", got.told, got.err, want)
		}
		for change, err := range c.Watch(t.Context(), client.Query{Organization: "city", App: "mail"}) {
			if err != nil {
				t.Fatal(err)
			}
			if change.Decision.Reason() == client.StalePolicy {
				break
			}
		}
		if age := time.Since(began); age < 69*time.Second || age > 72*time.Second {
			t.Errorf("it was told after %s, want 70 s", age)
		}
	})
}

// TestHalfAPolicy decides nothing while what is followed has proven nothing, unless it is all there is: a record without its last
// entries would permit what they suspend.
func TestHalfAPolicy(t *testing.T) {
	h := open(t)
	h.settle()
	entries, err := h.log.Read(t.Context(), 1, 100)
	h.must(err)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		source := &proving{entries: entries, stop: began}
		c, err := client.Follow("", client.Config{Replica: policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "a", Source: source}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		d, err := c.Check(t.Context(), city)
		if e, ok := errors.AsType[*client.UndecidedError](err); !ok || e.Code != codes.Unavailable || d.Allowed() || time.Since(began) > 2*time.Second {
			t.Errorf("before anything is proven Check = %v, %v after %s", d, err, time.Since(began))
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if d, err := c.Check(t.Context(), city); err != nil || d.Details().Freshness.State != "EXPIRED" || time.Since(began) < 5*time.Second {
			t.Errorf("where nothing is ever proven Check = %v, %v after %s", d, err, time.Since(began))
		}
	})
}
