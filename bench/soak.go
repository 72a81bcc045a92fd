//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy/workload"
)

// soakCommand has watchers come and go for a long time, and sees whether the server keeps anything of them.
const soakCommand = "soak"

const (
	waveWithin    = time.Minute
	progressEvery = 30 * time.Second
)

// soaking is a server, and wave after wave of watchers.
type soaking struct {
	*served
	meter    meter
	out      io.Writer
	watchers int       // of a wave
	halt     *flipping // of what they watch
	bystands *flipping // what the stream of writes is about
}

// soak soaks the program for as long as the arguments say. That something grows is an error.
func soak(ctx context.Context, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("bench soak", flag.ExitOnError)
	span := flags.Duration("span", 10*time.Minute, "soak for so long")
	watchers := flags.Int("watchers", 500, "watchers of a wave, at most 2,000")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, err := build(ctx, settings{connections: 1}, stdout)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.directory)
	s, err := b.soaking(ctx, *watchers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	all, err := s.soak(ctx, *span)
	if err != nil {
		return err
	}
	return printSlopes(stdout, *watchers, all)
}

func (b *benchmark) soaking(ctx context.Context, watchers int) (*soaking, error) {
	w, err := b.world(ctx, "W1 watched", watchable(), false)
	if err != nil {
		return nil, err
	}
	address, err := cluster.FreeAddress()
	if err != nil {
		return nil, err
	}
	server, err := b.connect(ctx, func(ctx context.Context) (*process, error) {
		return b.start(ctx, "--store", "sqlite:"+w.record, "--metrics-listen", address)
	})
	if err != nil {
		return nil, err
	}
	s := &soaking{served: server, meter: meter{url: "http://" + address + "/metrics"}, out: b.out, watchers: watchers}
	if s.halt, err = flips(ctx, server.dials[0], "halt", [2]string{workload.App(1), watchedApp}); err == nil {
		s.bystands, err = flips(ctx, server.dials[0], "bystander", [2]string{workload.App(2), workload.App(3)})
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// soak has waves come and go beside a stream of writes, and returns what the server had after each.
func (s *soaking) soak(ctx context.Context, span time.Duration) (all []reading, err error) {
	g, ctx := errgroup.WithContext(ctx)
	writing, stop := context.WithCancel(ctx)
	g.Go(func() error { return s.write(writing) })
	g.Go(func() (err error) {
		defer stop()
		all, err = s.waves(ctx, span)
		return err
	})
	err = g.Wait()
	return all, err
}

// write writes until ctx ends.
func (s *soaking) write(ctx context.Context) error {
	for ctx.Err() == nil {
		err := paced(ctx, perRound, func(int) error { return s.bystands.flip(ctx) })
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (s *soaking) waves(ctx context.Context, span time.Duration) (all []reading, err error) {
	began := time.Now()
	for said := began; time.Since(began) < span; {
		if err := s.wave(ctx); err != nil {
			return nil, fmt.Errorf("wave %d: %w", len(all)+1, err)
		}
		r, err := s.settled(ctx)
		if err != nil {
			return nil, err
		}
		r.at = time.Since(began)
		all = append(all, r)
		if len(all) == 1 || time.Since(said) >= progressEvery {
			said = time.Now()
			fmt.Fprintf(s.out, "%8s of %s, wave %d: %s\n", r.at.Round(time.Second), span, len(all), r)
		}
	}
	return all, nil
}

// wave has watchers come, be told twice, and go: one half cancels, the other loses its connection.
func (s *soaking) wave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, waveWithin)
	defer cancel()
	weak, err := dialSeverable(s.address)
	if err != nil {
		return err
	}
	defer weak.close()
	a := newAudience(io.Discard, s.address, s.watchers, 2)
	g, ctx := errgroup.WithContext(ctx)
	watching, leave := context.WithCancel(ctx)
	defer leave()
	for i := range s.watchers {
		g.Go(func() error {
			if i%2 == 0 {
				return a.watch(watching, s.dials[0], i)
			}
			return weak.watch(ctx, a, i)
		})
	}
	err = s.tell(ctx, a)
	weak.sever()
	leave()
	return errors.Join(g.Wait(), err)
}

// tell has all be told, once they are there.
func (s *soaking) tell(ctx context.Context, a *audience) error {
	if err := waitFor(ctx, &a.synced); err != nil {
		return fmt.Errorf("watchers begin: %w", err)
	}
	for i, t := range a.tellings {
		if err := s.halt.flip(ctx); err != nil {
			return err
		}
		if err := waitFor(ctx, &t.left); err != nil {
			return fmt.Errorf("watchers are told, time %d: %w", i+1, err)
		}
	}
	return nil
}

// waitFor waits for a group, unless ctx ends before.
func waitFor(ctx context.Context, group interface{ Wait() }) error {
	done := make(chan struct{})
	go func() { // ends with the process at last
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settled reads the meter when the server has no fewer goroutines than a moment before, or after a while anyway.
func (s *soaking) settled(ctx context.Context) (reading, error) {
	before, err := s.read(ctx)
	for range 50 {
		if err == nil {
			err = pause(ctx, 100*time.Millisecond)
		}
		if err != nil {
			return before, err
		}
		var now reading
		if now, err = s.read(ctx); err == nil && now.figures[goroutines] >= before.figures[goroutines] {
			return now, nil
		}
		before = now
	}
	return before, err
}

// flipping is a directive that is amended again and again, so that it is about one app and then the other: such writes leave
// nothing behind in the policy.
type flipping struct {
	client    teishiv1.DirectiveServiceClient
	directive *teishiv1.Directive
	apps      [2]string
	flipped   int // times
}

// flips issues the directive, about the first app.
func flips(ctx context.Context, c *grpc.ClientConn, id string, apps [2]string) (*flipping, error) {
	f := &flipping{client: teishiv1.NewDirectiveServiceClient(c), directive: haltOf(id, apps[0]), apps: apps}
	resp, err := f.client.IssueDirective(ctx, &teishiv1.IssueDirectiveRequest{Directive: f.directive, Reason: "to be amended"}, grpc.WaitForReady(true))
	f.directive.EffectiveTime = resp.GetDirective().GetEffectiveTime()
	return f, err
}

func (f *flipping) flip(ctx context.Context) error {
	f.flipped++
	f.directive.Provisions[0].Selector.Targets.In[0].App = f.apps[f.flipped%2]
	_, err := f.client.AmendDirective(ctx, &teishiv1.AmendDirectiveRequest{Directive: f.directive, Reason: "to see what is left of it"})
	return err
}

// gone reports whether the error of a watcher is that its connection is.
func gone(err error) bool { return status.Code(err) == codes.Unavailable }
