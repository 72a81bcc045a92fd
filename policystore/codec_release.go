package policystore

import (
	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// ReleaseToProto returns the release as of the revision at which it last changed; 0 in a payload.
func ReleaseToProto(r *policy.Release, changed policy.Revision) *teishiv1.Release {
	return &teishiv1.Release{
		Id:            r.ID,
		Directive:     r.Directive,
		Kind:          releaseKindTo(r.Kind),
		Provisions:    r.Provisions,
		Selector:      SelectorToProto(&r.Selector),
		Obligations:   messages(r.Obligations, ObligationToProto),
		Instrument:    r.Instrument,
		EndTime:       InstantToProto(r.EndTime),
		Ground:        r.Ground,
		Justification: r.Justification,
		Approver:      r.Approver,
		GrantedBy:     r.GrantedBy,
		Revision:      int64(changed),
	}
}

// ReleaseFromProto is strict. A release without a kind has kind 0.
func ReleaseFromProto(m *teishiv1.Release) (*policy.Release, error) {
	r, err := releaseFrom(m)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func releaseFrom(m *teishiv1.Release) (policy.Release, error) {
	r := policy.Release{
		ID:            m.GetId(),
		Directive:     m.GetDirective(),
		Provisions:    m.GetProvisions(),
		Instrument:    m.GetInstrument(),
		Ground:        m.GetGround(),
		Justification: m.GetJustification(),
		Approver:      m.GetApprover(),
		GrantedBy:     m.GetGrantedBy(),
	}
	var err error
	if r.Kind, err = releaseKindFrom(m.GetKind()); err != nil {
		return r, err
	}
	if r.Selector, err = SelectorFromProto(m.GetSelector()); err != nil {
		return r, within("selector", err)
	}
	if r.Obligations, err = convert("obligations", m.GetObligations(), ObligationFromProto); err != nil {
		return r, err
	}
	if r.EndTime, err = InstantFromProto(m.GetEndTime(), policy.Forever); err != nil {
		return r, within("end_time", err)
	}
	return r, known(m)
}

// carveOutTo leaves out the directive, inside which the carve-out stands.
func carveOutTo(r *policy.Release) *teishiv1.Release {
	m := ReleaseToProto(r, 0)
	m.Directive = ""
	return m
}

func carveOutFrom(directive string, m *teishiv1.Release) (policy.Release, error) {
	r, err := releaseFrom(m)
	if err != nil {
		return r, err
	}
	return asCarveOut(directive, r)
}

// asCarveOut fills in what the place of a carve-out says and refuses what contradicts it.
func asCarveOut(directive string, r policy.Release) (policy.Release, error) {
	switch {
	case r.Directive != "" && r.Directive != directive:
		return r, &FormatError{Where: "directive", Problem: "must be the directive it stands in, or empty"}
	case r.Kind != 0 && r.Kind != policy.CarveOut:
		return r, &FormatError{Where: "kind", Problem: "must be RELEASE_KIND_CARVE_OUT, or unspecified"}
	case r.EndTime != policy.Forever:
		return r, &FormatError{Where: "end_time", Problem: "must be unset: a carve-out is part of the text and not revoked"}
	}
	r.Directive, r.Kind = directive, policy.CarveOut
	return r, nil
}

func releaseKindTo(k policy.ReleaseKind) teishiv1.ReleaseKind {
	switch k {
	case policy.CarveOut:
		return teishiv1.ReleaseKind_RELEASE_KIND_CARVE_OUT
	case policy.Lift:
		return teishiv1.ReleaseKind_RELEASE_KIND_LIFT
	case policy.Exemption:
		return teishiv1.ReleaseKind_RELEASE_KIND_EXEMPTION
	}
	return teishiv1.ReleaseKind_RELEASE_KIND_UNSPECIFIED
}

func releaseKindFrom(k teishiv1.ReleaseKind) (policy.ReleaseKind, error) {
	switch k {
	case teishiv1.ReleaseKind_RELEASE_KIND_UNSPECIFIED:
		return 0, nil
	case teishiv1.ReleaseKind_RELEASE_KIND_CARVE_OUT:
		return policy.CarveOut, nil
	case teishiv1.ReleaseKind_RELEASE_KIND_LIFT:
		return policy.Lift, nil
	case teishiv1.ReleaseKind_RELEASE_KIND_EXEMPTION:
		return policy.Exemption, nil
	}
	return 0, unknownValue("kind", k)
}

// ConcernStateToProto returns the state as of the revision at which it last changed; 0 in a payload.
func ConcernStateToProto(c *policy.ConcernState, changed policy.Revision) *teishiv1.ConcernState {
	state := teishiv1.ConcernState_STATE_OPEN
	if c.Resolved {
		state = teishiv1.ConcernState_STATE_RESOLVED
	}
	return &teishiv1.ConcernState{
		Directive:  c.Directive,
		Concern:    c.Concern,
		State:      state,
		Evidence:   c.Evidence,
		ResolvedBy: c.ResolvedBy,
		Time:       InstantToProto(c.Time),
		Revision:   int64(changed),
	}
}

// ConcernStateFromProto is strict; the state must be stated. Without a time it is of policy.Beginning.
func ConcernStateFromProto(m *teishiv1.ConcernState) (*policy.ConcernState, error) {
	c := &policy.ConcernState{
		Directive:  m.GetDirective(),
		Concern:    m.GetConcern(),
		Evidence:   m.GetEvidence(),
		ResolvedBy: m.GetResolvedBy(),
	}
	var err error
	if c.Resolved, err = resolvedFrom(m.GetState()); err != nil {
		return nil, err
	}
	if c.Time, err = InstantFromProto(m.GetTime(), policy.Beginning); err != nil {
		return nil, within("time", err)
	}
	return c, known(m)
}

func resolvedFrom(s teishiv1.ConcernState_State) (bool, error) {
	switch s {
	case teishiv1.ConcernState_STATE_OPEN:
		return false, nil
	case teishiv1.ConcernState_STATE_RESOLVED:
		return true, nil
	case teishiv1.ConcernState_STATE_UNSPECIFIED:
		return false, &FormatError{Where: "state", Problem: "must be stated"}
	}
	return false, unknownValue("state", s)
}

// StatementToProto returns the statement as of the revision at which it last changed; 0 in a payload.
func StatementToProto(s *policy.Statement, changed policy.Revision) *teishiv1.Statement {
	return &teishiv1.Statement{
		Directive: s.Directive,
		Id:        s.ID,
		Author:    s.Author,
		Text:      s.Text,
		Sources:   messages(s.Sources, SourceToProto),
		Time:      InstantToProto(s.Time),
		Revision:  int64(changed),
	}
}

// StatementFromProto is strict. Without a time it is of policy.Beginning.
func StatementFromProto(m *teishiv1.Statement) (*policy.Statement, error) {
	s := &policy.Statement{Directive: m.GetDirective(), ID: m.GetId(), Author: m.GetAuthor(), Text: m.GetText()}
	var err error
	if s.Sources, err = convert("sources", m.GetSources(), SourceFromProto); err != nil {
		return nil, err
	}
	if s.Time, err = InstantFromProto(m.GetTime(), policy.Beginning); err != nil {
		return nil, within("time", err)
	}
	return s, known(m)
}
