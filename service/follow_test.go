package service_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
)

// following is a tail read message by message.
func (h *house) tail(req *teishiv1.TailRequest) teishiv1.LogService_TailClient {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	h.t.Cleanup(cancel)
	stream, err := h.following.Tail(ctx, req)
	h.must(err)
	return stream
}

// tails fails unless a tail is refused so.
func (h *house) tailRefused(req *teishiv1.TailRequest, want problem) {
	h.t.Helper()
	stream := h.tail(req)
	for {
		_, err := stream.Recv()
		if err != nil {
			want.check(h.t, req.String(), err)
			return
		}
	}
}

// Entries come without a gap from where they are asked for, with proofs of the head.
func TestTail(t *testing.T) {
	h := open(t)
	h.settle()
	entries, err := h.log.Read(t.Context(), 1, 100)
	h.must(err)
	stream := h.tail(&teishiv1.TailRequest{Domain: domain, After: policystore.PositionToProto(entries[1].Position())})
	next, proofs := 2, 0
	for next < len(entries) || proofs == 0 {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(describe(err))
		}
		switch e := m.Event.(type) {
		case *teishiv1.TailResponse_Entry:
			if e.Entry.Revision != int64(entries[next].Revision) || !slices.Equal(e.Entry.Hash, entries[next].Hash[:]) {
				t.Fatalf("entry %d comes, want %d", e.Entry.Revision, entries[next].Revision)
			}
			next++
		case *teishiv1.TailResponse_Head:
			if e.Head.Revision == int64(len(entries)) {
				proofs++
			}
			if e.Head.Authority != "authority-0" || e.Head.Domain != domain {
				t.Errorf("proof %v", e.Head)
			}
		}
	}
	do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "late" } reason: "later"`)
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(describe(err))
		}
		if e := m.GetEntry(); e != nil {
			if e.Revision != int64(len(entries)+1) {
				t.Errorf("entry %d comes, want %d", e.Revision, len(entries)+1)
			}
			return
		}
	}
}

func TestTailRefuses(t *testing.T) {
	h := open(t)
	h.settle()
	entries, err := h.log.Read(t.Context(), 1, 100)
	h.must(err)
	at := func(change func(*policystore.Position)) *teishiv1.Position {
		p := entries[1].Position()
		change(&p)
		return policystore.PositionToProto(p)
	}
	h.tailRefused(&teishiv1.TailRequest{Domain: "other"}, problem{codes.FailedPrecondition, "DOMAIN_MISMATCH", "domain"})
	h.tailRefused(&teishiv1.TailRequest{Domain: "No slug"}, invalid("domain"))
	h.tailRefused(&teishiv1.TailRequest{Domain: domain, Checkpoint: true}, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "checkpoint"})
	h.tailRefused(&teishiv1.TailRequest{Domain: domain, After: &teishiv1.Position{Epoch: 1, Revision: 1, Hash: []byte("short")}}, invalid("after.hash"))
	h.tailRefused(&teishiv1.TailRequest{Domain: domain, After: at(func(p *policystore.Position) { p.Hash[0]++ })}, problem{codes.FailedPrecondition, "RECORD_DIVERGED", ""})
	h.tailRefused(&teishiv1.TailRequest{Domain: domain, After: at(func(p *policystore.Position) { p.Epoch = 2 })}, problem{codes.FailedPrecondition, "RECORD_DIVERGED", ""})
	h.tailRefused(&teishiv1.TailRequest{Domain: domain, After: at(func(p *policystore.Position) { p.Epoch = 0 })}, problem{codes.FailedPrecondition, "EPOCH_MISMATCH", ""})
	h.tailRefused(&teishiv1.TailRequest{Domain: domain, After: at(func(p *policystore.Position) { p.Revision = 1000 })}, problem{codes.Unavailable, "REVISION_NOT_REACHED", ""})
}

// A tail that callers hold open ends when the server drains, and says why.
func TestTailDrains(t *testing.T) {
	h := open(t)
	stream := h.tail(&teishiv1.TailRequest{Domain: domain})
	_, err := stream.Recv()
	h.must(err)
	h.server.Drain(0, time.Minute)
	for err == nil {
		_, err = stream.Recv()
	}
	problem{code: codes.Unavailable, reason: "DRAINING"}.check(t, "a tail", err)
}

// The newest checkpoint comes whole, and the stream ends.
func TestTailCheckpoint(t *testing.T) {
	h := open(t)
	h.settle()
	view, err := h.replica.View(t.Context(), policystore.Demand{})
	h.must(err)
	want, err := policystore.NewCheckpoint(domain, view)
	h.must(err)
	h.must(h.log.StoreCheckpoint(t.Context(), want))
	stream := h.tail(&teishiv1.TailRequest{Domain: domain, Checkpoint: true})
	first, err := stream.Recv()
	h.must(err)
	got, err := policystore.CheckpointFromHeader(first.GetCheckpoint())
	h.must(err)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		h.must(err)
		got.Body = append(got.Body, m.GetBody()...)
	}
	if got.Position != want.Position || got.StateHash != want.StateHash || !slices.Equal(got.Body, want.Body) {
		t.Errorf("a checkpoint at %s of %d bytes comes, want %s of %d bytes", got.Position, len(got.Body), want.Position, len(want.Body))
	}
}

func TestGetHead(t *testing.T) {
	h := open(t)
	h.settle()
	resp := do(h, h.following.GetHead, &teishiv1.GetHeadRequest{}, ``)
	if resp.Head.Revision != h.head() || resp.Domain != domain {
		t.Errorf("GetHead = %v, want %d of %s", resp, h.head(), domain)
	}
}

// reports has a replica report itself at a revision of the record, and waits until the fleet knows.
func (h *house) reports(id string, revision int64) {
	h.t.Helper()
	req := &teishiv1.ReportRequest{Domain: domain, Id: id, Version: "v1",
		Freshness: &teishiv1.Freshness{State: teishiv1.Freshness_STATE_FRESH, Age: durationpb.New(time.Second), Source: "redis"}}
	if revision > 0 {
		there, err := h.log.Read(h.t.Context(), policy.Revision(revision), 1)
		h.must(err)
		req.Position = policystore.PositionToProto(there[0].Position())
	}
	_, err := h.following.Report(h.t.Context(), req)
	h.must(err)
	for {
		resp := do(h, h.fleet.ListReplicas, &teishiv1.ListReplicasRequest{}, ``)
		if slices.ContainsFunc(resp.Replicas, func(r *teishiv1.Replica) bool { return r.Id == id && r.Revision == revision }) {
			return
		}
	}
}

// Who has reported is a member until it says goodbye or is forgotten.
func TestFleet(t *testing.T) {
	h := open(t)
	h.settle()
	h.reports("b", 3)
	h.reports("a", h.head())
	resp := do(h, h.fleet.ListReplicas, &teishiv1.ListReplicasRequest{}, ``)
	if resp.Revision != h.head() || resp.Epoch != 1 || len(resp.Replicas) != 2 || resp.Replicas[0].Id != "a" || resp.Replicas[1].Id != "b" {
		t.Fatalf("ListReplicas = %v", resp)
	}
	b := resp.Replicas[1]
	if b.Revision != 3 || b.Freshness.Source != "redis" || b.Freshness.State != teishiv1.Freshness_STATE_FRESH || b.Freshness.Age.AsDuration() != time.Second ||
		b.Version != "v1" || b.Authority != "authority-0" || b.ReportTime == nil || b.Silence.AsDuration() > time.Minute || b.StateHash != nil {
		t.Errorf("replica b = %v", b)
	}
	do(h, h.fleet.ForgetReplica, &teishiv1.ForgetReplicaRequest{}, `id: "b"`)
	refused(h, h.fleet.ForgetReplica, &teishiv1.ForgetReplicaRequest{}, `id: "b"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "id"})
	refused(h, h.fleet.ForgetReplica, &teishiv1.ForgetReplicaRequest{}, `id: "a b"`, invalid("id"))
	do(h, h.following.Report, &teishiv1.ReportRequest{}, `domain: "teishi" id: "a" goodbye: true`)
	if resp := do(h, h.fleet.ListReplicas, &teishiv1.ListReplicasRequest{}, ``); len(resp.Replicas) != 0 {
		t.Errorf("after all have gone ListReplicas = %v", resp)
	}
}

