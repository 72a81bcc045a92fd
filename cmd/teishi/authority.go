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
	if setting.postgres == nil && c.publish == nil {
		return policystore.Initialize(ctx, log, c.domain, c.signer)
	}
	n.loops = append(n.loops, func(ctx context.Context) error { return n.bear(ctx, log, c.signer) })
	if setting.postgres != nil {
		authority.Doubt(byStore, errNotChecked)
		n.begin = func(ctx context.Context) error { return n.reach(ctx, log) }
	}
	return nil
}

const byStore = "store"

// errNotChecked is the doubt of a start, while the database may not be one that can keep a record.
var errNotChecked = fmt.Errorf("the store was not seen to be as it must be yet: %w", policystore.ErrNotLooked)

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

// reach waits until the record is at hand, which a server that is starting, failing over or set up wrongly may keep it from.
func (n *node) reach(ctx context.Context, log store) error {
	err := n.patiently(ctx, "waiting for the record: "+named("store"), func() error {
		if c, ok := log.(checker); ok {
			return c.Check(ctx)
		}
		return nil
	})
	if err == nil {
		n.record.Authority.Doubt(byStore, nil)
	}
	return err
}

// bear writes the first entry of a record that has none, once nobody shows that it had any: what is missing could not be
// brought back after that.
func (n *node) bear(ctx context.Context, log store, signer *policystore.Signer) error {
	if err := n.settled(ctx); err != nil {
		return err
	}
	return n.patiently(ctx, "the record is empty, and does not begin anew", func() error {
		head, err := log.Head(ctx)
		if err != nil || head.Revision > 0 {
			return err
		}
		if err := n.record.Authority.Doubted(); err != nil {
			return err
		}
		if n.known.Revision > 0 {
			return fmt.Errorf("%w: %s has it up to %d", policystore.ErrRewound, named("local-checkpoint"), n.known.Revision)
		}
		return policystore.Initialize(ctx, log, n.domain, signer)
	})
}

// patiently does something again and again until it succeeds or ctx ends, and says what keeps it from that.
func (n *node) patiently(ctx context.Context, what string, do func() error) error {
	said, saidAt := "", time.Time{}
	for retry := minCheck; ctx.Err() == nil; retry = min(2*retry, maxCheck) {
		err := do()
		if err == nil {
			return nil
		}
		if (err.Error() != said || time.Since(saidAt) > sayAgain) && ctx.Err() == nil {
			said, saidAt = err.Error(), time.Now()
			n.logger.Error(what, slog.Any("error", err), slog.Duration("retry", maxCheck))
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
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

// bootstrap makes a principal the administrator of a record that has none, if one is named, and says so where nobody can grant
// anything.
func (n *node) bootstrap(ctx context.Context, principal string) error {
	if n.record == nil || principal == "" && (n.identity == nil || !n.identity.Knows()) {
		return nil
	}
	if principal == "" {
		v, err := n.replica.View(ctx, policystore.Demand{})
		if err == nil && !v.Administered() {
			n.logger.Warn("nobody may do anything: the record has no administrator, and --bootstrap-admin (TEISHI_BOOTSTRAP_ADMIN) names none")
		}
		return err
	}
	return n.patiently(ctx, "the first administrator is not granted yet", func() error {
		done, err := policystore.Bootstrap(ctx, n.record.Authority, principal)
		switch {
		case err == nil && done:
			n.logger.Info("the first administrator is granted", slog.String("principal", principal))
		case err == nil:
			n.logger.Info("nobody is made administrator: the record has one, and --bootstrap-admin (TEISHI_BOOTSTRAP_ADMIN) is for one that has none", slog.String("principal", principal))
		}
		return err
	})
}

// load writes a world into a record that has only its birth.
func (n *node) load(ctx context.Context, w *world) error {
	_, err := policystore.Load(ctx, n.record.Authority, w.name, w.changes)
	return w.blame(err)
}
