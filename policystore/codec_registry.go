package policystore

import (
	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// OrganizationToProto returns the organization as of the revision at which it last changed; 0 in a payload.
func OrganizationToProto(o *policy.Organization, changed policy.Revision) *teishiv1.Organization {
	return &teishiv1.Organization{
		Id:       o.ID,
		Names:    o.Names.Map(),
		Kind:     o.Kind,
		Parent:   o.Parent,
		Aliases:  o.Aliases,
		Labels:   o.Labels,
		Retired:  o.Retired,
		Revision: int64(changed),
	}
}

// OrganizationFromProto is strict.
func OrganizationFromProto(m *teishiv1.Organization) (*policy.Organization, error) {
	return &policy.Organization{
		ID:      m.GetId(),
		Names:   policy.TextOf(m.GetNames()),
		Kind:    m.GetKind(),
		Parent:  m.GetParent(),
		Aliases: m.GetAliases(),
		Labels:  m.GetLabels(),
		Retired: m.GetRetired(),
	}, known(m)
}

// VendorToProto returns the vendor as of the revision at which it last changed; 0 in a payload.
func VendorToProto(v *policy.Vendor, changed policy.Revision) *teishiv1.Vendor {
	return &teishiv1.Vendor{
		Id:        v.ID,
		Names:     v.Names.Map(),
		Parents:   messages(v.Parents, vendorPeriodTo),
		Countries: messages(v.Countries, countryPeriodTo),
		Labels:    v.Labels,
		Retired:   v.Retired,
		Revision:  int64(changed),
	}
}

// VendorFromProto is strict.
func VendorFromProto(m *teishiv1.Vendor) (*policy.Vendor, error) {
	v := &policy.Vendor{ID: m.GetId(), Names: policy.TextOf(m.GetNames()), Labels: m.GetLabels(), Retired: m.GetRetired()}
	var err error
	if v.Parents, err = convert("parents", m.GetParents(), vendorPeriodFrom); err != nil {
		return nil, err
	}
	if v.Countries, err = convert("countries", m.GetCountries(), countryPeriodFrom); err != nil {
		return nil, err
	}
	return v, known(m)
}

func vendorPeriodTo(p *policy.VendorPeriod) *teishiv1.VendorPeriod {
	return &teishiv1.VendorPeriod{
		Vendor:    p.Vendor,
		StartTime: InstantToProto(p.Window.Start),
		EndTime:   InstantToProto(p.Window.End),
	}
}

func vendorPeriodFrom(m *teishiv1.VendorPeriod) (policy.VendorPeriod, error) {
	w, err := windowFrom("start_time", m.GetStartTime(), "end_time", m.GetEndTime())
	if err != nil {
		return policy.VendorPeriod{}, err
	}
	return policy.VendorPeriod{Vendor: m.GetVendor(), Window: w}, known(m)
}

func countryPeriodTo(p *policy.CountryPeriod) *teishiv1.CountryPeriod {
	return &teishiv1.CountryPeriod{
		Country:   p.Country,
		StartTime: InstantToProto(p.Window.Start),
		EndTime:   InstantToProto(p.Window.End),
	}
}

func countryPeriodFrom(m *teishiv1.CountryPeriod) (policy.CountryPeriod, error) {
	w, err := windowFrom("start_time", m.GetStartTime(), "end_time", m.GetEndTime())
	if err != nil {
		return policy.CountryPeriod{}, err
	}
	return policy.CountryPeriod{Country: m.GetCountry(), Window: w}, known(m)
}

// AppToProto returns the app as of the revision at which it last changed; 0 in a payload.
func AppToProto(a *policy.App, changed policy.Revision) *teishiv1.App {
	return &teishiv1.App{
		Id:          a.ID,
		Names:       a.Names.Map(),
		Ownerships:  messages(a.Ownerships, ownershipTo),
		Tags:        a.Tags,
		Identifiers: a.Identifiers,
		OnStale:     onStaleTo(a.OnStale),
		Labels:      a.Labels,
		Retired:     a.Retired,
		Revision:    int64(changed),
	}
}

// AppFromProto is strict.
func AppFromProto(m *teishiv1.App) (*policy.App, error) {
	a := &policy.App{
		ID:          m.GetId(),
		Names:       policy.TextOf(m.GetNames()),
		Tags:        m.GetTags(),
		Identifiers: m.GetIdentifiers(),
		Labels:      m.GetLabels(),
		Retired:     m.GetRetired(),
	}
	var err error
	if a.Ownerships, err = convert("ownerships", m.GetOwnerships(), ownershipFrom); err != nil {
		return nil, err
	}
	if a.OnStale, err = onStaleFrom(m.GetOnStale()); err != nil {
		return nil, err
	}
	return a, known(m)
}

func ownershipTo(p *policy.VendorPeriod) *teishiv1.Ownership {
	return &teishiv1.Ownership{
		Vendor:    p.Vendor,
		StartTime: InstantToProto(p.Window.Start),
		EndTime:   InstantToProto(p.Window.End),
	}
}

func ownershipFrom(m *teishiv1.Ownership) (policy.VendorPeriod, error) {
	w, err := windowFrom("start_time", m.GetStartTime(), "end_time", m.GetEndTime())
	if err != nil {
		return policy.VendorPeriod{}, err
	}
	return policy.VendorPeriod{Vendor: m.GetVendor(), Window: w}, known(m)
}

func onStaleTo(s policy.OnStale) teishiv1.OnStale {
	if s == policy.StaleDeny {
		return teishiv1.OnStale_ON_STALE_DENY
	}
	return teishiv1.OnStale_ON_STALE_SERVE
}

func onStaleFrom(s teishiv1.OnStale) (policy.OnStale, error) {
	switch s {
	case teishiv1.OnStale_ON_STALE_UNSPECIFIED, teishiv1.OnStale_ON_STALE_SERVE:
		return policy.StaleServe, nil
	case teishiv1.OnStale_ON_STALE_DENY:
		return policy.StaleDeny, nil
	}
	return 0, unknownValue("on_stale", s)
}

// PurposeToProto returns the purpose as of the revision at which it last changed; 0 in a payload.
func PurposeToProto(p *policy.Purpose, changed policy.Revision) *teishiv1.Purpose {
	return &teishiv1.Purpose{Id: p.ID, Names: p.Names.Map(), Retired: p.Retired, Revision: int64(changed)}
}

// PurposeFromProto is strict.
func PurposeFromProto(m *teishiv1.Purpose) (*policy.Purpose, error) {
	return &policy.Purpose{ID: m.GetId(), Names: policy.TextOf(m.GetNames()), Retired: m.GetRetired()}, known(m)
}

// AttributeToProto returns the attribute as of the revision at which it last changed; 0 in a payload.
func AttributeToProto(a *policy.Attribute, changed policy.Revision) *teishiv1.Attribute {
	return &teishiv1.Attribute{Id: a.ID, Names: a.Names.Map(), Values: a.Values, Retired: a.Retired, Revision: int64(changed)}
}

// AttributeFromProto is strict.
func AttributeFromProto(m *teishiv1.Attribute) (*policy.Attribute, error) {
	return &policy.Attribute{ID: m.GetId(), Names: policy.TextOf(m.GetNames()), Values: m.GetValues(), Retired: m.GetRetired()}, known(m)
}
