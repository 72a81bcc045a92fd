package service

import (
	"context"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// accessServer keeps grants and proposals.
type accessServer struct {
	teishiv1.UnsafeAccessServiceServer
	*Server
}

var authentications = [...]teishiv1.Authentication{
	NotAuthenticated: teishiv1.Authentication_AUTHENTICATION_NONE,
	ByCertificate:    teishiv1.Authentication_AUTHENTICATION_CERTIFICATE,
	ByToken:          teishiv1.Authentication_AUTHENTICATION_TOKEN,
}

// WhoAmI tells the caller who it is here.
func (a *accessServer) WhoAmI(ctx context.Context, _ *teishiv1.WhoAmIRequest) (*teishiv1.WhoAmIResponse, error) {
	v, err := a.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return nil, err
	}
	caller := a.caller(ctx)
	resp := &teishiv1.WhoAmIResponse{
		Principal:      caller.Principal,
		Groups:         caller.Groups,
		Authentication: authentications[caller.Means],
		Revision:       int64(v.Position.Revision),
		Epoch:          v.Position.Epoch,
	}
	if caller != &local {
		resp.Grants = messages(&v, a.powers(v.Snapshot, caller).Grants(), policystore.GrantToProto)
	}
	return resp, nil
}

// Grant gives a power.
func (a *accessServer) Grant(ctx context.Context, req *teishiv1.GrantRequest) (*teishiv1.GrantResponse, error) {
	g, err := converted("grant", req.Grant, policystore.GrantFromProto)
	if err != nil {
		return nil, err
	}
	done, err := a.write(ctx, write{
		method:  teishiv1.AccessService_Grant_FullMethodName,
		request: req,
		subject: func(revision policy.Revision) policy.Key { return grantAt(g, revision).Key() },
		command: func(d *draft) ([]policy.Change, error) { return d.GiveGrant(grantAt(g, d.revision)) },
		place:   beneath("grant"),
		puts:    g,
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.GrantResponse{
		Grant:    policystore.GrantToProto(putAny[*policy.Grant](&done), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// grantAt returns the grant, called by the revision unless it has an id.
func grantAt(g *policy.Grant, revision policy.Revision) *policy.Grant {
	next := *g
	next.ID = calledAt(g.ID, "grant", revision)
	return &next
}

// Revoke takes a power back.
func (a *accessServer) Revoke(ctx context.Context, req *teishiv1.RevokeRequest) (*teishiv1.RevokeResponse, error) {
	key := policy.Key{Kind: policy.KindGrant, ID: req.Id}
	done, err := a.write(ctx, write{
		method:  teishiv1.AccessService_Revoke_FullMethodName,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) { return d.TakeGrant(req.Id) },
		place:   asIs,
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.RevokeResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// ListGrants returns grants by id: those over what the caller administers or audits.
func (a *accessServer) ListGrants(ctx context.Context, req *teishiv1.ListGrantsRequest) (*teishiv1.ListGrantsResponse, error) {
	powers, err := a.reading(ctx, req, "", "")
	if err != nil {
		return nil, err
	}
	keep := func(_ *policystore.View, g *policy.Grant) bool {
		return (req.Principal == "" || g.Principal == req.Principal) && powers.May(policy.Auditor, g.Organization)
	}
	items, p, err := list(ctx, a.Server, teishiv1.AccessService_ListGrants_FullMethodName, req, policy.KindGrant, keep, policystore.GrantToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListGrantsResponse{Grants: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

// ListProposals returns proposals by id: those that the caller made, could approve, or may audit.
func (a *accessServer) ListProposals(ctx context.Context, req *teishiv1.ListProposalsRequest) (*teishiv1.ListProposalsResponse, error) {
	powers, err := a.reading(ctx, req, "", "")
	if err != nil {
		return nil, err
	}
	v, err := a.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return nil, err
	}
	now := a.moment().now
	keep := func(_ *policystore.View, p *policy.Proposal) bool {
		return powers.SeesProposal(p, exemptionIn(p)) && (!req.Open || v.ProposalState(p, now) == policy.ProposalOpen)
	}
	to := func(p *policy.Proposal, changed policy.Revision) *teishiv1.ListedProposal {
		return listedProposal(&v, p, changed, now)
	}
	items, p, err := list(ctx, a.Server, teishiv1.AccessService_ListProposals_FullMethodName, req, policy.KindProposal, keep, to)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListProposalsResponse{Proposals: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

var proposalStates = [...]teishiv1.ProposalState{
	policy.ProposalOpen:    teishiv1.ProposalState_PROPOSAL_STATE_OPEN,
	policy.ProposalApplied: teishiv1.ProposalState_PROPOSAL_STATE_APPLIED,
	policy.ProposalExpired: teishiv1.ProposalState_PROPOSAL_STATE_EXPIRED,
	policy.ProposalVoid:    teishiv1.ProposalState_PROPOSAL_STATE_VOID,
}

// listedProposal returns the proposal with its change, as far as this version can read it.
func listedProposal(v *policystore.View, p *policy.Proposal, changed policy.Revision, now policy.Instant) *teishiv1.ListedProposal {
	m := &teishiv1.ListedProposal{Proposal: policystore.ProposalToProto(p, changed), State: proposalStates[v.ProposalState(p, now)]}
	change := &teishiv1.ProposedChange{}
	if proto.Unmarshal(p.Change, change) == nil {
		m.Change = change
	}
	return m
}
