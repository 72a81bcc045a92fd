//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
)

const (
	points     = 3                     // decision points
	writeEvery = 20 * time.Millisecond // 50 a second
	perRound   = 25                    // writes by one way, before it is another's turn
	slowest    = 10 * time.Second      // what takes longer will never come
)

// suspender is an organization beside those of W1, and suspendable returns the id of its i-th app: it is permitted until a
// directive of the organization suspends it.
const suspender = "suspender"

func suspendable(i int) string { return fmt.Sprintf("suspendable-%05d", i) }

// suspendables returns W1 with apps to suspend.
func suspendables(n int) workload.World {
	w := workload.W1()
	w.Changes = append(w.Changes, policy.Change{Put: &policy.Organization{ID: suspender}})
	for i := range n {
		w.Changes = append(w.Changes, policy.Change{Put: &policy.App{ID: suspendable(i)}})
	}
	return w
}

// apps hands out apps that are not suspended yet.
type apps struct{ next int }

func (a *apps) take(n int) (first int) {
	first, a.next = a.next, a.next+n
	return first
}

// following measures what follows an authority: how soon it has what is acknowledged, and what it costs many to follow.
func (b *benchmark) following(ctx context.Context) (err error) {
	w, err := b.world(ctx, "W1+", suspendables(2*(b.writes+perRound)+2*crowdWrites), false)
	if err != nil {
		return err
	}
	s, err := b.site(ctx, w.record)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var fresh apps
	if b.writes > 0 {
		for _, way := range []struct{ name, url string }{{"Redis", s.redis.URL("")}, {"the gRPC tail", "grpc://" + s.authority.Addr()}} {
			if err := b.propagation(ctx, s, way.name, way.url, &fresh); err != nil {
				return fmt.Errorf("propagation through %s: %w", way.name, err)
			}
		}
	}
	if b.readers > 0 {
		return b.crowds(ctx, s, &fresh)
	}
	return nil
}

