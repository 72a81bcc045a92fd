package service

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// fleetServer says who has arrived where.
type fleetServer struct {
	teishiv1.UnsafeFleetServiceServer
	*Server
}

// ListReplicas returns the members.
func (f *fleetServer) ListReplicas(ctx context.Context, _ *teishiv1.ListReplicasRequest) (*teishiv1.ListReplicasResponse, error) {
	head, err := f.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	members, err := f.fleet.Members(ctx)
	if err != nil {
		return nil, err
	}
	v, err := f.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return nil, err
	}
	auditsAll := f.powers(v.Snapshot, f.caller(ctx)).May(policy.Auditor, policy.Everywhere)
	resp := &teishiv1.ListReplicasResponse{Revision: int64(head.Revision), Epoch: head.Epoch}
	for i := range members {
		m := replicaMessage(&members[i])
		if !auditsAll {
			m.Hash = nil // it seals page tokens: whoever has it can make them up
		}
		resp.Replicas = append(resp.Replicas, m)
	}
	return resp, nil
}

func replicaMessage(m *policystore.Member) *teishiv1.Replica {
	r := &teishiv1.Replica{
		Id:         m.ID,
		Epoch:      m.Position.Epoch,
		Revision:   int64(m.Position.Revision),
		Hash:       m.Position.Hash[:],
		Freshness:  &teishiv1.Freshness{State: states[m.Freshness.State], Source: m.Freshness.Source},
		Version:    m.Version,
		ReportTime: timestamppb.New(m.Reported),
		Silence:    durationpb.New(m.Silence),
		Authority:  m.Authority,
	}
	if m.StateHash != (policystore.Hash{}) {
		r.StateHash = m.StateHash[:]
	}
	if m.Freshness.Age != policystore.Never {
		r.Freshness.Age = durationpb.New(m.Freshness.Age)
	}
	return r
}

// ForgetReplica takes a member off the list.
func (f *fleetServer) ForgetReplica(ctx context.Context, req *teishiv1.ForgetReplicaRequest) (*teishiv1.ForgetReplicaResponse, error) {
	if err := f.fleet.Forget(ctx, req.Id); err != nil {
		return nil, absentIn("id", "there is no replica "+req.Id, err)
	}
	f.reporters.leave(req.Id)
	return &teishiv1.ForgetReplicaResponse{}, nil
}

const defaultArrival = 10 * time.Second

// WaitForRevision waits until every member has applied the revision.
func (f *fleetServer) WaitForRevision(ctx context.Context, req *teishiv1.WaitForRevisionRequest) (*teishiv1.WaitForRevisionResponse, error) {
	ctx, cancel := inTime(ctx)
	defer cancel()
	position, committed, err := f.committed(ctx, req)
	if err != nil {
		return nil, err
	}
	timeout := defaultArrival
	if req.Timeout != nil {
		timeout = req.Timeout.AsDuration()
	}
	waiting, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	members, all, err := f.fleet.Wait(waiting, position)
	if err != nil {
		return nil, err
	}
	resp := &teishiv1.WaitForRevisionResponse{Reached: all, Revision: int64(position.Revision), Epoch: position.Epoch}
	for i := range members {
		resp.Arrivals = append(resp.Arrivals, arrivalOf(&members[i], position, committed))
	}
	return resp, nil
}

// committed returns the position of the revision asked for, and when it was committed.
func (f *fleetServer) committed(ctx context.Context, req *teishiv1.WaitForRevisionRequest) (policystore.Position, policy.Instant, error) {
	head, err := f.log.Head(ctx)
	switch {
	case err != nil:
		return head, 0, err
	case req.Epoch != 0 && req.Epoch < head.Epoch:
		return head, 0, &policystore.EpochError{Wanted: req.Epoch, Epoch: head.Epoch}
	case req.Epoch > head.Epoch, policy.Revision(req.Revision) > head.Revision:
		return head, 0, &policystore.NotReachedError{Wanted: policy.Revision(req.Revision), Epoch: req.Epoch, Applied: head, Head: head}
	}
	there, err := f.log.Read(ctx, policy.Revision(req.Revision), 1)
	if err == nil && len(there) == 0 {
		err = fmt.Errorf("read entry %d: %w", req.Revision, policystore.ErrNotFound)
	}
	if err != nil {
		return head, 0, err
	}
	p := there[0].Position()
	p.Epoch = head.Epoch // whoever is at it in an epoch that is over is not in this history
	return p, there[0].Time, nil
}

func arrivalOf(m *policystore.Member, p policystore.Position, committed policy.Instant) *teishiv1.Arrival {
	a := &teishiv1.Arrival{Id: m.ID, Revision: int64(m.Position.Revision), State: teishiv1.Arrival_STATE_LAGGING}
	switch {
	case m.Arrived(p):
		a.State = teishiv1.Arrival_STATE_REACHED
	case m.Silence > policystore.SilentAfter:
		a.State, a.SinceTime = teishiv1.Arrival_STATE_SILENT, timestamppb.New(m.Reported)
	default:
		a.SinceTime = policystore.InstantToProto(committed)
	}
	return a
}
