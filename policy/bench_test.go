package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
)

// foldWorld returns the policy that the changes fold into.
func foldWorld(tb testing.TB, changes []policy.Change) *policy.Snapshot {
	tb.Helper()
	s, err := policy.New().Apply(1, changes)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// decideEach measures Decide over the queries, resolved beforehand: the mean of going through them in turn, and the
// median over the queries of asking each for a while.
func decideEach(b *testing.B, s *policy.Snapshot, queries []policy.Query) {
	resolved := make([]policy.Resolved, len(queries))
	for i, q := range queries {
		resolved[i] = s.Resolve(q)
	}
	outcomes := map[policy.Outcome]int{}
	for i := range resolved {
		d := s.Decide(&resolved[i])
		outcomes[d.Outcome]++
	}
	b.Logf("answers: %v", outcomes)
	b.ReportAllocs()
	var i int
	for b.Loop() {
		d := s.Decide(&resolved[i%len(resolved)])
		if d.Outcome == 0 {
			b.Fatal("no outcome")
		}
		i++
	}
	b.ReportMetric(medianOf(s, resolved), "median-ns")
}

// medianOf returns the median over the queries of the nanoseconds that Decide takes.
func medianOf(s *policy.Snapshot, queries []policy.Resolved) float64 {
	const times = 200
	each := make([]float64, len(queries))
	for i := range queries {
		began := time.Now()
		for range times {
			s.Decide(&queries[i])
		}
		each[i] = float64(time.Since(began).Nanoseconds()) / times
	}
	slices.Sort(each)
	return each[len(each)/2]
}

func BenchmarkDecide(b *testing.B) {
	b.Run("W1", func(b *testing.B) {
		w := workload.W1()
		decideEach(b, foldWorld(b, w.Changes), w.Queries)
	})
	b.Run("W2", func(b *testing.B) {
		w := workload.W2()
		decideEach(b, foldWorld(b, w.Changes), w.Queries)
	})
}

func BenchmarkResolve(b *testing.B) {
	w := workload.W1()
	s := foldWorld(b, w.Changes)
	for attributes, name := range []string{"attributes=0", "attributes=1", "attributes=2"} {
		b.Run(name, func(b *testing.B) {
			queries := make([]policy.Query, len(w.Queries))
			for i, q := range w.Queries {
				queries[i] = q
				queries[i].Attributes = map[string]string{}
				for name, value := range q.Attributes {
					if len(queries[i].Attributes) < attributes {
						queries[i].Attributes[name] = value
					}
				}
			}
			b.ReportAllocs()
			var i int
			for b.Loop() {
				r := s.Resolve(queries[i%len(queries)])
				if r.Unrecognized != nil {
					b.Fatal("unrecognized")
				}
				i++
			}
		})
	}
}
