package service

import (
	"context"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// ResolveConcern records that a concern no longer stands.
func (d *directiveServer) ResolveConcern(ctx context.Context, req *teishiv1.ResolveConcernRequest) (*teishiv1.ResolveConcernResponse, error) {
	done, err := d.write(ctx, resolving(req))
	if err != nil {
		return nil, err
	}
	concern, release := concernWritten(&done)
	return &teishiv1.ResolveConcernResponse{
		Concern: concern, Release: release,
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func resolving(req *teishiv1.ResolveConcernRequest) write {
	key := policy.Key{Kind: policy.KindConcern, Directive: req.Directive, ID: req.Concern}
	return write{
		method:  teishiv1.DirectiveService_ResolveConcern_FullMethodName,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) {
			c := d.concernState(key, d.at)
			c.Resolved, c.Evidence = true, req.Evidence
			return d.ResolveConcern(c, d.revision)
		},
		place: asIs,
	}
}

// ReopenConcern records that a resolved concern stands again.
func (d *directiveServer) ReopenConcern(ctx context.Context, req *teishiv1.ReopenConcernRequest) (*teishiv1.ReopenConcernResponse, error) {
	key := policy.Key{Kind: policy.KindConcern, Directive: req.Directive, ID: req.Concern}
	done, err := d.write(ctx, write{
		method:  teishiv1.DirectiveService_ReopenConcern_FullMethodName,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) { return d.ReopenConcern(d.concernState(key, d.binds)) },
		place:   asIs,
	})
	if err != nil {
		return nil, err
	}
	concern, release := concernWritten(&done)
	return &teishiv1.ReopenConcernResponse{
		Concern: concern, Release: release,
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// concernState is an open state of the concern, of the instant and by who writes it.
func (d *draft) concernState(key policy.Key, at policy.Instant) *policy.ConcernState {
	return &policy.ConcernState{Directive: key.Directive, Concern: key.ID, ResolvedBy: d.caller.Principal, Time: at}
}

// concernWritten returns the state that was written, and the lift that was added or ended with it, nil if none was.
func concernWritten(w *written) (concern *teishiv1.ConcernState, lift *teishiv1.Release) {
	if r := putAny[*policy.Release](w); r != nil {
		lift = policystore.ReleaseToProto(r, w.changed)
	}
	return policystore.ConcernStateToProto(putAny[*policy.ConcernState](w), w.changed), lift
}

// RecordStatement records what somebody has said about a directive.
func (d *directiveServer) RecordStatement(ctx context.Context, req *teishiv1.RecordStatementRequest) (*teishiv1.RecordStatementResponse, error) {
	statement, err := converted("statement", req.Statement, policystore.StatementFromProto)
	if err != nil {
		return nil, err
	}
	done, err := d.write(ctx, write{
		method:  teishiv1.DirectiveService_RecordStatement_FullMethodName,
		request: req,
		subject: about(statement.Key()),
		command: func(d *draft) ([]policy.Change, error) {
			said := *statement
			if said.Time == policy.Beginning {
				said.Time = d.at
			}
			return d.RecordStatement(&said)
		},
		place: beneath("statement"),
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.RecordStatementResponse{
		Statement: policystore.StatementToProto(put[*policy.Statement](&done, statement.Key()), done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}
