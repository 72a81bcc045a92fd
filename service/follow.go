package service

import (
	"context"
	"errors"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// logServer gives the log to those who follow it, and takes their reports.
type logServer struct {
	teishiv1.UnsafeLogServiceServer
	*Server
}

// Tail sends what the authority yields.
func (l *logServer) Tail(req *teishiv1.TailRequest, stream teishiv1.LogService_TailServer) error {
	if err := l.ours(req.Domain); err != nil {
		return err
	}
	if req.Checkpoint {
		return l.checkpoints.send(stream)
	}
	after, err := policystore.PositionFromProto(req.After)
	if err != nil {
		return placedIn("after", err)
	}
	ctx := stream.Context()
	for event, err := range l.authority.Tail(ctx, after) {
		if err == nil {
			err = give(ctx, stream, eventMessage(&event))
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func eventMessage(e *policystore.Event) *teishiv1.TailResponse {
	if e.Entry != nil {
		return &teishiv1.TailResponse{Event: &teishiv1.TailResponse_Entry{Entry: policystore.EntryToProto(e.Entry)}}
	}
	return &teishiv1.TailResponse{Event: &teishiv1.TailResponse_Head{Head: policystore.HeadToProto(e.Head)}}
}

// Report takes what a replica says of itself.
func (l *logServer) Report(ctx context.Context, req *teishiv1.ReportRequest) (*teishiv1.ReportResponse, error) {
	if err := l.ours(req.Domain); err != nil {
		return nil, err
	}
	caller := l.caller(ctx)
	if req.Goodbye {
		if err := l.reporters.goodbye(req.Id, caller); err != nil {
			return nil, err
		}
		return &teishiv1.ReportResponse{}, l.fleet.Goodbye(ctx, req.Id)
	}
	if err := l.reporters.take(req.Id, caller); err != nil {
		return nil, err
	}
	m, err := memberOf(req)
	if err != nil {
		return nil, err
	}
	h := l.fleet.Take(m)
	if h == nil {
		return &teishiv1.ReportResponse{}, nil
	}
	return &teishiv1.ReportResponse{Head: policystore.HeadToProto(h)}, nil
}

func memberOf(req *teishiv1.ReportRequest) (m policystore.Member, err error) {
	m = policystore.Member{ID: req.Id, Version: req.Version, Freshness: freshnessOf(req.Freshness)}
	if m.Position, err = policystore.PositionFromProto(req.Position); err != nil {
		return m, placedIn("position", err)
	}
	if len(req.StateHash) > 0 && len(req.StateHash) != len(m.StateHash) {
		return m, &policy.InvalidError{Field: "state_hash", Problem: "neither empty nor 32 bytes"}
	}
	copy(m.StateHash[:], req.StateHash)
	return m, nil
}

func freshnessOf(m *teishiv1.Freshness) policystore.Freshness {
	f := policystore.Freshness{Age: policystore.Never, Source: m.GetSource()}
	if m.GetAge() != nil {
		f.Age = m.Age.AsDuration()
	}
	for state, number := range states {
		if number == m.GetState() {
			f.State = policystore.State(state)
		}
	}
	return f
}

// GetHead reads the head of the record.
func (l *logServer) GetHead(ctx context.Context, _ *teishiv1.GetHeadRequest) (*teishiv1.GetHeadResponse, error) {
	head, err := l.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GetHeadResponse{Head: policystore.PositionToProto(head), Domain: l.domain}, nil
}

// ours refuses who speaks of another record.
func (l *logServer) ours(domain string) error {
	if domain != l.domain {
		return &domainError{Wanted: domain, Domain: l.domain}
	}
	return nil
}

// A domainError says that a caller speaks of a record of another domain.
type domainError struct{ Wanted, Domain string }

func (e *domainError) Error() string {
	return "this server keeps the record " + e.Domain + ", not " + e.Wanted
}

// placedIn says in which field of a request a position was malformed.
func placedIn(field string, err error) error {
	if e, ok := errors.AsType[*policystore.FormatError](err); ok {
		return &policy.InvalidError{Field: join(field, e.Where), Problem: e.Problem}
	}
	return err
}
