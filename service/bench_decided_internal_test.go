package service

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// BenchmarkDecisionLog is what it costs to write every answer down, in the world W1: an answer is made, encoded, and told to a log
// that is off, drops, or blocks, by many callers at once. cpu-ns/op is processor time, the writer's included, and /off how many times
// as much as without a log.
func BenchmarkDecisionLog(b *testing.B) {
	w := workload.W1()
	snapshot, err := policy.New().Apply(1, w.Changes)
	if err != nil {
		b.Fatal(err)
	}
	view := policystore.View{Snapshot: snapshot, Position: policystore.Position{Epoch: 1, Revision: 1},
		Freshness: policystore.Freshness{State: policystore.Fresh, Age: 300 * time.Millisecond, Source: "sqlite"}}
	requests := make([]*teishiv1.CheckRequest, len(w.Queries))
	for i, q := range w.Queries {
		requests[i] = &teishiv1.CheckRequest{Organization: q.Organization, App: q.App, Purpose: q.Purpose, Attributes: q.Attributes}
	}
	var off float64
	for _, mode := range []string{"off", "drop", "block"} {
		b.Run(mode, func(b *testing.B) {
			s := New(Config{Decisions: benchmarkLog(b, mode), Clock: func() (time.Time, []time.Time) { return workload.Now.Time(), nil }})
			b.ReportAllocs()
			b.SetParallelism(32)
			before := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					s.benchmarkTold(b, &view, requests[i%len(requests)])
				}
			})
			each := float64(processorTime(b)-before) / float64(b.N)
			if mode == "off" {
				off = each
			}
			b.ReportMetric(each, "cpu-ns/op")
			b.ReportMetric(each/off, "/off")
		})
	}
}

// benchmarkLog returns a log of all that is answered, to a file; nil if it is off.
func benchmarkLog(b *testing.B, mode string) *decisionlog.Log {
	if mode == "off" {
		return nil
	}
	sink, err := decisionlog.File(filepath.Join(b.TempDir(), "decisions.json"))
	if err != nil {
		b.Fatal(err)
	}
	l := decisionlog.New(decisionlog.Config{Sink: sink, Replica: "replica-1", Allowed: 1, Block: mode == "block"})
	b.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return l
}

// processorTime returns how long processors have worked for this process.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// benchmarkTold answers a question and tells the answer, as check does with a view of its own.
func (s *Server) benchmarkTold(b *testing.B, v *policystore.View, req *teishiv1.CheckRequest) {
	resp, err := checkIn(v, req, s.moment())
	if err != nil {
		b.Error(err)
		return
	}
	telling := s.tells(teishiv1.DecisionService_Check_FullMethodName)
	telling.add(b.Context(), req, resp)
	if err := telling.logged(b.Context()); err != nil {
		b.Error(err)
	}
	if _, err := proto.Marshal(resp); err != nil {
		b.Error(err)
	}
}
