package service

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
	"github.com/teishi-dev/teishi/policystore"
)

// BenchmarkCheck is what Check costs above the transport, in the world W1: to decode the question, to go through the chain
// and to encode the answer.
func BenchmarkCheck(b *testing.B) {
	w := workload.W1()
	snapshot, err := policy.New().Apply(1, w.Changes)
	if err != nil {
		b.Fatal(err)
	}
	s := New(Config{Clock: func() (time.Time, []time.Time) { return workload.Now.Time(), nil }})
	view := policystore.View{Snapshot: snapshot, Position: policystore.Position{Epoch: 1, Revision: 1},
		Freshness: policystore.Freshness{State: policystore.Fresh, Age: 300 * time.Millisecond, Source: "sqlite"}}
	questions := make([][]byte, len(w.Queries))
	for i, q := range w.Queries {
		m := &teishiv1.CheckRequest{Organization: q.Organization, App: q.App, Purpose: q.Purpose, Attributes: q.Attributes}
		if questions[i], err = proto.Marshal(m); err != nil {
			b.Fatal(err)
		}
	}
	info := &grpc.UnaryServerInfo{FullMethod: teishiv1.DecisionService_Check_FullMethodName}
	handle := func(_ context.Context, req any) (any, error) {
		return checkIn(&view, req.(*teishiv1.CheckRequest), s.moment())
	}
	codec := newCodec()
	var size int
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		req := &teishiv1.CheckRequest{}
		if err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(questions[i%len(questions)])}, req); err != nil {
			b.Fatal(err)
		}
		resp, err := s.unary(b.Context(), req, info, handle)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := proto.Marshal(resp.(proto.Message))
		if err != nil {
			b.Fatal(err)
		}
		size += len(answer)
	}
	b.ReportMetric(float64(size)/float64(b.N), "B/answer")
}

// checkIn is Check from a given view.
func checkIn(v *policystore.View, req *teishiv1.CheckRequest, m moment) (*teishiv1.CheckResponse, error) {
	t, err := termsOf(req)
	if err != nil {
		return nil, err
	}
	q, err := queryOf(req.Organization, req.App, req.Purpose, req.Attributes)
	if err != nil {
		return nil, err
	}
	t.at = m.now
	var a answer
	a.fill(v, q, &t)
	return &a.response, nil
}
