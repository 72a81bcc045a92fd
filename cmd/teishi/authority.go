package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/service"
)

// keep makes the node an authority.
func (n *node) keep(ctx context.Context, c *serveConfig) error {
	setting := *c.store
	if setting.temporary() {
		directory, err := os.MkdirTemp("", "teishi-")
		if err != nil {
			return fmt.Errorf("make a temporary directory: %w", err)
		}
		n.closers = append(n.closers, func() error { return os.RemoveAll(directory) })
		setting.file = filepath.Join(directory, "teishi.db")
	}
	log, err := setting.open(ctx, n.id, false, n.logger)
	if err != nil {
		return fmt.Errorf("%s: %w", named("store"), err)
	}
	n.closers = append(n.closers, log.Close)
	n.source = setting.where()
	n.replicate(c, []policystore.Origin{{Name: setting.kind, Setting: named("store"), Source: log, Record: true}})
	authority := policystore.NewAuthority(policystore.AuthorityConfig{
		Log: log, Replica: n.replica, Name: n.id, Signer: c.signer, Metrics: n.metrics, Logger: n.logger,
	})
	fleet := policystore.NewFleet(log, authority)
	n.record = &service.Record{Authority: authority, History: policystore.NewHistory(log, c.domain), Log: log, Fleet: fleet}
	n.reporters = []policystore.Reporter{fleet}
	n.loops = append(n.loops, authority.Run, fleet.Run)
	if err := n.publish(c, log, authority); err != nil {
		return err
	}
	if setting.postgres == nil {
		return policystore.Initialize(ctx, log, c.domain, c.signer)
	}
	n.begin = func(ctx context.Context) error { return n.bear(ctx, log, c.signer) }
	return nil
}

// publish has what is written published to Redis, if the settings say so. Until Redis was looked at, nobody knows whether it
// holds more than the record does.
func (n *node) publish(c *serveConfig, log store, authority *policystore.Authority) error {
	if c.publish == nil {
		return nil
	}
	publisher, err := redis.NewPublisher(redis.PublisherConfig{
		Config: *c.publish,
		Record: log,
		Source: authority,
		Trust:  c.trust.trusted(),
		Doubt:  func(err error) { authority.Doubt("redis", err) },
		Observer: redis.Observer{
			Published: n.metrics.Published,
			Lag:       n.metrics.PublishLag,
			Trouble:   n.metrics.PublishTrouble,
			Happened:  func(h redis.Happening) { n.metrics.PublishHappened(string(h)) },
		},
	})
	if err != nil {
		return err
	}
	authority.Doubt("redis", policystore.ErrNotLooked)
	n.loops = append(n.loops, publisher.Run)
	if c.trust == nil {
		n.logger.Warn("Redis is trusted: without --trust-keys (TEISHI_TRUST_KEYS) what it holds is believed if it is consistent")
	}
	return nil
}

// A checker is a store whose server may not be there yet, or not as it must be.
type checker interface{ Check(context.Context) error }

const (
	minCheck = 200 * time.Millisecond
	maxCheck = 10 * time.Second
	sayAgain = time.Minute // what goes on is said again: somebody may look at the last lines only
)

// bear waits until the record is at hand, which a server that is starting, failing over or set up wrongly may keep it from,
// and writes its first entry if there is none.
func (n *node) bear(ctx context.Context, log store, signer *policystore.Signer) error {
	said, saidAt := "", time.Time{}
	for retry := minCheck; ctx.Err() == nil; retry = min(2*retry, maxCheck) {
		err := n.bearOnce(ctx, log, signer)
		if err == nil {
			return nil
		}
		if (err.Error() != said || time.Since(saidAt) > sayAgain) && ctx.Err() == nil {
			said, saidAt = err.Error(), time.Now()
			n.logger.Error("waiting for the record: "+named("store"), slog.Any("error", err), slog.Duration("retry", maxCheck))
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func (n *node) bearOnce(ctx context.Context, log store, signer *policystore.Signer) error {
	if c, ok := log.(checker); ok {
		if err := c.Check(ctx); err != nil {
			return err
		}
	}
	return policystore.Initialize(ctx, log, n.domain, signer)
}

// settled waits until it is known whether Redis holds more than the record does.
func (n *node) settled(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for errors.Is(n.record.Authority.Doubted(), policystore.ErrNotLooked) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// load writes a world into a record that has only its birth.
func (n *node) load(ctx context.Context, w *world) error {
	_, err := policystore.Load(ctx, n.record.Authority, w.name, w.changes)
	return w.blame(err)
}
