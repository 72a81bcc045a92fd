package policystore

import (
	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// GrantToProto returns the grant as of the revision at which it was granted; 0 in a payload.
func GrantToProto(g *policy.Grant, changed policy.Revision) *teishiv1.Grant {
	return &teishiv1.Grant{
		Id:           g.ID,
		Principal:    g.Principal,
		Role:         roleNumbers[g.Role],
		Organization: g.Organization,
		Identity:     g.Identity,
		Revision:     int64(changed),
	}
}

// GrantFromProto is strict; the role must be stated.
func GrantFromProto(m *teishiv1.Grant) (*policy.Grant, error) {
	g := &policy.Grant{ID: m.GetId(), Principal: m.GetPrincipal(), Organization: m.GetOrganization(), Identity: m.GetIdentity()}
	var err error
	if g.Role, err = roleFrom(m.GetRole()); err != nil {
		return nil, err
	}
	return g, known(m)
}

var roleNumbers = [...]teishiv1.Role{
	policy.Checker:       teishiv1.Role_ROLE_CHECKER,
	policy.Reporter:      teishiv1.Role_ROLE_REPORTER,
	policy.Issuer:        teishiv1.Role_ROLE_ISSUER,
	policy.Exempter:      teishiv1.Role_ROLE_APPROVER,
	policy.Registrar:     teishiv1.Role_ROLE_REGISTRAR,
	policy.Follower:      teishiv1.Role_ROLE_REPLICA,
	policy.Auditor:       teishiv1.Role_ROLE_AUDITOR,
	policy.Administrator: teishiv1.Role_ROLE_ADMINISTRATOR,
}

func roleFrom(r teishiv1.Role) (policy.Role, error) {
	for role, number := range roleNumbers {
		if number == r && role > 0 {
			return policy.Role(role), nil
		}
	}
	if r == teishiv1.Role_ROLE_UNSPECIFIED {
		return 0, &FormatError{Where: "role", Problem: "must be stated"}
	}
	return 0, unknownValue("role", r)
}

// ProposalToProto returns the proposal as of the revision at which it last changed; 0 in a payload.
func ProposalToProto(p *policy.Proposal, changed policy.Revision) *teishiv1.Proposal {
	return &teishiv1.Proposal{
		Id:                 p.ID,
		Proposer:           p.Proposer,
		ProposerIdentities: p.Identities,
		ProposerGroups:     p.Groups,
		Change:             p.Change,
		Base:               messages(p.Base, baseTo),
		Needs:              messages(p.Needs, needTo),
		ProposeTime:        InstantToProto(p.Window.Start),
		ExpireTime:         InstantToProto(p.Window.End),
		ProposedRevision:   int64(p.Proposed),
		Approvals:          messages(p.Approvals, approvalTo),
		AppliedRevision:    int64(p.Applied),
		Revision:           int64(changed),
	}
}

// ProposalFromProto is strict.
func ProposalFromProto(m *teishiv1.Proposal) (*policy.Proposal, error) {
	p := &policy.Proposal{
		ID:         m.GetId(),
		Proposer:   m.GetProposer(),
		Identities: m.GetProposerIdentities(),
		Groups:     m.GetProposerGroups(),
		Change:     m.GetChange(),
		Proposed:   policy.Revision(m.GetProposedRevision()),
		Applied:    policy.Revision(m.GetAppliedRevision()),
	}
	var err error
	if p.Base, err = convert("base", m.GetBase(), baseFrom); err != nil {
		return nil, err
	}
	if p.Needs, err = convert("needs", m.GetNeeds(), needFrom); err != nil {
		return nil, err
	}
	if p.Window, err = windowFrom("propose_time", m.GetProposeTime(), "expire_time", m.GetExpireTime()); err != nil {
		return nil, err
	}
	if p.Approvals, err = convert("approvals", m.GetApprovals(), approvalFrom); err != nil {
		return nil, err
	}
	return p, known(m)
}

func baseTo(b *policy.BaseRevision) *teishiv1.BaseRevision {
	return &teishiv1.BaseRevision{Resource: b.Key.String(), ChangedRevision: int64(b.Changed)}
}

func baseFrom(m *teishiv1.BaseRevision) (policy.BaseRevision, error) {
	key, err := keyFrom(m.GetResource())
	if err != nil {
		return policy.BaseRevision{}, err
	}
	return policy.BaseRevision{Key: key, Changed: policy.Revision(m.GetChangedRevision())}, known(m)
}

// keyFrom reads the name of a resource.
func keyFrom(s string) (policy.Key, error) {
	key, ok := policy.ParseKey(s)
	if !ok {
		return key, &FormatError{Where: "resource", Problem: "must be a kind and a name"}
	}
	return key, nil
}

func needTo(n *policy.ApprovalNeed) *teishiv1.ApprovalNeed {
	return &teishiv1.ApprovalNeed{Directive: n.Directive, Approvals: int32(n.Approvals)}
}

func needFrom(m *teishiv1.ApprovalNeed) (policy.ApprovalNeed, error) {
	return policy.ApprovalNeed{Directive: m.GetDirective(), Approvals: int(m.GetApprovals())}, known(m)
}

func approvalTo(a *policy.Approval) *teishiv1.Approval {
	return &teishiv1.Approval{Principal: a.Principal, Identities: a.Identities, Groups: a.Groups, Time: InstantToProto(a.Time)}
}

func approvalFrom(m *teishiv1.Approval) (policy.Approval, error) {
	a := policy.Approval{Principal: m.GetPrincipal(), Identities: m.GetIdentities(), Groups: m.GetGroups()}
	var err error
	if a.Time, err = InstantFromProto(m.GetTime(), policy.Beginning); err != nil {
		return a, within("time", err)
	}
	return a, known(m)
}
