//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore/redis"
)

const (
	authorities    = 2
	decisionPoints = 3
	// domain is the name of the record.
	domain = "teishi"
	// example is the world that the record begins with.
	example = "line-2021"
)

// site is everything that runs.
type site struct {
	cluster  *cluster.Cluster
	binary   string
	database string // its DSN, with the password
	postgres *cluster.Postgres
	redis    *cluster.Redis
	teishis  []*teishi // the authorities, then the decision points
	servers  []server  // all, in the order of their start

	mu  sync.Mutex
	out io.Writer
}

// teishi is an authority or a decision point.
type teishi struct {
	*cluster.Teishi
	metrics string // HOST:PORT
}

// server is what all servers have in common.
type server interface {
	Name() string
	Addr() string
	PID() int
	Start(context.Context) error
	Stop() error
	Kill() error
	Pause() error
	Resume() error
}

// start starts the site from the bottom up and says so step by step.
func (s *site) start(ctx context.Context) error {
	for _, step := range []struct {
		done string
		do   func(context.Context) error
	}{
		{"teishi is built", s.build},
		{"PostgreSQL answers", s.startPostgres},
		{"Redis answers", s.startRedis},
		{"the tables of the record are made", s.migrate},
		{"authority-1 serves the example " + example, s.startFirst},
		{"the other authority and the decision points are ready", s.startOthers},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return err
		}
		s.say("%5.1fs  %s\n", time.Since(began).Seconds(), step.done)
	}
	return nil
}

func (s *site) build(ctx context.Context) (err error) {
	s.binary, err = s.cluster.Build(ctx, cluster.Build{})
	return err
}

func (s *site) startPostgres(ctx context.Context) (err error) {
	if s.postgres, err = s.cluster.StartPostgres(ctx, cluster.PostgresConfig{}); err != nil {
		return err
	}
	s.servers = append(s.servers, s.postgres)
	database, err := s.postgres.CreateDatabase(ctx)
	s.database = s.postgres.DSN(database)
	return err
}

// startRedis starts a Redis that has the users which teishi redis acl prints, and no others.
func (s *site) startRedis(ctx context.Context) (err error) {
	var users []cluster.RedisUser
	for _, u := range redis.ServerUsers(domain) {
		users = append(users, cluster.RedisUser{Name: u.Name, Password: rand.Text(), Rules: u.Rules})
	}
	if s.redis, err = s.cluster.StartRedis(ctx, cluster.RedisConfig{Persist: true, Users: users}); err != nil {
		return err
	}
	s.servers = append(s.servers, s.redis)
	return nil
}

func (s *site) migrate(ctx context.Context) error {
	_, err := s.cluster.RunTeishi(ctx, cluster.TeishiConfig{Binary: s.binary, Args: []string{"migrate"}, Env: []string{"TEISHI_STORE=" + s.database}})
	return err
}

func (s *site) startFirst(ctx context.Context) error {
	t, err := s.startAuthority(ctx, 1, "--example", example)
	if err != nil {
		return err
	}
	loaded := "the example " + example
	if err := errors.Join(t.Ready(ctx), cluster.Wait(ctx, t.Name()+" to serve "+loaded, func(context.Context) error {
		if log := t.Log(); !strings.Contains(log, loaded) {
			return errors.New(log)
		}
		return nil
	})); err != nil {
		return err
	}
	config := t.Config()
	config.Args = config.Args[:len(config.Args)-2] // the record is no longer new when it is started again
	t.Configure(config)
	return nil
}

// startOthers starts the rest, all at a time.
func (s *site) startOthers(ctx context.Context) error {
	for n := 2; n <= authorities; n++ {
		if _, err := s.startAuthority(ctx, n); err != nil {
			return err
		}
	}
	follow := []string{s.redis.URL(redis.Reader)}
	for _, authority := range s.teishis {
		follow = append(follow, "grpc://"+authority.Addr())
	}
	for n := 1; n <= decisionPoints; n++ {
		if _, err := s.startTeishi(ctx, fmt.Sprintf("decision-%d", n), []string{"TEISHI_FOLLOW=" + strings.Join(follow, ",")}); err != nil {
			return err
		}
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, t := range s.teishis {
		all.Go(func() error { return t.Ready(ctx) })
	}
	return all.Wait()
}

func (s *site) startAuthority(ctx context.Context, n int, args ...string) (*teishi, error) {
	return s.startTeishi(ctx, fmt.Sprintf("authority-%d", n), []string{"TEISHI_STORE=" + s.database, "TEISHI_REDIS=" + s.redis.URL(redis.Writer)}, args...)
}

// startTeishi starts a server of ours. What holds passwords is in its environment, where others do not see it.
func (s *site) startTeishi(ctx context.Context, name string, env []string, args ...string) (*teishi, error) {
	metrics, err := cluster.FreeAddress()
	if err != nil {
		return nil, err
	}
	args = append([]string{"serve", "--id", name, "--metrics-listen", metrics}, args...)
	t, err := s.cluster.StartTeishi(ctx, cluster.TeishiConfig{Binary: s.binary, Name: name, Args: args, Env: env})
	if err != nil {
		return nil, err
	}
	started := &teishi{t, metrics}
	s.teishis = append(s.teishis, started)
	s.servers = append(s.servers, started)
	return started, nil
}

// stop ends what runs, in order: ours first, all at a time, so that they can say good-bye to those they depend on.
func (s *site) stop() error {
	s.say("\nstopping\n")
	var ours errgroup.Group
	for _, t := range s.teishis {
		ours.Go(func() error { return stop(t) })
	}
	err := errors.Join(ours.Wait(), stop(s.redis), stop(s.postgres))
	s.say("everything has ended\n")
	return err
}

// stop ends a server, unless it has ended already.
func stop(s server) error {
	if s.PID() == 0 {
		return nil
	}
	return s.Stop()
}

// say prints something, whoever else prints.
func (s *site) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format, args...)
}
