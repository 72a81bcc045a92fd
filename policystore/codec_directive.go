package policystore

import (
	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// DirectiveToProto returns the directive as of the revision at which it last changed; 0 in a payload.
func DirectiveToProto(d *policy.Directive, changed policy.Revision) *teishiv1.Directive {
	return &teishiv1.Directive{
		Id:             d.ID,
		Number:         d.Number,
		Title:          d.Title.Map(),
		Authority:      d.Authority,
		IssuingOffice:  d.IssuingOffice,
		LegalBasis:     d.LegalBasis,
		Rationale:      d.Rationale,
		Sources:        messages(d.Sources, SourceToProto),
		Provisions:     messages(d.Provisions, provisionTo),
		CarveOuts:      messages(d.CarveOuts, carveOutTo),
		LiftMode:       liftModeTo(d.LiftMode),
		EffectiveTime:  InstantToProto(d.Window.Start),
		ExpireTime:     InstantToProto(d.Window.End),
		Supersedes:     d.Supersedes,
		Concerns:       messages(d.Concerns, concernTo),
		ExemptionRules: exemptionRulesTo(d.ExemptionRules),
		Withdrawn:      withdrawalTo(d.Withdrawal),
		AdoptedFrom:    adoptedFromTo(d.AdoptedFrom),
		Revision:       int64(changed),
		DeviceAction:   deviceActionTo(d.DeviceAction),
		LiftApprovals:  int32(d.LiftApprovals),
	}
}

// DirectiveFromProto is strict. A directive without an effective_time begins at policy.Beginning.
func DirectiveFromProto(m *teishiv1.Directive) (*policy.Directive, error) {
	d := &policy.Directive{
		ID:            m.GetId(),
		Number:        m.GetNumber(),
		Title:         policy.TextOf(m.GetTitle()),
		Authority:     m.GetAuthority(),
		IssuingOffice: m.GetIssuingOffice(),
		LegalBasis:    m.GetLegalBasis(),
		Rationale:     m.GetRationale(),
		Supersedes:    m.GetSupersedes(),
		LiftApprovals: int(m.GetLiftApprovals()),
	}
	var err error
	if d.LiftMode, err = liftModeFrom(m.GetLiftMode()); err != nil {
		return nil, err
	}
	if d.DeviceAction, err = deviceActionFrom(m.GetDeviceAction()); err != nil {
		return nil, err
	}
	if d.Window, err = windowFrom("effective_time", m.GetEffectiveTime(), "expire_time", m.GetExpireTime()); err != nil {
		return nil, err
	}
	if err := directiveParts(d, m); err != nil {
		return nil, err
	}
	return d, known(m)
}

// directiveParts fills in what of a directive is a message of its own.
func directiveParts(d *policy.Directive, m *teishiv1.Directive) (err error) {
	if d.Sources, err = convert("sources", m.GetSources(), SourceFromProto); err != nil {
		return err
	}
	if d.Provisions, err = convert("provisions", m.GetProvisions(), provisionFrom); err != nil {
		return err
	}
	carveOut := func(m *teishiv1.Release) (policy.Release, error) { return carveOutFrom(d.ID, m) }
	if d.CarveOuts, err = convert("carve_outs", m.GetCarveOuts(), carveOut); err != nil {
		return err
	}
	if d.Concerns, err = convert("concerns", m.GetConcerns(), concernFrom); err != nil {
		return err
	}
	if d.ExemptionRules, err = exemptionRulesFrom(m.GetExemptionRules()); err != nil {
		return within("exemption_rules", err)
	}
	if d.Withdrawal, err = withdrawalFrom(m.GetWithdrawn()); err != nil {
		return within("withdrawn", err)
	}
	if d.AdoptedFrom, err = adoptedFromFrom(m.GetAdoptedFrom()); err != nil {
		return within("adopted_from", err)
	}
	return nil
}

// SourceToProto converts a source.
func SourceToProto(s *policy.Source) *teishiv1.Source {
	return &teishiv1.Source{Uri: s.URI, Text: s.Text}
}

// SourceFromProto is strict.
func SourceFromProto(m *teishiv1.Source) (policy.Source, error) {
	return policy.Source{URI: m.GetUri(), Text: m.GetText()}, known(m)
}

func provisionTo(p *policy.Provision) *teishiv1.Provision {
	return &teishiv1.Provision{
		Id:           p.ID,
		Selector:     SelectorToProto(&p.Selector),
		Force:        forceTo(p.Force),
		Message:      p.Message.Map(),
		Alternatives: messages(p.Alternatives, AlternativeToProto),
	}
}

func provisionFrom(m *teishiv1.Provision) (policy.Provision, error) {
	p := policy.Provision{ID: m.GetId(), Message: policy.TextOf(m.GetMessage())}
	var err error
	if p.Selector, err = SelectorFromProto(m.GetSelector()); err != nil {
		return p, within("selector", err)
	}
	if p.Force, err = forceFrom(m.GetForce()); err != nil {
		return p, err
	}
	if p.Alternatives, err = convert("alternatives", m.GetAlternatives(), AlternativeFromProto); err != nil {
		return p, err
	}
	return p, known(m)
}

func forceTo(f policy.Force) teishiv1.Force {
	switch f {
	case policy.Binding:
		return teishiv1.Force_FORCE_BINDING
	case policy.Advisory:
		return teishiv1.Force_FORCE_ADVISORY
	}
	return teishiv1.Force_FORCE_UNSPECIFIED
}

func forceFrom(f teishiv1.Force) (policy.Force, error) {
	switch f {
	case teishiv1.Force_FORCE_BINDING:
		return policy.Binding, nil
	case teishiv1.Force_FORCE_ADVISORY:
		return policy.Advisory, nil
	case teishiv1.Force_FORCE_UNSPECIFIED:
		return 0, &FormatError{Where: "force", Problem: "must be stated"}
	}
	return 0, unknownValue("force", f)
}

// AlternativeToProto converts an alternative.
func AlternativeToProto(a *policy.Alternative) *teishiv1.Alternative {
	return &teishiv1.Alternative{Id: a.ID, Text: a.Text, Uri: a.URI}
}

// AlternativeFromProto is strict.
func AlternativeFromProto(m *teishiv1.Alternative) (policy.Alternative, error) {
	return policy.Alternative{ID: m.GetId(), Text: m.GetText(), URI: m.GetUri()}, known(m)
}

func concernTo(c *policy.Concern) *teishiv1.Concern {
	return &teishiv1.Concern{Id: c.ID, Text: c.Text}
}

func concernFrom(m *teishiv1.Concern) (policy.Concern, error) {
	return policy.Concern{ID: m.GetId(), Text: m.GetText()}, known(m)
}

func liftModeTo(l policy.LiftMode) teishiv1.LiftMode {
	if l == policy.LiftWhenConcernsResolved {
		return teishiv1.LiftMode_LIFT_MODE_WHEN_CONCERNS_RESOLVED
	}
	return teishiv1.LiftMode_LIFT_MODE_MANUAL
}

func liftModeFrom(l teishiv1.LiftMode) (policy.LiftMode, error) {
	switch l {
	case teishiv1.LiftMode_LIFT_MODE_UNSPECIFIED, teishiv1.LiftMode_LIFT_MODE_MANUAL:
		return policy.LiftManual, nil
	case teishiv1.LiftMode_LIFT_MODE_WHEN_CONCERNS_RESOLVED:
		return policy.LiftWhenConcernsResolved, nil
	}
	return 0, unknownValue("lift_mode", l)
}

// deviceActionTo leaves the default out, so that what was written before the field was known keeps its bytes, in checkpoints
// too.
func deviceActionTo(a policy.DeviceAction) teishiv1.DeviceAction {
	if a == policy.DeviceBlock {
		return teishiv1.DeviceAction_DEVICE_ACTION_BLOCK
	}
	return teishiv1.DeviceAction_DEVICE_ACTION_UNSPECIFIED
}

func deviceActionFrom(a teishiv1.DeviceAction) (policy.DeviceAction, error) {
	switch a {
	case teishiv1.DeviceAction_DEVICE_ACTION_UNSPECIFIED, teishiv1.DeviceAction_DEVICE_ACTION_ALLOW:
		return policy.DeviceAllow, nil
	case teishiv1.DeviceAction_DEVICE_ACTION_BLOCK:
		return policy.DeviceBlock, nil
	}
	return 0, unknownValue("device_action", a)
}
