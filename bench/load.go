//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// served is a server and connections to it.
type served struct {
	*process
	dials []*grpc.ClientConn
}

func (s *served) stop() error {
	hangUp(s.dials)
	return s.process.stop()
}

// side is a server under load and how each caller asks it.
type side struct {
	*served
	ask asking
}

// asking has one caller ask until the end, from the question of that number on, and returns how long each answer took.
type asking func(ctx context.Context, c *grpc.ClientConn, first int, end time.Time) ([]time.Duration, error)

// sample is what one drive of a server came to.
type sample struct {
	calls    int
	elapsed  time.Duration
	cpu      time.Duration // of the server
	p50, p99 time.Duration
}

func (s sample) cpuPerCall() float64 { return float64(s.cpu) / float64(s.calls) }
func (s sample) perSecond() float64  { return float64(s.calls) / s.elapsed.Seconds() }

// dial returns connections to the server, in plaintext unless an option says otherwise.
func dial(address string, n int, options ...grpc.DialOption) ([]*grpc.ClientConn, error) {
	again := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Millisecond, MaxDelay: time.Millisecond}, MinConnectTimeout: time.Second}
	usual := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(again)}
	var all []*grpc.ClientConn
	for range n {
		c, err := grpc.NewClient(address, append(usual, options...)...)
		if err != nil {
			hangUp(all)
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func hangUp(all []*grpc.ClientConn) {
	for _, c := range all {
		c.Close()
	}
}

// drive has so many callers ask the server for the span. They begin at places of their own among the questions.
func (s *side) drive(ctx context.Context, callers int, span time.Duration) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	var calling sync.WaitGroup
	began := time.Now()
	for c := range callers {
		calling.Go(func() {
			took[c], errs[c] = s.ask(ctx, s.dials[c%len(s.dials)], c*37, began.Add(span))
			if errs[c] != nil {
				cancel()
			}
		})
	}
	calling.Wait()
	elapsed := time.Since(began)
	after, err := s.cpu()
	if err := errors.Join(append(errs, err)...); err != nil {
		return sample{}, err
	}
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(all) == 0 {
		return sample{}, fmt.Errorf("no call was made in %s", span)
	}
	return sample{len(all), elapsed, after - before, quantile(all, 0.50), quantile(all, 0.99)}, nil
}

// oneByOne makes one call after the other: the i-th of endless ones.
func oneByOne(call func(ctx context.Context, c *grpc.ClientConn, i int) error) asking {
	return func(ctx context.Context, c *grpc.ClientConn, first int, end time.Time) ([]time.Duration, error) {
		took := make([]time.Duration, 0, 1<<12)
		for i, now := first, time.Now(); now.Before(end); i++ {
			if err := call(ctx, c, i); err != nil {
				return nil, err
			}
			next := time.Now()
			took, now = append(took, next.Sub(now)), next
		}
		return took, nil
	}
}

// quantile returns the q-quantile of what is sorted and not empty.
func quantile[T any](sorted []T, q float64) T {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
