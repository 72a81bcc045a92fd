package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/service"
)

// record is an open record with what follows and writes it.
//
//	sqlite.Log ──▶ Replica ──▶ service
//	     ▲                       │
//	     └────── Authority ◀─────┘
type record struct {
	domain    string
	logger    *slog.Logger
	log       *sqlite.Log
	replica   *policystore.Replica
	authority *policystore.Authority
	stop      context.CancelFunc
	followers errgroup.Group // what runs until stop
}

// openRecord opens the record in a file, makes it if there is none, and returns when its policy is known and FRESH.
func openRecord(ctx context.Context, file, domain string, logger *slog.Logger) (*record, error) {
	log, err := sqlite.Open(ctx, sqlite.Config{Path: file, Domain: domain, Logger: logger})
	if err != nil {
		return nil, err
	}
	r := &record{domain: domain, logger: logger, log: log}
	if err := policystore.Initialize(ctx, log, domain, nil); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	r.follow()
	if err := r.replica.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// follow begins to follow the log.
func (r *record) follow() {
	r.replica = policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: r.log, Record: true}}, Domain: r.domain, Logger: r.logger})
	r.authority = policystore.NewAuthority(policystore.AuthorityConfig{Log: r.log, Replica: r.replica, Logger: r.logger})
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background()) // it is Close that ends it, after all else
	r.followers.Go(func() error { return r.replica.Run(ctx) })
	r.followers.Go(func() error { return r.authority.KeepCheckpoints(ctx) })
}

// Close returns when nothing follows the log any more and it is closed.
func (r *record) Close() error {
	r.stop()
	return errors.Join(r.followers.Wait(), r.log.Close())
}

// load writes a world into a record that has only its birth.
func (r *record) load(ctx context.Context, w *world) error {
	_, err := policystore.Load(ctx, r.authority, w.name, w.changes)
	return w.blame(err)
}

// server returns what answers from the record.
func (r *record) server() *service.Server {
	return service.New(service.Config{
		Authority: r.authority,
		Replica:   r.replica,
		History:   policystore.NewHistory(r.log, r.domain),
		Log:       r.log,
		Domain:    r.domain,
		Version:   version(),
		Logger:    r.logger,
	})
}

// openTemporary opens a new record in a temporary file, which Close of the second result removes.
func openTemporary(ctx context.Context, domain string, logger *slog.Logger) (*record, func() error, error) {
	directory, err := os.MkdirTemp("", "teishi-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	remove := func() error { return os.RemoveAll(directory) }
	r, err := openRecord(ctx, filepath.Join(directory, "teishi.db"), domain, logger)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return r, func() error { return errors.Join(r.Close(), remove()) }, nil
}
