//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
)

// perEntry is how many changes an entry is first tried with; fewer if they are too large.
const perEntry = 8192

// writeRecord writes the world into a new record in the file, split into entries as an import is, with or without a
// checkpoint of it at the end, and returns its policy.
func writeRecord(ctx context.Context, file string, changes []policy.Change, checkpoint bool) (_ *policy.Snapshot, err error) {
	log, err := sqlite.Open(ctx, sqlite.Config{Path: file})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := policystore.Initialize(ctx, log, sqlite.DefaultDomain, nil); err != nil {
		return nil, err
	}
	replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: log, Record: true}}, Domain: sqlite.DefaultDomain})
	ctx, stop := context.WithCancel(ctx)
	var following errgroup.Group
	following.Go(func() error { return replica.Run(ctx) })
	defer following.Wait()
	defer stop()
	if err := replica.WaitReady(ctx); err != nil {
		return nil, err
	}
	if err := writeAll(ctx, policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: replica}), unborn(changes)); err != nil {
		return nil, err
	}
	view, err := replica.View(ctx, policystore.Demand{})
	if err != nil || !checkpoint {
		return view.Snapshot, err
	}
	return view.Snapshot, storeCheckpoint(ctx, log, view)
}

// unborn leaves out what the first entry of every record registers.
func unborn(changes []policy.Change) []policy.Change {
	born := make(map[policy.Key]bool)
	for _, c := range policy.Birth() {
		born[c.Key()] = true
	}
	var rest []policy.Change
	for _, c := range changes {
		if !born[c.Key()] {
			rest = append(rest, c)
		}
	}
	return rest
}

// writeAll writes the changes in as few entries as they fit in.
func writeAll(ctx context.Context, a *policystore.Authority, changes []policy.Change) error {
	n := perEntry
	for i := 1; len(changes) > 0; {
		slice := changes[:min(n, len(changes))]
		_, err := a.Write(ctx, policystore.Write{
			Principal: "bench",
			Method:    "load",
			RequestID: fmt.Sprintf("world/%d", i),
			Reason:    "a world to measure",
			Prepare: func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) {
				return slice, nil
			},
		})
		if large, ok := errors.AsType[*policystore.EntryTooLargeError](err); ok && large.Fit > 0 {
			n = large.Fit
			continue
		}
		if err != nil {
			return fmt.Errorf("write entry %d of the world: %w", i, err)
		}
		changes, i, n = changes[len(slice):], i+1, perEntry
	}
	return nil
}

func storeCheckpoint(ctx context.Context, log *sqlite.Log, view policystore.View) error {
	c, err := policystore.NewCheckpoint(sqlite.DefaultDomain, view)
	if err != nil {
		return err
	}
	return log.StoreCheckpoint(ctx, c)
}