// propagation measures how soon decision points that follow the URL have what is acknowledged, in turn with bare Redis.
func (b *benchmark) propagation(ctx context.Context, s *site, name, url string, fresh *apps) (err error) {
	all, err := s.follow(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	ours, asked := s.suspending(all, fresh.take(b.writes+perRound))
	if _, err := ours.round(ctx, 0, perRound); err != nil { // which is not counted, and whose entries are like those to come
		return err
	}
	bare, err := s.bare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	if _, err := bare.round(ctx, 0, perRound); err != nil {
		return err
	}
	var teishi, redis []passage
	for done := 0; done < b.writes; done += perRound {
		n := min(perRound, b.writes-done)
		a, err := ours.round(ctx, perRound+done, n)
		if err != nil {
			return err
		}
		c, err := bare.round(ctx, perRound+done, n)
		if err != nil {
			return err
		}
		teishi, redis = append(teishi, a...), append(redis, c...)
	}
	b.printPropagation(name, teishi, redis, asked)
	return nil
}

// way is one by which news travel.
type way struct {
	// send sends the i-th news, and returns when that is acknowledged.
	send func(ctx context.Context, i int) error
	// receivers return when the i-th has arrived. They are called for one after the other.
	receivers []func(ctx context.Context, i int) error
	// polled says that receivers ask again and again, and not before news are acknowledged, from when on time is counted.
	// Others wait for them, and time is counted from when they are sent.
	polled bool
}

// passage is how long one piece of news took.
type passage struct {
	sending time.Duration // until it was acknowledged
	first   time.Duration // until the first receiver had it
	last    time.Duration // until all had
}

// round sends news, at the pace of the stream, and waits until all have arrived.
func (w *way) round(ctx context.Context, from, n int) ([]passage, error) {
	sent, answered, released := make([]time.Time, n), make([]time.Time, n), make([]chan struct{}, n)
	for i := range released {
		released[i] = make(chan struct{})
	}
	arrived := make([][]time.Time, len(w.receivers))
	g, ctx := errgroup.WithContext(ctx)
	for r := range w.receivers {
		arrived[r] = make([]time.Time, n)
		g.Go(func() error { return w.receive(ctx, r, from, released, arrived[r]) })
	}
	g.Go(func() error {
		return paced(ctx, n, func(i int) (err error) {
			sent[i] = time.Now()
			err = w.send(ctx, from+i)
			answered[i] = time.Now()
			close(released[i])
			return err
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := make([]passage, n)
	for i := range all {
		all[i] = w.passage(sent[i], answered[i], arrivals(arrived, i))
	}
	return all, nil
}

func (w *way) receive(ctx context.Context, r, from int, released []chan struct{}, arrived []time.Time) error {
	for i := range arrived {
		if w.polled {
			select {
			case <-released[i]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := w.receivers[r](ctx, from+i); err != nil {
			return err
		}
		arrived[i] = time.Now()
	}
	return nil
}

func arrivals(rows [][]time.Time, i int) (all []time.Time) {
	for _, row := range rows {
		all = append(all, row[i])
	}
	return all
}

func (w *way) passage(sent, answered time.Time, arrived []time.Time) passage {
	began := sent
	if w.polled {
		began = answered
	}
	return passage{
		sending: answered.Sub(sent),
		first:   slices.MinFunc(arrived, time.Time.Compare).Sub(began),
		last:    slices.MaxFunc(arrived, time.Time.Compare).Sub(began),
	}
}

// suspending returns the way of a directive that suspends an app, from the authority to each decision point, and how long
// their answers to a Check took. The i-th news are of the i-th app from the first.
func (s *site) suspending(all decisionPoints, first int) (*way, *polls) {
	asked := &polls{took: make([][]time.Duration, len(all))}
	w := &way{polled: true, send: func(ctx context.Context, i int) error { return s.suspend(ctx, first+i) }}
	for p, t := range all {
		w.receivers = append(w.receivers, func(ctx context.Context, i int) error { return asked.until(ctx, p, t, first+i) })
	}
	return w, asked
}

// suspend issues a directive that suspends the i-th app.
func (s *site) suspend(ctx context.Context, i int) error {
	_, err := teishiv1.NewDirectiveServiceClient(s.authority.Conn()).IssueDirective(ctx, &teishiv1.IssueDirectiveRequest{
		Reason: "to see how soon it is known everywhere",
		Directive: &teishiv1.Directive{Id: suspendable(i), Authority: suspender, Provisions: []*teishiv1.Provision{{
			Id: "all", Force: teishiv1.Force_FORCE_BINDING, Selector: &teishiv1.Selector{
				Organizations: &teishiv1.OrganizationSelector{In: []string{suspender}},
				Targets:       &teishiv1.TargetSelector{In: []*teishiv1.Target{{App: suspendable(i)}}},
			},
		}}},
	}, grpc.WaitForReady(true))
	return err
}

// polls are what decision points were asked, and how long each answer took.
type polls struct{ took [][]time.Duration }

// until asks the p-th decision point, one question after the other, until the i-th app is suspended there.
func (p *polls) until(ctx context.Context, point int, t *cluster.Teishi, i int) error {
	client := teishiv1.NewDecisionServiceClient(t.Conn())
	req := &teishiv1.CheckRequest{Organization: suspender, App: suspendable(i)}
	for began := time.Now(); ; {
		asked := time.Now()
		resp, err := client.Check(ctx, req)
		if err != nil {
			return err
		}
		answered := time.Now()
		p.took[point] = append(p.took[point], answered.Sub(asked))
		switch {
		case resp.Outcome == teishiv1.Outcome_OUTCOME_DENIED && resp.Reason == teishiv1.Reason_REASON_SUSPENDED:
			return nil
		case resp.Outcome != teishiv1.Outcome_OUTCOME_ALLOWED:
			return fmt.Errorf("%s answers %s, %s for an app that is to be suspended", t.Name(), resp.Outcome, resp.Reason)
		case answered.Sub(began) > slowest:
			return fmt.Errorf("%s still permits %s, which was suspended %s ago", t.Name(), req.App, slowest)
		}
	}
}

// printPropagation prints a table of one way: news of ours beside those of bare Redis, that were sent in turn.
func (b *benchmark) printPropagation(name string, ours, bare []passage, asked *polls) {
	const columns = "%-60s %11s %11s %8s  %s\n"
	took := slices.Sorted(slices.Values(slices.Concat(asked.took...)))
	fmt.Fprintf(b.out, columns, fmt.Sprintf("%d suspensions, %.0f/s, to %d decision points by %s", len(ours), 1/writeEvery.Seconds(), points, name),
		"teishi", "bare Redis", "÷ bare", "target")
	line := func(what string, of func(passage) time.Duration, q float64, most time.Duration) {
		a, c := quantileOf(ours, of, q), quantileOf(bare, of, q)
		var t target
		if most > 0 {
			t = atMost(float64(a), float64(most), most.String())
		}
		fmt.Fprintf(b.out, columns, "  "+what, microseconds(float64(a)), microseconds(float64(c)), fmt.Sprintf("%.2f", float64(a)/float64(c)), t)
	}
	sending := func(p passage) time.Duration { return p.sending }
	first := func(p passage) time.Duration { return p.first }
	last := func(p passage) time.Duration { return p.last }
	line("the write itself, until it is acknowledged: p50", sending, 0.50, 0)
	line("then, until the first decision point denies: p50", first, 0.50, 0)
	line("then, until all deny: p50", last, 0.50, 2*time.Millisecond)
	line("p99", last, 0.99, 10*time.Millisecond)
	line("max", last, 1, 0)
	fmt.Fprintf(b.out, "  a decision point is asked %.1f times for each, an answer takes %s (p50), %s (p99): that much too late are figures at most\n",
		float64(len(took))/float64(len(ours)*points), microseconds(float64(quantile(took, 0.5))), microseconds(float64(quantile(took, 0.99))))
	fmt.Fprintf(b.out, "  load by then: %s\n\n", load())
}

// quantileOf returns the q-quantile of one figure of passages.
func quantileOf(all []passage, of func(passage) time.Duration, q float64) time.Duration {
	var figures []time.Duration
	for _, p := range all {
		figures = append(figures, of(p))
	}
	return quantile(slices.Sorted(slices.Values(figures)), q)
}
