package policystore

import (
	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// SelectorToProto leaves out facets that are no restriction.
func SelectorToProto(s *policy.Selector) *teishiv1.Selector {
	return &teishiv1.Selector{
		Organizations: organizationsTo(&s.Organizations),
		Targets:       targetsTo(&s.Targets),
		Purposes:      purposesTo(&s.Purposes),
		Conditions:    messages(s.Conditions, conditionTo),
		EffectiveTime: InstantToProto(s.Window.Start),
		ExpireTime:    InstantToProto(s.Window.End),
	}
}

// SelectorFromProto is strict. No selector at all is one that restricts nothing.
func SelectorFromProto(m *teishiv1.Selector) (policy.Selector, error) {
	s := policy.Selector{Window: policy.Always}
	if m == nil {
		return s, nil
	}
	var err error
	if s.Organizations, err = organizationsFrom(m.Organizations); err != nil {
		return s, within("organizations", err)
	}
	if s.Targets, err = targetsFrom(m.Targets); err != nil {
		return s, within("targets", err)
	}
	if s.Purposes, err = purposesFrom(m.Purposes); err != nil {
		return s, within("purposes", err)
	}
	if s.Conditions, err = convert("conditions", m.Conditions, conditionFrom); err != nil {
		return s, err
	}
	if s.Window, err = windowFrom("effective_time", m.EffectiveTime, "expire_time", m.ExpireTime); err != nil {
		return s, err
	}
	return s, known(m)
}

func organizationsTo(s *policy.OrganizationSelector) *teishiv1.OrganizationSelector {
	if !s.Names() && len(s.Out) == 0 && len(s.Kinds) == 0 {
		return nil
	}
	return &teishiv1.OrganizationSelector{All: s.All, In: s.In, Out: s.Out, Kinds: s.Kinds}
}

func organizationsFrom(m *teishiv1.OrganizationSelector) (policy.OrganizationSelector, error) {
	if m == nil {
		return policy.OrganizationSelector{}, nil
	}
	return policy.OrganizationSelector{All: m.All, In: m.In, Out: m.Out, Kinds: m.Kinds}, known(m)
}

func targetsTo(s *policy.TargetSelector) *teishiv1.TargetSelector {
	if !s.Names() && len(s.Out) == 0 {
		return nil
	}
	return &teishiv1.TargetSelector{All: s.All, In: messages(s.In, targetTo), Out: messages(s.Out, targetTo)}
}

func targetsFrom(m *teishiv1.TargetSelector) (s policy.TargetSelector, err error) {
	if m == nil {
		return s, nil
	}
	s.All = m.All
	if s.In, err = convert("in", m.In, targetFrom); err != nil {
		return s, err
	}
	if s.Out, err = convert("out", m.Out, targetFrom); err != nil {
		return s, err
	}
	return s, known(m)
}

func targetTo(t *policy.Target) *teishiv1.Target {
	return &teishiv1.Target{App: t.App, Vendor: t.Vendor, Tag: t.Tag, Country: t.Country}
}

func targetFrom(m *teishiv1.Target) (policy.Target, error) {
	return policy.Target{App: m.GetApp(), Vendor: m.GetVendor(), Tag: m.GetTag(), Country: m.GetCountry()}, known(m)
}

func purposesTo(s *policy.PurposeSelector) *teishiv1.PurposeSelector {
	if len(s.In) == 0 && len(s.Out) == 0 {
		return nil
	}
	return &teishiv1.PurposeSelector{In: s.In, Out: s.Out}
}

func purposesFrom(m *teishiv1.PurposeSelector) (policy.PurposeSelector, error) {
	if m == nil {
		return policy.PurposeSelector{}, nil
	}
	return policy.PurposeSelector{In: m.In, Out: m.Out}, known(m)
}

func conditionTo(c *policy.Condition) *teishiv1.Condition {
	return &teishiv1.Condition{Attribute: c.Attribute, Values: c.Values}
}

func conditionFrom(m *teishiv1.Condition) (policy.Condition, error) {
	return policy.Condition{Attribute: m.GetAttribute(), Values: m.GetValues()}, known(m)
}
