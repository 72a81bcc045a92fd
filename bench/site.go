//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/teishi-dev/teishi/cluster"
)

// site is a Redis and the authority that publishes its record there.
type site struct {
	*cluster.Cluster
	binary    string
	redis     *cluster.Redis
	authority *cluster.Teishi
}

// site starts a Redis, and an authority of the record in the file. Close ends them; they end with this process anyway.
func (b *benchmark) site(ctx context.Context, record string) (*site, error) {
	c, err := cluster.New(cluster.Config{})
	if err != nil {
		return nil, err
	}
	s := &site{Cluster: c, binary: b.teishi}
	if err := s.start(ctx, record); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

func (s *site) start(ctx context.Context, record string) (err error) {
	if s.redis, err = s.StartRedis(ctx, cluster.RedisConfig{}); err != nil {
		return err
	}
	if s.authority, err = s.serve(ctx, "authority", "--store", "sqlite:"+record, "--redis", s.redis.URL("")); err != nil {
		return err
	}
	if err := s.authority.Ready(ctx); err != nil {
		return err
	}
	return cluster.Wait(ctx, "the record to be published", func(ctx context.Context) error {
		there, err := s.redis.CLI(ctx, "EXISTS", publishedLog)
		if err == nil && there != "1\n" {
			err = errors.New("there is nothing in Redis")
		}
		return err
	})
}

// publishedLog is the stream that an authority publishes its entries to.
const publishedLog = "{teishi:teishi}:log"

// serve starts a server of the site.
func (s *site) serve(ctx context.Context, name string, args ...string) (*cluster.Teishi, error) {
	args = append([]string{"serve", "--id", name, "--lame-duck", "0s", "--log-level", "error"}, args...)
	return s.StartTeishi(ctx, cluster.TeishiConfig{Binary: s.binary, Name: name, Args: args})
}

// follow starts decision points that follow the URL, and returns when all of them can answer. They end with the site, unless
// they are stopped before.
func (s *site) follow(ctx context.Context, url string) (all decisionPoints, err error) {
	for i := range points {
		t, err := s.serve(ctx, fmt.Sprintf("decision-%d", i+1), "--follow", url)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	for _, t := range all {
		if err := t.Ready(ctx); err != nil {
			return nil, err
		}
	}
	return all, nil
}

type decisionPoints []*cluster.Teishi

func (all decisionPoints) stop() error {
	var errs []error
	for _, t := range all {
		errs = append(errs, t.Stop())
	}
	return errors.Join(errs...)
}

// paced does something so many times, at the pace of the stream of writes, or of what takes longer.
func paced(ctx context.Context, times int, do func(i int) error) error {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for i := range times {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// hasRedis reports whether there is a Redis to measure with, and says loudly if there is none.
func (b *benchmark) hasRedis() bool {
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(b.out, "SKIPPED: nothing that needs Redis is measured, for %s is missing; on Debian: apt install redis-server\n\n", program)
			return false
		}
	}
	return true
}