func TestReportRefuses(t *testing.T) {
	h := open(t)
	refused(h, h.following.Report, &teishiv1.ReportRequest{}, `domain: "other" id: "a"`, problem{codes.FailedPrecondition, "DOMAIN_MISMATCH", "domain"})
	refused(h, h.following.Report, &teishiv1.ReportRequest{}, `domain: "teishi" id: ""`, invalid("id"))
	refused(h, h.following.Report, &teishiv1.ReportRequest{}, `domain: "teishi" id: "a" state_hash: "short"`, invalid("state_hash"))
	refused(h, h.following.Report, &teishiv1.ReportRequest{}, `domain: "teishi" id: "a" position { epoch: 1 revision: 1 hash: "short" }`, invalid("position.hash"))
}

// Whether a revision is everywhere is proven, or it is said who does not have it, and since when.
func TestWaitForRevision(t *testing.T) {
	h := open(t)
	h.settle()
	head := h.head()
	h.reports("a", head)
	h.reports("b", 3)
	began := time.Now()
	resp := do(h, h.fleet.WaitForRevision, &teishiv1.WaitForRevisionRequest{}, `revision: 3`)
	if !resp.Reached || len(resp.Arrivals) != 2 || resp.Epoch != 1 || resp.Revision != 3 {
		t.Errorf("WaitForRevision(3) = %v, want reached by two", resp)
	}
	resp = do(h, h.fleet.WaitForRevision, &teishiv1.WaitForRevisionRequest{}, `revision: 4 timeout { nanos: 200000000 }`)
	if resp.Reached || resp.Arrivals[0].State != teishiv1.Arrival_STATE_REACHED || resp.Arrivals[1].State != teishiv1.Arrival_STATE_LAGGING ||
		resp.Arrivals[1].Id != "b" || resp.Arrivals[1].Revision != 3 || resp.Arrivals[1].SinceTime == nil {
		t.Errorf("WaitForRevision(4) = %v, want b lagging", resp)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("WaitForRevision took %s", took)
	}
	later := make(chan *teishiv1.WaitForRevisionResponse)
	go func() {
		later <- do(h, h.fleet.WaitForRevision, &teishiv1.WaitForRevisionRequest{}, `revision: 4 timeout { seconds: 60 }`)
	}()
	h.reports("b", 4)
	if resp := <-later; !resp.Reached {
		t.Errorf("WaitForRevision(4) = %v after b has it, want reached", resp)
	}
	for request, want := range map[string]problem{
		`revision: 1000`:                             {codes.Unavailable, "REVISION_NOT_REACHED", ""},
		`revision: 1 epoch: 2`:                       {codes.Unavailable, "REVISION_NOT_REACHED", ""},
		`revision: 0`:                                invalid("revision"),
		`revision: 1 epoch: -1`:                      invalid("epoch"),
		`revision: 1 timeout { seconds: 601 }`:       invalid("timeout"),
		`revision: 1 timeout { seconds: -1 }`:        invalid("timeout"),
		`revision: 1 epoch: 9223372036854775807`:     {codes.Unavailable, "REVISION_NOT_REACHED", ""},
		`revision: 9223372036854775807`:              {codes.Unavailable, "REVISION_NOT_REACHED", ""},
		`revision: 1 timeout { nanos: -1 }`:          invalid("timeout"),
		`revision: -5 timeout { nanos: 1 } epoch: 1`: invalid("revision"),
	} {
		refused(h, h.fleet.WaitForRevision, &teishiv1.WaitForRevisionRequest{}, request, want)
	}
}

// A decision point answers questions and nothing else.
func TestDecisionPoint(t *testing.T) {
	h := open(t, func(c *service.Config) { c.Record = nil })
	h.answers(`organization: "nobody" app: "line"`, denied, teishiv1.Reason_REASON_UNKNOWN_ORGANIZATION)
	_, err := h.registry.PutOrganization(t.Context(), &teishiv1.PutOrganizationRequest{})
	problem{code: codes.Unimplemented}.check(t, "a write", err)
	_, err = h.decisions.Check(t.Context(), text(t, &teishiv1.CheckRequest{}, `organization: "nobody" app: "line" as_of_time { seconds: 1 }`))
	problem{codes.FailedPrecondition, "NO_RECORD", ""}.check(t, "a question about the past", err)
}
