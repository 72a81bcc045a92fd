package service

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// LiftDirective resumes use: all of it, or what a selector names.
func (d *directiveServer) LiftDirective(ctx context.Context, req *teishiv1.LiftDirectiveRequest) (*teishiv1.LiftDirectiveResponse, error) {
	w, err := lifting(req)
	if err != nil {
		return nil, err
	}
	done, err := d.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.LiftDirectiveResponse{Release: releaseWritten(&done), Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func lifting(req *teishiv1.LiftDirectiveRequest) (write, error) {
	r, err := releaseOf(&teishiv1.Release{
		Id:          req.Release,
		Directive:   req.Directive,
		Provisions:  req.Provisions,
		Selector:    req.Selector,
		Obligations: req.Obligations,
		Instrument:  req.Instrument,
	})
	return releasing(teishiv1.DirectiveService_LiftDirective_FullMethodName, req, r, "lift", (*draft).lift), err
}

// GrantExemption grants an exemption by the directive's own rules.
func (d *directiveServer) GrantExemption(ctx context.Context, req *teishiv1.GrantExemptionRequest) (*teishiv1.GrantExemptionResponse, error) {
	w, err := exempting(req)
	if err != nil {
		return nil, err
	}
	done, err := d.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GrantExemptionResponse{Release: releaseWritten(&done), Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func exempting(req *teishiv1.GrantExemptionRequest) (write, error) {
	r, err := releaseOf(&teishiv1.Release{
		Id:            req.Release,
		Directive:     req.Directive,
		Provisions:    req.Provisions,
		Selector:      req.Selector,
		Obligations:   req.Obligations,
		Instrument:    req.Instrument,
		Ground:        req.Ground,
		Justification: req.Justification,
		Approver:      req.Approver,
	})
	return releasing(teishiv1.DirectiveService_GrantExemption_FullMethodName, req, r, "exemption", (*draft).exempt), err
}

// releaseOf converts a release whose fields a request has beside its own.
func releaseOf(m *teishiv1.Release) (*policy.Release, error) {
	return converted("", m, policystore.ReleaseFromProto)
}

// releasing writes a new release. One without an id is called by the word and the revision.
func releasing(method string, req writeRequest, r *policy.Release, word string, command func(*draft, *policy.Release) ([]policy.Change, error)) write {
	return write{
		method:  method,
		request: req,
		subject: func(revision policy.Revision) policy.Key {
			key := r.Key()
			key.ID = calledAt(key.ID, word, revision)
			return key
		},
		command: func(d *draft) ([]policy.Change, error) { return command(d, r) },
		place:   asRelease,
		puts:    r,
	}
}

func (d *draft) lift(r *policy.Release) ([]policy.Change, error) { return d.Lift(r, d.at, d.revision) }

func (d *draft) exempt(r *policy.Release) ([]policy.Change, error) {
	next := *r
	next.GrantedBy = d.caller.Principal
	return d.Exempt(&next, d.at, d.revision)
}

// releaseWritten returns the release that was written.
func releaseWritten(w *written) *teishiv1.Release {
	return policystore.ReleaseToProto(putAny[*policy.Release](w), w.changed)
}

// RevokeRelease ends a lift or exemption at an instant.
func (d *directiveServer) RevokeRelease(ctx context.Context, req *teishiv1.RevokeReleaseRequest) (*teishiv1.RevokeReleaseResponse, error) {
	end, err := converted("end_time", req.EndTime, func(t *timestamppb.Timestamp) (policy.Instant, error) {
		return policystore.InstantFromProto(t, policy.Forever)
	})
	if err != nil {
		return nil, err
	}
	key := policy.Key{Kind: policy.KindRelease, Directive: req.Directive, ID: req.Release}
	done, err := d.write(ctx, write{
		method:  teishiv1.DirectiveService_RevokeRelease_FullMethodName,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) {
			if end == policy.Forever {
				return d.Revoke(req.Directive, req.Release, d.binds)
			}
			return d.Revoke(req.Directive, req.Release, end)
		},
		place: asRelease,
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.RevokeReleaseResponse{
		Release:  policystore.ReleaseToProto(put[*policy.Release](&done, key), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}
