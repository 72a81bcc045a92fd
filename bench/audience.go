//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
)

// audienceCommand makes this program many watchers of one server.
const audienceCommand = "audience"

// perConnection is how many streams a server allows on a connection.
const perConnection = 1000

// watchedApp is beside the apps of W1, and all watch it, each for an organization of its own.
const watchedApp = "watched"

func watchable() workload.World {
	w := workload.W1()
	w.Changes = append(w.Changes, policy.Change{Put: &policy.App{ID: watchedApp}})
	return w
}

// watchOf returns what the i-th watches.
func watchOf(i int) *teishiv1.WatchDecisionsRequest {
	return &teishiv1.WatchDecisionsRequest{Selectors: []*teishiv1.DecisionSelector{{
		Organizations: []string{workload.Organization(i)},
		Apps:          []string{watchedApp},
		Purposes:      []string{"internal.messaging"},
		Attributes:    map[string]string{"data-sensitivity": "internal", "device": "government-issued"},
	}}}
}

// audience is watchers, and when each was told.
type audience struct {
	out      io.Writer
	address  string
	synced   sync.WaitGroup // until each has its answer
	tellings []*telling
}

// telling is one change of outcome that all are told.
type telling struct {
	Arrived []int64 // by the wall clock, in nanoseconds, when each was told
	Decided []int64 // for when, in nanoseconds, its answer was decided
	Bytes   int     // of a message

	left sync.WaitGroup
}

// watchAll has as many watchers as the arguments say watch a server until ctx ends. It prints a line when all of them have
// their answers, and one for each telling when the last has been told.
func watchAll(ctx context.Context, args []string, stdout io.Writer) error {
	address, watchers, tellings, err := parseAudience(args)
	if err != nil {
		return err
	}
	dials, err := dial(address, watchers/perConnection+1)
	if err != nil {
		return err
	}
	defer hangUp(dials)
	a := newAudience(stdout, address, watchers, tellings)
	g, ctx := errgroup.WithContext(ctx)
	for i := range watchers {
		g.Go(func() error { return a.watch(ctx, dials[i%len(dials)], i) })
	}
	go a.report() // ends with the process, perhaps before it has anything to say
	return g.Wait()
}

func parseAudience(args []string) (address string, watchers, tellings int, err error) {
	if len(args) != 3 {
		return "", 0, 0, fmt.Errorf("%d arguments, want the address, how many watchers, and how often they are told", len(args))
	}
	watchers, err = strconv.Atoi(args[1])
	tellings, err2 := strconv.Atoi(args[2])
	return args[0], watchers, tellings, errors.Join(err, err2)
}

func newAudience(out io.Writer, address string, watchers, tellings int) *audience {
	a := &audience{out: out, address: address}
	a.synced.Add(watchers)
	for range tellings {
		t := &telling{Arrived: make([]int64, watchers), Decided: make([]int64, watchers)}
		t.left.Add(watchers)
		a.tellings = append(a.tellings, t)
	}
	return a
}

// watch is one watcher.
func (a *audience) watch(ctx context.Context, c *grpc.ClientConn, i int) error {
	stream, err := teishiv1.NewDecisionServiceClient(c).WatchDecisions(ctx, watchOf(i), grpc.WaitForReady(true))
	for seat := (seat{audience: a, number: i}); err == nil; {
		var m *teishiv1.WatchDecisionsResponse
		if m, err = stream.Recv(); err == nil {
			seat.hear(m, time.Now())
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watcher %d: %w", i, err)
}

// seat is where a watcher sits, and what it has heard.
type seat struct {
	*audience
	number int
	synced bool
	told   int // tellings
	last   teishiv1.Outcome
}

// hear notes what counts of a message: that all is answered, and that the outcome is another.
func (s *seat) hear(m *teishiv1.WatchDecisionsResponse, now time.Time) {
	if m.GetSynced() != nil && !s.synced {
		s.synced = true
		s.audience.synced.Done()
	}
	for _, c := range m.GetChanges().GetChanges() {
		before := s.last
		s.last = c.GetResponse().GetOutcome()
		if before == teishiv1.Outcome_OUTCOME_UNSPECIFIED || before == s.last || s.told == len(s.tellings) {
			continue
		}
		t := s.tellings[s.told]
		s.told++
		t.Arrived[s.number], t.Decided[s.number] = now.UnixNano(), c.Response.DecisionTime.AsTime().UnixNano()
		if s.number == 0 {
			t.Bytes = proto.Size(m)
		}
		t.left.Done()
	}
}

func (a *audience) report() {
	a.synced.Wait()
	fmt.Fprintln(a.out, "watching on", a.address)
	for _, t := range a.tellings {
		t.left.Wait()
		_ = json.NewEncoder(a.out).Encode(t) // who started us misses it
	}
}
