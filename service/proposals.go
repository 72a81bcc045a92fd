package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	proposedFor     = 7 * 24 * time.Hour
	mostProposedFor = 90 * 24 * time.Hour
)

// An approvalError says that a write needs the approval of others.
type approvalError struct{ needs []policy.ApprovalNeed }

func (e *approvalError) Error() string {
	return "this loosens what asks for the approval of others, " + e.directives() + ": propose it by AccessService/ProposeChange"
}

// directives returns the directives that ask for approval, each with how many people it asks for.
func (e *approvalError) directives() string {
	list := make([]string, len(e.needs))
	for i, n := range e.needs {
		list[i] = fmt.Sprintf("%s (%d)", n.Directive, n.Approvals)
	}
	return strings.Join(list, ", ")
}

// ProposeChange proposes a write that loosens what asks for the approval of others.
func (a *accessServer) ProposeChange(ctx context.Context, req *teishiv1.ProposeChangeRequest) (*teishiv1.ProposeChangeResponse, error) {
	inner, err := proposed(req.Change)
	if err != nil {
		return nil, &placed{err, beneath("change")}
	}
	expire, err := converted("expire_time", req.ExpireTime, func(t *timestamppb.Timestamp) (policy.Instant, error) {
		return policystore.InstantFromProto(t, policy.Forever)
	})
	if err != nil {
		return nil, err
	}
	change, err := proto.MarshalOptions{Deterministic: true}.Marshal(req.Change)
	if err != nil {
		return nil, fmt.Errorf("marshal a change: %w", err)
	}
	done, err := a.write(ctx, write{
		method:  teishiv1.AccessService_ProposeChange_FullMethodName,
		request: req,
		subject: func(revision policy.Revision) policy.Key { return proposalKey(req.Id, revision) },
		command: func(d *draft) ([]policy.Change, error) {
			p := &policy.Proposal{ID: proposalKey(req.Id, d.revision).ID, Change: change, Window: policy.Window{Start: d.at, End: expire}}
			return d.propose(p, &inner)
		},
		place:  inner.placeWithin("change", "id", "expire_time", "change"),
		puts:   &policy.Proposal{},
		judges: true,
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.ProposeChangeResponse{
		Proposal: policystore.ProposalToProto(putAny[*policy.Proposal](&done), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// proposalKey is that of a proposal, called by the revision unless it has an id.
func proposalKey(id string, revision policy.Revision) policy.Key {
	return policy.Key{Kind: policy.KindProposal, ID: calledAt(id, "proposal", revision)}
}

// placeWithin places the fields of a write in the field of a request that holds its request, but for the request's own.
func (w *write) placeWithin(field string, own ...string) func(string) string {
	return func(below string) string {
		if slices.Contains(own, below) {
			return below
		}
		return join(field, w.place(below))
	}
}

// errNobody refuses to deliberate where nobody can be told from anybody.
var errNobody = &policy.InvalidError{Field: "change", Problem: "without authentication nobody is told from anybody, and no number of people can approve anything"}

// propose opens a proposal of a write that is lawful now, and that the caller could make if nobody had to approve it.
func (d *draft) propose(p *policy.Proposal, inner *write) ([]policy.Change, error) {
	if d.caller == &local {
		return nil, errNobody
	}
	changes, loosened, err := d.come(inner)
	if err != nil {
		return nil, err
	}
	if p.Needs = d.ApprovalNeeds(loosened); len(p.Needs) == 0 {
		return nil, &policy.InvalidError{Field: "change", Problem: "it loosens nothing that asks for the approval of others: write it as it is"}
	}
	latest := p.Window.Start + policy.Instant(mostProposedFor.Microseconds())
	if p.Window.End == policy.Forever {
		p.Window.End = p.Window.Start + policy.Instant(proposedFor.Microseconds())
	}
	if p.Window.End <= p.Window.Start || p.Window.End > latest {
		return nil, &policy.InvalidError{Field: "expire_time", Problem: "not within the next 90 days"}
	}
	p.Proposer, p.Groups, p.Identities = d.caller.Principal, d.caller.Groups, d.powers.Identities()
	p.Base, p.Proposed = d.Base(changes, loosened), d.revision
	return d.OpenProposal(p)
}

// come returns what a write that is not made yet comes to, and what that loosens.
func (d *draft) come(inner *write) (changes []policy.Change, loosened []string, err error) {
	if changes, err = inner.changes(d); err != nil {
		return nil, nil, err
	}
	if _, err = d.Propose(d.revision, changes); err != nil {
		return nil, nil, err
	}
	if loosened, err = policy.Loosens(d.Snapshot, changes); err != nil {
		return nil, nil, err
	}
	return changes, loosened, d.powers.PermitLoosening(loosened, changes)
}

// ApproveChange approves a proposal, and applies it if that was the last approval it needed.
func (a *accessServer) ApproveChange(ctx context.Context, req *teishiv1.ApproveChangeRequest) (*teishiv1.ApproveChangeResponse, error) {
	key := policy.Key{Kind: policy.KindProposal, ID: req.Id}
	v, err := a.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return nil, err
	}
	done, err := a.write(ctx, write{
		method:  teishiv1.AccessService_ApproveChange_FullMethodName,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) {
			p := d.Proposal(req.Id)
			if p == nil {
				return nil, &policy.NotFoundError{Key: key}
			}
			return a.approve(d, p)
		},
		place:  asIs,
		puts:   exemptionIn(v.Proposal(req.Id)),
		judges: true,
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.ApproveChangeResponse{
		Proposal: policystore.ProposalToProto(put[*policy.Proposal](&done, key), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// exemptionIn returns the exemption that a proposal is of, nil if it is of anything else or there is no proposal.
func exemptionIn(p *policy.Proposal) *policy.Release {
	m := &teishiv1.ProposedChange{}
	if p == nil || proto.Unmarshal(p.Change, m) != nil || m.GetGrantExemption() == nil {
		return nil
	}
	w, err := exempting(m.GetGrantExemption())
	if err != nil {
		return nil
	}
	exemption := *w.puts.(*policy.Release)
	exemption.Kind = policy.Exemption
	return &exemption
}

// approve adds the caller's approval to a proposal. What the proposal changes is worked out anew, by the power that its proposer has
// now.
func (s *Server) approve(d *draft, p *policy.Proposal) ([]policy.Change, error) {
	message := &teishiv1.ProposedChange{}
	if err := proto.Unmarshal(p.Change, message); err != nil {
		return nil, fmt.Errorf("read the change of proposal %s: %w", p.ID, err)
	}
	inner, err := proposed(message)
	if err != nil {
		return nil, err
	}
	if err := d.Approvable(p, d.at); err != nil {
		return nil, err
	}
	by := *d
	by.caller = &Caller{Principal: p.Proposer, Groups: p.Groups}
	by.powers = s.powers(d.Snapshot, by.caller)
	changes, loosened, err := by.come(&inner)
	if err != nil {
		return nil, err
	}
	next, enough, err := d.Approve(p, policy.Approval{
		Principal:  d.caller.Principal,
		Groups:     d.caller.Groups,
		Identities: d.powers.Identities(),
		Time:       d.at,
	}, changes, loosened)
	if err != nil {
		return nil, err
	}
	if !enough {
		return []policy.Change{{Put: next}}, nil
	}
	next.Applied = d.revision
	return append(changes, policy.Change{Put: next}), nil
}

// proposed returns the write that a message proposes.
func proposed(m *teishiv1.ProposedChange) (write, error) {
	w, err := proposedWrite(m)
	switch {
	case err != nil:
		return w, err
	case w.request.GetRequestId() != "":
		return w, &policy.InvalidError{Field: "request_id", Problem: "only the proposal has one"}
	case w.request.GetValidateOnly():
		return w, &policy.InvalidError{Field: "validate_only", Problem: "only the proposal has it"}
	}
	return w, nil
}

func proposedWrite(m *teishiv1.ProposedChange) (write, error) {
	switch c := m.GetChange().(type) {
	case *teishiv1.ProposedChange_IssueDirective:
		return issuing(c.IssueDirective)
	case *teishiv1.ProposedChange_AmendDirective:
		return amending(c.AmendDirective)
	case *teishiv1.ProposedChange_WithdrawDirective:
		return withdrawing(c.WithdrawDirective), nil
	case *teishiv1.ProposedChange_LiftDirective:
		return lifting(c.LiftDirective)
	case *teishiv1.ProposedChange_GrantExemption:
		return exempting(c.GrantExemption)
	case *teishiv1.ProposedChange_ResolveConcern:
		return resolving(c.ResolveConcern), nil
	case *teishiv1.ProposedChange_PutOrganization:
		return puttingOrganization(c.PutOrganization)
	case *teishiv1.ProposedChange_PutVendor:
		return puttingVendor(c.PutVendor)
	case *teishiv1.ProposedChange_PutApp:
		return puttingApp(c.PutApp)
	case *teishiv1.ProposedChange_PutPurpose:
		return puttingPurpose(c.PutPurpose)
	case *teishiv1.ProposedChange_PutAttribute:
		return puttingAttribute(c.PutAttribute)
	case *teishiv1.ProposedChange_DeleteOrganization:
		return deletingOrganization(c.DeleteOrganization), nil
	case *teishiv1.ProposedChange_DeleteVendor:
		return deletingVendor(c.DeleteVendor), nil
	case *teishiv1.ProposedChange_DeleteApp:
		return deletingApp(c.DeleteApp), nil
	case *teishiv1.ProposedChange_DeletePurpose:
		return deletingPurpose(c.DeletePurpose), nil
	case *teishiv1.ProposedChange_DeleteAttribute:
		return deletingAttribute(c.DeleteAttribute), nil
	}
	return write{}, &policy.InvalidError{Field: "change", Problem: "must be stated"}
}
