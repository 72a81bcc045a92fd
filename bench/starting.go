//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy/workload"
)

// beginning is how a server started.
type beginning struct {
	answered time.Duration // from exec to the first right answer
	cpu      time.Duration // until then
	resident int64         // bytes, settled: settle after that
	peak     int64         // bytes, until then
}

// settle is how long a server is left alone before its memory is read.
const settle = time.Second

// begin starts a server, asks it until the answer is right, and stops it.
func begin(ctx context.Context, start func(context.Context) (*process, error), ask func(context.Context, *grpc.ClientConn) error) (s beginning, err error) {
	p, err := start(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	dials, err := dial(p.address, 1)
	if err != nil {
		return s, err
	}
	defer hangUp(dials)
	if err := ask(ctx, dials[0]); err != nil {
		return s, err
	}
	s.answered = time.Since(p.started)
	if s.cpu, err = p.cpu(); err != nil {
		return s, err
	}
	if err := pause(ctx, settle); err != nil {
		return s, err
	}
	s.resident, s.peak, err = p.memory()
	return s, err
}

// starting measures how the empty server starts, and ours on W1 and on W2 from its checkpoint.
func (b *benchmark) starting(ctx context.Context, w1 *world) error {
	empty, err := b.begins(ctx, func(ctx context.Context) (*process, error) { return b.echo(ctx) }, func(ctx context.Context, c *grpc.ClientConn) error {
		return c.Invoke(ctx, echoMethod, echoQuestion(8, 8), new(wrapperspb.BytesValue), grpc.WaitForReady(true))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, beginningColumns, "start", "answered", "ratio", "CPU", "resident", "ratio", "peak", "target")
	b.printBeginning("echo", empty, empty, "")
	small, err := b.startOn(ctx, w1)
	if err != nil {
		return err
	}
	b.printBeginning(w1.name, small, empty, small.targets(150*time.Millisecond, 60<<20))
	w2, err := b.world(ctx, "W2", workload.W2(), true)
	if err != nil {
		return err
	}
	large, err := b.startOn(ctx, w2)
	if err != nil {
		return err
	}
	b.printBeginning(w2.name, large, empty, large.targets(time.Second, 300<<20))
	if b.redis {
		return b.startingFromRedis(ctx, w2, empty)
	}
	return nil
}

// startingFromRedis measures how a decision point starts from Redis: one that has nothing else, and one that reports itself to
// the authority too.
func (b *benchmark) startingFromRedis(ctx context.Context, w *world, empty beginning) (err error) {
	s, err := b.site(ctx, w.record)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	counter, err := s.StartShim(cluster.ShimConfig{Target: s.redis.Addr()})
	if err != nil {
		return err
	}
	if _, err := begin(ctx, b.follower(s.redis.URLAt(counter.Addr(), "")), w.answersFirst); err != nil {
		return err
	}
	for _, way := range []struct{ name, follow string }{
		{w.name + " redis", s.redis.URL("")},
		{w.name + " redis,grpc", s.redis.URL("") + ",grpc://" + s.authority.Addr()},
	} {
		point, err := b.begins(ctx, b.follower(way.follow), w.answersFirst)
		if err != nil {
			return err
		}
		b.printBeginning(way.name, point, empty, point.targets(time.Second, 300<<20))
	}
	fmt.Fprintf(b.out, "a decision point that starts on %s reads %.1f MiB from Redis\n\n", w.name, float64(counter.Traffic().Down)/(1<<20))
	return nil
}

// answersFirst asks the health of a server until it is ready, and then the first question.
func (w *world) answersFirst(ctx context.Context, c *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	health, err := healthpb.NewHealthClient(c).Watch(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	for {
		state, err := health.Recv()
		if err != nil {
			return fmt.Errorf("watch the health: %w", err)
		}
		if state.Status == healthpb.HealthCheckResponse_SERVING {
			break
		}
	}
	resp, err := teishiv1.NewDecisionServiceClient(c).Check(ctx, w.checks[0])
	if err != nil {
		return err
	}
	return w.right(0, resp)
}

// startOn measures starts on a world.
func (b *benchmark) startOn(ctx context.Context, w *world) (beginning, error) {
	return b.begins(ctx, func(ctx context.Context) (*process, error) { return b.serve(ctx, w.record) }, w.answersFirst)
}

// begins returns the medians of several starts.
func (b *benchmark) begins(ctx context.Context, start func(context.Context) (*process, error), ask func(context.Context, *grpc.ClientConn) error) (beginning, error) {
	var all []beginning
	for range b.starts {
		s, err := begin(ctx, start, ask)
		if err != nil {
			return s, err
		}
		all = append(all, s)
	}
	return beginning{
		answered: middle(all, func(s beginning) time.Duration { return s.answered }),
		cpu:      middle(all, func(s beginning) time.Duration { return s.cpu }),
		resident: middle(all, func(s beginning) int64 { return s.resident }),
		peak:     middle(all, func(s beginning) int64 { return s.peak }),
	}, nil
}

func middle[N ~int64](all []beginning, of func(beginning) N) N {
	var list []N
	for _, s := range all {
		list = append(list, of(s))
	}
	return quantile(slices.Sorted(slices.Values(list)), 0.5)
}

func (s beginning) targets(soon time.Duration, small int64) string {
	return fmt.Sprintf("%s, %s", atMost(float64(s.answered), float64(soon), soon.String()), atMost(float64(s.resident), float64(small), mebibytes(small)))
}

const beginningColumns = "%-14s %12s %7s %10s %10s %7s %10s  %s\n"

func (b *benchmark) printBeginning(name string, s, baseline beginning, targets string) {
	fmt.Fprintf(b.out, beginningColumns, name, s.answered.Round(100*time.Microsecond),
		fmt.Sprintf("%.1f", float64(s.answered)/float64(baseline.answered)), s.cpu.Round(time.Millisecond),
		mebibytes(s.resident), fmt.Sprintf("%.1f", float64(s.resident)/float64(baseline.resident)), mebibytes(s.peak), targets)
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
