package policystore

import (
	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

func exemptionRulesTo(r *policy.ExemptionRules) *teishiv1.ExemptionRules {
	if r == nil {
		return nil
	}
	return &teishiv1.ExemptionRules{
		Grounds:         messages(r.Grounds, groundTo),
		Approver:        approverTo(r.Approver),
		LongestDuration: durationTo(r.LongestDuration),
		Obligations:     messages(r.Obligations, ObligationToProto),
		NotWhole:        r.NotWhole,
	}
}

func exemptionRulesFrom(m *teishiv1.ExemptionRules) (*policy.ExemptionRules, error) {
	if m == nil {
		return nil, nil
	}
	r := &policy.ExemptionRules{NotWhole: m.NotWhole}
	var err error
	if r.Grounds, err = convert("grounds", m.Grounds, groundFrom); err != nil {
		return nil, err
	}
	if r.Approver, err = approverFrom(m.Approver); err != nil {
		return nil, err
	}
	if r.LongestDuration, err = durationFrom(m.LongestDuration); err != nil {
		return nil, within("longest_duration", err)
	}
	if r.Obligations, err = convert("obligations", m.Obligations, ObligationFromProto); err != nil {
		return nil, err
	}
	return r, known(m)
}

func groundTo(g *policy.Ground) *teishiv1.Ground {
	return &teishiv1.Ground{Id: g.ID, Text: g.Text}
}

func groundFrom(m *teishiv1.Ground) (policy.Ground, error) {
	return policy.Ground{ID: m.GetId(), Text: m.GetText()}, known(m)
}

func approverTo(a policy.Approver) teishiv1.Approver {
	if a == policy.ApproverSubject {
		return teishiv1.Approver_APPROVER_SUBJECT
	}
	return teishiv1.Approver_APPROVER_AUTHORITY
}

func approverFrom(a teishiv1.Approver) (policy.Approver, error) {
	switch a {
	case teishiv1.Approver_APPROVER_AUTHORITY:
		return policy.ApproverAuthority, nil
	case teishiv1.Approver_APPROVER_SUBJECT:
		return policy.ApproverSubject, nil
	case teishiv1.Approver_APPROVER_UNSPECIFIED:
		return 0, &FormatError{Where: "approver", Problem: "must be stated"}
	}
	return 0, unknownValue("approver", a)
}

// ObligationToProto converts an obligation; what carries it is for answers to say.
func ObligationToProto(o *policy.Obligation) *teishiv1.Obligation {
	return &teishiv1.Obligation{Id: o.ID, Text: o.Text}
}

// ObligationFromProto is strict.
func ObligationFromProto(m *teishiv1.Obligation) (policy.Obligation, error) {
	return policy.Obligation{ID: m.GetId(), Text: m.GetText()}, known(m)
}

func withdrawalTo(w *policy.Withdrawal) *teishiv1.Withdrawal {
	if w == nil {
		return nil
	}
	return &teishiv1.Withdrawal{Time: InstantToProto(w.Time), Reason: w.Reason}
}

func withdrawalFrom(m *teishiv1.Withdrawal) (*policy.Withdrawal, error) {
	if m == nil {
		return nil, nil
	}
	at, err := InstantFromProto(m.Time, policy.Beginning)
	if err != nil {
		return nil, within("time", err)
	}
	return &policy.Withdrawal{Time: at, Reason: m.Reason}, known(m)
}

func adoptedFromTo(a *policy.AdoptedFrom) *teishiv1.AdoptedFrom {
	if a == nil {
		return nil
	}
	return &teishiv1.AdoptedFrom{Directive: a.Directive, Revision: int64(a.Revision)}
}

func adoptedFromFrom(m *teishiv1.AdoptedFrom) (*policy.AdoptedFrom, error) {
	if m == nil {
		return nil, nil
	}
	return &policy.AdoptedFrom{Directive: m.Directive, Revision: policy.Revision(m.Revision)}, known(m)
}
