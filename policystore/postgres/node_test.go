//go:build linux

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// node is an authority over a record, with its replica.
type node struct {
	log       *postgres.Log
	replica   *policystore.Replica
	authority *policystore.Authority
}

// serve starts an authority over a record until the test ends, and returns when it is ready.
func serve(t testing.TB, c postgres.Config) *node {
	t.Helper()
	n := &node{log: open(t, c)}
	if err := policystore.Initialize(t.Context(), n.log, postgres.DefaultDomain, nil); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	n.replica = policystore.NewReplica(policystore.ReplicaConfig{
		Origins: []policystore.Origin{{Name: "record", Source: n.log}}, Domain: postgres.DefaultDomain, Logger: logger})
	n.authority = policystore.NewAuthority(policystore.AuthorityConfig{Log: n.log, Replica: n.replica, Logger: logger})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- n.replica.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	if err := n.replica.WaitReady(watchdog(t)); err != nil {
		t.Fatal(err)
	}
	return n
}

// watchdog returns a context that ends a test that hangs.
func watchdog(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Watchdog)
	t.Cleanup(cancel)
	return ctx
}

// write makes a write that must succeed.
func (n *node) write(t testing.TB, id string) policystore.Entry {
	t.Helper()
	e, err := n.authority.Write(watchdog(t), storetest.Put(id))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// insist writes as clients do: again, if others wrote first every time.
func (n *node) insist(ctx context.Context, w policystore.Write) error {
	for {
		if _, err := n.authority.Write(ctx, w); !errors.Is(err, policystore.ErrContention) {
			return err
		}
	}
}

// view returns what is in force at the revision or later.
func (n *node) view(t testing.TB, at policy.Revision) policystore.View {
	t.Helper()
	var v policystore.View
	err := cluster.Wait(t.Context(), fmt.Sprintf("revision %d to be in force", at), func(ctx context.Context) (err error) {
		v, err = n.replica.View(ctx, policystore.Demand{MinRevision: at})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// checkpoint stores what is in force.
func (n *node) checkpoint(t testing.TB) {
	t.Helper()
	v, err := n.replica.View(t.Context(), policystore.Demand{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := policystore.NewCheckpoint(postgres.DefaultDomain, v)
	if err == nil {
		err = n.log.StoreCheckpoint(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// wantVerified checks that the record is one history of so many entries.
func wantVerified(t testing.TB, log policystore.Log, entries int64) {
	t.Helper()
	v, err := policystore.Verify(watchdog(t), log, postgres.DefaultDomain, policystore.Evidence{}, nil)
	if err != nil || v.Problem != "" || v.Entries != entries {
		t.Errorf("Verify = %+v, %v, want %d entries", v, err, entries)
	}
}

// follower returns an entry after p, which need not be folded.
func follower(p policystore.Position, request string, payload []byte) policystore.Entry {
	e := policystore.Entry{
		Epoch: max(1, p.Epoch), Revision: p.Revision + 1, Principal: "writer", RequestID: request,
		Reason: "a test", Payload: payload, PreviousHash: p.Hash,
	}
	e.Hash = e.Sum(postgres.DefaultDomain)
	return e
}
