package policystore

import (
	"fmt"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// ResourceToProto returns the resource as of the revision at which it last changed; 0 in a payload.
func ResourceToProto(r policy.Resource, changed policy.Revision) *teishiv1.Resource {
	m := &teishiv1.Resource{}
	switch r := r.(type) {
	case *policy.Organization:
		m.Kind = &teishiv1.Resource_Organization{Organization: OrganizationToProto(r, changed)}
	case *policy.Vendor:
		m.Kind = &teishiv1.Resource_Vendor{Vendor: VendorToProto(r, changed)}
	case *policy.App:
		m.Kind = &teishiv1.Resource_App{App: AppToProto(r, changed)}
	case *policy.Purpose:
		m.Kind = &teishiv1.Resource_Purpose{Purpose: PurposeToProto(r, changed)}
	case *policy.Attribute:
		m.Kind = &teishiv1.Resource_Attribute{Attribute: AttributeToProto(r, changed)}
	case *policy.Directive:
		m.Kind = &teishiv1.Resource_Directive{Directive: DirectiveToProto(r, changed)}
	case *policy.Release:
		m.Kind = &teishiv1.Resource_Release{Release: ReleaseToProto(r, changed)}
	case *policy.ConcernState:
		m.Kind = &teishiv1.Resource_ConcernState{ConcernState: ConcernStateToProto(r, changed)}
	case *policy.Statement:
		m.Kind = &teishiv1.Resource_Statement{Statement: StatementToProto(r, changed)}
	case *policy.Grant:
		m.Kind = &teishiv1.Resource_Grant{Grant: GrantToProto(r, changed)}
	case *policy.Proposal:
		m.Kind = &teishiv1.Resource_Proposal{Proposal: ProposalToProto(r, changed)}
	default:
		panic(fmt.Sprintf("policystore: no message for a %T", r))
	}
	return m
}

// ResourceFromProto is strict; it must be of one kind.
func ResourceFromProto(m *teishiv1.Resource) (policy.Resource, error) {
	if err := known(m); err != nil {
		return nil, err
	}
	switch k := m.GetKind().(type) {
	case *teishiv1.Resource_Organization:
		return named("organization", k.Organization, OrganizationFromProto)
	case *teishiv1.Resource_Vendor:
		return named("vendor", k.Vendor, VendorFromProto)
	case *teishiv1.Resource_App:
		return named("app", k.App, AppFromProto)
	case *teishiv1.Resource_Purpose:
		return named("purpose", k.Purpose, PurposeFromProto)
	case *teishiv1.Resource_Attribute:
		return named("attribute", k.Attribute, AttributeFromProto)
	case *teishiv1.Resource_Directive:
		return named("directive", k.Directive, DirectiveFromProto)
	case *teishiv1.Resource_Release:
		return named("release", k.Release, ReleaseFromProto)
	case *teishiv1.Resource_ConcernState:
		return named("concern_state", k.ConcernState, ConcernStateFromProto)
	case *teishiv1.Resource_Statement:
		return named("statement", k.Statement, StatementFromProto)
	case *teishiv1.Resource_Grant:
		return named("grant", k.Grant, GrantFromProto)
	case *teishiv1.Resource_Proposal:
		return named("proposal", k.Proposal, ProposalFromProto)
	}
	return nil, &FormatError{Problem: "must be a resource of some kind"}
}

// named converts the message that a oneof holds and says its field where it errs.
func named[M any, R policy.Resource](field string, m M, from func(M) (R, error)) (policy.Resource, error) {
	r, err := from(m)
	if err != nil {
		return nil, within(field, err)
	}
	return r, nil
}

func keyTo(k policy.Key) *teishiv1.ResourceKey {
	return &teishiv1.ResourceKey{Kind: kindTo(k.Kind), Id: k.ID, Directive: k.Directive}
}

var kindNumbers = [...]teishiv1.ResourceKind{
	policy.KindPurpose:      teishiv1.ResourceKind_RESOURCE_KIND_PURPOSE,
	policy.KindAttribute:    teishiv1.ResourceKind_RESOURCE_KIND_ATTRIBUTE,
	policy.KindOrganization: teishiv1.ResourceKind_RESOURCE_KIND_ORGANIZATION,
	policy.KindVendor:       teishiv1.ResourceKind_RESOURCE_KIND_VENDOR,
	policy.KindApp:          teishiv1.ResourceKind_RESOURCE_KIND_APP,
	policy.KindDirective:    teishiv1.ResourceKind_RESOURCE_KIND_DIRECTIVE,
	policy.KindRelease:      teishiv1.ResourceKind_RESOURCE_KIND_RELEASE,
	policy.KindConcern:      teishiv1.ResourceKind_RESOURCE_KIND_CONCERN_STATE,
	policy.KindStatement:    teishiv1.ResourceKind_RESOURCE_KIND_STATEMENT,
	policy.KindGrant:        teishiv1.ResourceKind_RESOURCE_KIND_GRANT,
	policy.KindProposal:     teishiv1.ResourceKind_RESOURCE_KIND_PROPOSAL,
}

func kindTo(k policy.Kind) teishiv1.ResourceKind {
	if int(k) < len(kindNumbers) {
		return kindNumbers[k]
	}
	return teishiv1.ResourceKind_RESOURCE_KIND_UNSPECIFIED
}

func kindFrom(k teishiv1.ResourceKind) (policy.Kind, error) {
	for kind, number := range kindNumbers {
		if number == k && kind > 0 {
			return policy.Kind(kind), nil
		}
	}
	return 0, unknownValue("kind", k)
}
