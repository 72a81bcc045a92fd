package policystore_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
	"github.com/teishi-dev/teishi/policystore"
)

// worlds are the workloads of the benchmarks, as views at some place of a record.
func worlds(b *testing.B, run func(b *testing.B, v policystore.View)) {
	for _, w := range []struct {
		name string
		make func() workload.World
	}{{"W1", workload.W1}, {"W2", workload.W2}} {
		b.Run(w.name, func(b *testing.B) {
			s, err := policy.New().Apply(7, w.make().Changes)
			if err != nil {
				b.Fatal(err)
			}
			run(b, policystore.View{Snapshot: s, Position: policystore.Position{Epoch: 1, Revision: 7}, Time: workload.Now})
		})
	}
}

// BenchmarkRestore is a start from a checkpoint: what is stored, verified, decoded and indexed.
func BenchmarkRestore(b *testing.B) {
	worlds(b, func(b *testing.B, v policystore.View) {
		c, err := policystore.NewCheckpoint(domain, v)
		if err != nil {
			b.Fatal(err)
		}
		p := v.Position
		v = policystore.View{}
		runtime.GC()
		for b.Loop() {
			r := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "script", Source: &script{events: proofOf(p), stored: &c}}}, Domain: domain})
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- r.Run(ctx) }()
			if err := r.WaitReady(b.Context()); err != nil {
				b.Fatal(err)
			}
			cancel()
			<-ended
		}
		b.ReportMetric(float64(len(c.Body))/(1<<20), "MiB/checkpoint")
	})
}

// proofOf returns the script of a source that proves one position.
func proofOf(p policystore.Position) chan step {
	events := make(chan step, 1)
	h := &policystore.HeadProof{Domain: domain, Position: p, Authority: "a", IssuedTime: time.Now()}
	events <- step{event: policystore.Event{Head: h}}
	return events
}

// BenchmarkCheckpoint is what storing a checkpoint costs, but for the disk.
func BenchmarkCheckpoint(b *testing.B) {
	worlds(b, func(b *testing.B, v policystore.View) {
		for b.Loop() {
			if _, err := policystore.NewCheckpoint(domain, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkView is what a decision pays for its snapshot.
func BenchmarkView(b *testing.B) {
	r := readyReplica(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.View(b.Context(), policystore.Demand{}); err != nil {
			b.Fatal(err)
		}
	}
}

// readyReplica returns a replica of a record of one entry.
func readyReplica(tb testing.TB) *policystore.Replica {
	tb.Helper()
	payload, err := policystore.EncodeChanges([]policy.Change{{Put: &policy.Organization{ID: "o"}}})
	if err != nil {
		tb.Fatal(err)
	}
	e := follower(policystore.Entry{Epoch: 1}, payload)
	events := make(chan step, 2)
	events <- step{event: policystore.Event{Entry: &e}}
	events <- <-proofOf(e.Position())
	r := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "script", Source: &script{events: events}}}, Domain: domain})
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-ended })
	if err := r.WaitReady(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestViewAllocatesNothing(t *testing.T) {
	r := readyReplica(t)
	d := policystore.Demand{MinRevision: 1, Epoch: 1, MaxStaleness: time.Minute}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := r.View(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("View allocates %v times", n)
	}
}
