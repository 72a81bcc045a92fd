package faults

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
)

// dial connects to an address, for as long as the row runs.
func (h *house) dial(address string, options ...grpc.DialOption) *grpc.ClientConn {
	h.Helper()
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)...)
	h.must(err)
	h.dialled = append(h.dialled, conn)
	return conn
}

// hangUp ends the connections that the row has made.
func (h *house) hangUp() {
	for _, c := range h.dialled {
		_ = c.Close() // it has no more to say
	}
	h.dialled = nil
}

// calls are those of callers who ask whichever decision point there is, by a client that retries.
type calls struct {
	house   *house
	stop    context.CancelFunc
	calling sync.WaitGroup
	names   map[string]string // of decision points, by address

	mu   sync.Mutex
	took []time.Duration
}

// callWithin is the deadline of a caller.
const callWithin = 30 * time.Second

// callers has so many callers ask any of the decision points, one question after the other, every second for what was acknowledged
// last.
func (h *house) callers(n int) *calls {
	h.Helper()
	ctx, cancel := context.WithCancel(h.ctx)
	c := &calls{house: h, stop: cancel, names: make(map[string]string)}
	points := manual.NewBuilderWithScheme("points")
	var state resolver.State
	for _, p := range h.points {
		c.names[p.Addr()] = p.Name()
		state.Addresses = append(state.Addresses, resolver.Address{Addr: p.Addr()})
	}
	points.InitialState(state)
	remote, err := client.Dial("points:///", client.Config{Insecure: true, DialOptions: []grpc.DialOption{grpc.WithResolvers(points)}})
	h.must(err)
	for i := range n {
		c.calling.Go(func() { c.call(ctx, i, remote.Decisions()) })
	}
	h.leaving.Go(func() { c.calling.Wait(); _ = remote.Close() })
	return c
}

func (c *calls) call(ctx context.Context, caller int, decisions teishiv1.DecisionServiceClient) {
	for n := 0; ctx.Err() == nil; n++ {
		req := &teishiv1.CheckRequest{Organization: organization, App: appID(n % apps)}
		if n%2 == 0 {
			req.MinRevision, req.Epoch = c.house.history.acknowledged()
		}
		one := check{life: caller<<32 + n, app: n % apps, min: req.MinRevision, asked: time.Now()} // nobody in particular is asked again
		var by peer.Peer
		calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
		resp, err := decisions.Check(calling, req, grpc.Peer(&by))
		cancel()
		one.answered, one.answer = time.Now(), resp
		if by.Addr != nil {
			one.replica = c.names[by.Addr.String()]
		}
		c.note(one, err)
		rest(ctx, checkEvery)
	}
}

func (c *calls) note(one check, err error) {
	if err != nil {
		one.answer, one.refusal = nil, reasonOf(err)
		c.house.problem("I12: a call with retries and %s of time failed after %s: %v", callWithin, one.answered.Sub(one.asked).Round(time.Millisecond), err)
	}
	one.replica = "any, " + one.replica
	c.house.history.checked(one)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, one.answered.Sub(one.asked))
}

// end ends the callers, and notes how long their calls took.
func (c *calls) end() {
	c.house.Helper()
	c.stop()
	c.calling.Wait()
	c.house.quantiles("a call", c.took)
}

// quantiles notes how long half of many took at most, 99 of a hundred, and all.
func (h *house) quantiles(what string, took []time.Duration) {
	h.Helper()
	if len(took) == 0 {
		h.problem("I12: there is not one of: %s", what)
		return
	}
	slices.Sort(took)
	for _, q := range []struct {
		name string
		of   int
	}{{"p50", 50}, {"p99", 99}, {"max", 100}} {
		h.note(fmt.Sprintf("%s, %s", what, q.name), took[(len(took)-1)*q.of/100])
	}
}

// delays notes how long after its acknowledgement each change was told.
func (h *house) delays(since time.Time, c *crowd) {
	h.Helper()
	answered := make(map[int64]time.Time)
	h.history.mu.Lock()
	for _, w := range h.history.writes {
		answered[w.revision] = w.answered
	}
	h.history.mu.Unlock()
	var took []time.Duration
	for _, w := range c.watchers {
		for _, t := range w.toldSince(since) {
			if at, known := answered[t.place.GetRevision()]; known && len(t.changes) > 0 && !at.Before(since) {
				took = append(took, max(0, t.at.Sub(at)))
			}
		}
	}
	h.quantiles("from an acknowledgement until a watch is told", took)
}

// slowest notes how long whoever asked since waited.
func (h *house) slowest(since time.Time) {
	h.Helper()
	var took []time.Duration
	for _, c := range h.history.since(since) {
		if c.min == 0 {
			took = append(took, c.answered.Sub(c.asked))
		}
	}
	h.quantiles("a check meanwhile", took)
}
