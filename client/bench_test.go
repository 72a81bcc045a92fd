package client_test

import (
	"testing"

	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// BenchmarkLocal compares a decision in this process with what the engine takes alone.
func BenchmarkLocal(b *testing.B) {
	h := open(b)
	h.settle()
	after := h.suspend()
	l := local(b, h.address, client.Config{})
	for name, q := range map[string]client.Query{"denied": mic, "allowed": city, "obliged": public} {
		q.MinRevision = after
		if _, err := l.Check(b.Context(), q); err != nil {
			b.Fatal(err)
		}
		q.MinRevision = 0
		b.Run("Check/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := l.Check(b.Context(), q); err != nil || d.Allowed() == (name == "denied") {
					b.Fatal(d, err)
				}
			}
		})
		b.Run("Decide/"+name, func(b *testing.B) { h.decides(b, q) })
	}
}

// decides measures the engine.
func (h *house) decides(b *testing.B, q client.Query) {
	v, err := h.replica.View(b.Context(), policystore.Demand{})
	h.must(err)
	b.ReportAllocs()
	for b.Loop() {
		resolved := v.Resolve(policy.Query{Organization: q.Organization, App: q.App, Purpose: q.Purpose, Attributes: q.Attributes, At: v.Time})
		if d := v.Decide(&resolved); d.Outcome == 0 {
			b.Fatal("nothing was decided")
		}
	}
}

// BenchmarkLocalParallel asks from every processor at a time.
func BenchmarkLocalParallel(b *testing.B) {
	h := open(b)
	h.settle()
	h.suspend()
	l := local(b, h.address, client.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Check(b.Context(), mic); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRemote asks a server on the loopback, and what is kept.
func BenchmarkRemote(b *testing.B) {
	h := open(b)
	h.settle()
	h.suspend()
	for name, c := range map[string]client.Config{"asked": {}, "kept": {Cache: 10}} {
		r := remote(b, h.address, c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := r.Check(b.Context(), mic); err != nil || d.Allowed() {
					b.Fatal(d, err)
				}
			}
		})
	}
}
