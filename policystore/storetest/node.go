package storetest

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// node is a replica that follows a source, and an authority that writes the record.
type node struct {
	t         *testing.T
	log       policystore.Log
	replica   *policystore.Replica
	authority *policystore.Authority
	stop      func() // returns when nothing follows any more
}

// startNode starts a node on a record, which is born if it is empty, and waits until it is ready.
func startNode(t *testing.T, log policystore.Log, source policystore.Source) *node {
	t.Helper()
	if err := policystore.Initialize(contextOf(t), log, Domain, nil); err != nil {
		t.Fatalf("Initialize = %v", err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	n := &node{t: t, log: log}
	n.replica = policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "record", Source: source}}, Domain: Domain, Logger: logger})
	n.authority = policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: n.replica, Logger: logger})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.replica.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	n.stop = func() { cancel(); running.Wait() }
	t.Cleanup(n.stop)
	if err := n.replica.WaitReady(contextOf(t)); err != nil {
		t.Fatalf("WaitReady = %v", err)
	}
	return n
}

// Put is the write of one organization, whose request is named after it.
func Put(organization string) policystore.Write { return put(organization, organization) }

// put is the write of one organization.
func put(request, organization string) policystore.Write {
	return policystore.Write{
		Principal: "local",
		Method:    "teishi.v1.RegistryService/PutOrganization",
		RequestID: request,
		Digest:    policystore.RequestDigest("method", []byte(organization)),
		Reason:    "a test",
		Prepare: func(policystore.View, policy.Instant, policy.Revision) ([]policy.Change, error) {
			return []policy.Change{{Put: &policy.Organization{ID: organization}}}, nil
		},
	}
}

// write makes a write that must succeed.
func (n *node) write(w policystore.Write) policystore.Entry {
	n.t.Helper()
	e, err := n.authority.Write(contextOf(n.t), w)
	if err != nil {
		n.t.Fatalf("Write(%s) = %v", w.RequestID, err)
	}
	return e
}

// view returns what is in force at the revision or later.
func (n *node) view(at policy.Revision) policystore.View {
	n.t.Helper()
	v, err := n.replica.View(contextOf(n.t), policystore.Demand{MinRevision: at})
	if err != nil {
		n.t.Fatalf("View(%d) = %v", at, err)
	}
	return v
}

// wantState checks that the view is what the entries up to its revision fold into.
func wantState(t *testing.T, v policystore.View, entries []policystore.Entry) {
	t.Helper()
	s := policy.New()
	var last policystore.Entry
	for _, e := range entries[:v.Position.Revision] {
		changes, err := e.Changes()
		if err == nil {
			s, err = s.Apply(e.Revision, changes)
		}
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	want, err := policystore.StateHash(Domain, policystore.View{Snapshot: s, Position: last.Position(), Time: last.Time})
	if err != nil {
		t.Fatal(err)
	}
	got, err := policystore.StateHash(Domain, v)
	if err != nil || got != want {
		t.Errorf("the state at %s hashes to %s, %v, want %s", v.Position, got, err, want)
	}
}
