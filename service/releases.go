package service

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// LiftDirective resumes use: all of it, or what a selector names.
func (d *directiveServer) LiftDirective(ctx context.Context, req *teishiv1.LiftDirectiveRequest) (*teishiv1.LiftDirectiveResponse, error) {
	r, err := releaseOf(&teishiv1.Release{
		Id:          req.Release,
		Directive:   req.Directive,
		Provisions:  req.Provisions,
		Selector:    req.Selector,
		Obligations: req.Obligations,
		Instrument:  req.Instrument,
	})
	if err != nil {
		return nil, err
	}
	m, done, err := d.addRelease(ctx, teishiv1.DirectiveService_LiftDirective_FullMethodName, req, r, "lift", (*policy.Snapshot).Lift)
	if err != nil {
		return nil, err
	}
	return &teishiv1.LiftDirectiveResponse{Release: m, Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// GrantExemption grants an exemption by the directive's own rules.
func (d *directiveServer) GrantExemption(ctx context.Context, req *teishiv1.GrantExemptionRequest) (*teishiv1.GrantExemptionResponse, error) {
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
	if err != nil {
		return nil, err
	}
	m, done, err := d.addRelease(ctx, teishiv1.DirectiveService_GrantExemption_FullMethodName, req, r, "exemption", (*policy.Snapshot).Exempt)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GrantExemptionResponse{Release: m, Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// releaseOf converts a release whose fields a request has beside its own.
func releaseOf(m *teishiv1.Release) (*policy.Release, error) {
	return converted("", m, policystore.ReleaseFromProto)
}

// addRelease writes a new release. One without an id is called by the word and the revision.
func (d *directiveServer) addRelease(ctx context.Context, method string, req writeRequest, r *policy.Release, word string,
	command func(*policy.Snapshot, *policy.Release, policy.Instant, policy.Revision) ([]policy.Change, error),
) (*teishiv1.Release, written, error) {
	done, err := d.write(ctx, write{
		method:  method,
		request: req,
		subject: func(revision policy.Revision) policy.Key {
			key := r.Key()
			if key.ID == "" {
				key.ID = fmt.Sprintf("%s-%d", word, revision)
			}
			return key
		},
		command: func(d *draft) ([]policy.Change, error) { return command(d.Snapshot, r, d.at, d.revision) },
		place:   asRelease,
	})
	if err != nil {
		return nil, done, err
	}
	return policystore.ReleaseToProto(putAny[*policy.Release](&done), done.changed), done, nil
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
