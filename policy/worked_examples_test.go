package policy_test

import (
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// The worked examples of docs/semantics.md, asked of the engine and of the reference alike: the two could agree and
// both be wrong.

// municipal is a government of a ministry and a city, the app "line", and some purposes.
func municipal(resources ...policy.Resource) world {
	w := world{}
	w.put(
		&policy.Purpose{ID: "service"}, &policy.Purpose{ID: "service.payment"}, &policy.Purpose{ID: "feedback"},
		&policy.Attribute{ID: "data-sensitivity", Values: []string{"public", "internal", "confidential"}},
		&policy.Organization{ID: "government"},
		&policy.Organization{ID: "ministry", Parent: "government"},
		&policy.Organization{ID: "city", Parent: "government", Kind: "municipality"},
		&policy.Vendor{ID: "maker"},
		&policy.App{ID: "line", Tags: []string{"sns"}, Identifiers: []string{"domain:line.me"}, Ownerships: []policy.VendorPeriod{{Vendor: "maker", Window: policy.Always}}},
	)
	return w.with(resources...)
}

func suspension(id, organization string, target policy.TargetSelector) *policy.Directive {
	return &policy.Directive{ID: id, Authority: organization, Window: policy.Window{Start: noon, End: policy.Forever}, Provisions: []policy.Provision{{
		ID: "all", Force: policy.Binding, Selector: policy.Selector{
			Organizations: policy.OrganizationSelector{In: []string{organization}}, Targets: target, Window: policy.Always},
	}}}
}

var justLine = policy.TargetSelector{In: []policy.Target{{App: "line"}}}

func public() []policy.Condition {
	return []policy.Condition{{Attribute: "data-sensitivity", Values: []string{"public", "internal"}}}
}

// wants checks the whole answer but for what explain adds.
func wants(t *testing.T, w world, q policy.Query, want answer) {
	t.Helper()
	want.CitationsTotal = len(want.Citations)
	if want.Outcome == policy.Denied {
		want.Device = policy.DeviceBlock
	}
	engine := ask(fold(t, seeded(1), w).snapshot, q)
	for name, got := range map[string]answer{"engine": engine, "reference": newReference(w).answer(q)} {
		got.Considered, got.Upcoming = nil, nil
		if !equal(got, want) {
			t.Errorf("%s: Decide(%s) differs (-want +got):\n%s", name, render(q), difference(want, got))
		}
	}
}

func TestExamplePartialLift(t *testing.T) {
	three := policy.InstantOf(time.Date(2021, 4, 1, 15, 0, 0, 0, time.UTC))
	partial := &policy.Release{ID: "partial", Directive: "d", Kind: policy.Lift, EndTime: policy.Forever,
		Selector: policy.Selector{Conditions: public(), Window: policy.Window{Start: three, End: policy.Forever}}}
	w := municipal(suspension("d", "city", justLine), partial)
	q := policy.Query{Organization: "city", App: "line", Purpose: "feedback", Attributes: map[string]string{"data-sensitivity": "public"}, At: three - 60_000_000}
	cited := []citation{{Directive: "d", Provision: "all", Window: policy.Window{Start: noon, End: policy.Forever}}}
	wants(t, w, q, answer{Outcome: policy.Denied, Reason: policy.Suspended, Citations: cited, ValidUntil: three})

	q.At = three
	wants(t, w, q, answer{Outcome: policy.Allowed, Reason: policy.Released, ValidUntil: policy.Forever,
		Citations: []citation{{Directive: "d", Provision: "all", Release: "partial", Window: policy.Window{Start: three, End: policy.Forever}}}})

	q.Attributes = nil
	wants(t, w, q, answer{Outcome: policy.Indeterminate, Reason: policy.MissingAttribute, Missing: []string{"data-sensitivity"}, Citations: cited, ValidUntil: policy.Forever})
}

func TestExampleSuperiorsPermissionLiftsNothingBelow(t *testing.T) {
	lifted := &policy.Release{ID: "lift", Directive: "j1", Kind: policy.Lift, EndTime: policy.Forever, Selector: policy.Selector{Conditions: public(), Window: policy.Always}}
	w := municipal(suspension("j1", "government", justLine), lifted, suspension("j2", "ministry", justLine))
	q := policy.Query{Organization: "ministry", App: "line", Purpose: "service", Attributes: map[string]string{"data-sensitivity": "public"}, At: noon}
	wants(t, w, q, answer{Outcome: policy.Denied, Reason: policy.Suspended, ValidUntil: policy.Forever,
		Citations: []citation{{Directive: "j2", Provision: "all", Window: policy.Window{Start: noon, End: policy.Forever}}}})
}

func TestExampleCoarseQuestion(t *testing.T) {
	suspending := func(purpose string) *policy.Directive {
		d := suspension("d", "city", justLine)
		d.Provisions[0].Selector.Purposes.In = []string{purpose}
		return d
	}
	cited := []citation{{Directive: "d", Provision: "all", Window: policy.Window{Start: noon, End: policy.Forever}}}
	wants(t, municipal(suspending("service"), &policy.Purpose{ID: "feedback.opinion"}), policy.Query{Organization: "city", App: "line", At: noon}, answer{
		Outcome: policy.Indeterminate, Reason: policy.DependsOnPurpose, MissingPurpose: true, Permitted: []string{"feedback"}, Citations: cited, ValidUntil: policy.Forever})

	blocking := suspending("service")
	blocking.DeviceAction = policy.DeviceBlock
	wants(t, municipal(blocking, &policy.Purpose{ID: "feedback.opinion"}), policy.Query{Organization: "city", App: "line", At: noon}, answer{
		Outcome: policy.Indeterminate, Reason: policy.DependsOnPurpose, MissingPurpose: true, Permitted: []string{"feedback"}, Citations: cited, Device: policy.DeviceBlock, ValidUntil: policy.Forever})

	wants(t, municipal(suspending("service.payment")), policy.Query{Organization: "city", App: "line", Purpose: "service", At: noon}, answer{
		Outcome: policy.Indeterminate, Reason: policy.DependsOnPurpose, MissingPurpose: true, Citations: cited, ValidUntil: policy.Forever})
}

func TestExampleAllowList(t *testing.T) {
	approved := &policy.Release{ID: "approve-line", Directive: "d", Kind: policy.Lift, EndTime: policy.Forever, Selector: policy.Selector{Targets: justLine, Window: policy.Always}}
	w := municipal(suspension("d", "government", policy.TargetSelector{All: true}), approved)
	in := policy.Window{Start: noon, End: policy.Forever}
	wants(t, w, policy.Query{Organization: "city", App: "ios:unheard.of", Purpose: "service", At: noon}, answer{
		Outcome: policy.Denied, Reason: policy.Suspended, ValidUntil: policy.Forever, Citations: []citation{{Directive: "d", Provision: "all", Window: in}}})
	wants(t, w, policy.Query{Organization: "city", App: "domain:www.line.me", Purpose: "service", At: noon}, answer{
		Outcome: policy.Allowed, Reason: policy.Released, ValidUntil: policy.Forever, Citations: []citation{{Directive: "d", Provision: "all", Release: "approve-line", Window: in}}})
}

func TestExampleSold(t *testing.T) {
	sold := &policy.App{ID: "line", Ownerships: []policy.VendorPeriod{
		{Vendor: "maker", Window: policy.Window{Start: policy.Beginning, End: noon + hour}},
		{Vendor: "buyer", Window: policy.Window{Start: noon + hour, End: policy.Forever}},
	}}
	maker := &policy.Vendor{ID: "maker", Countries: []policy.CountryPeriod{{Country: "XX", Window: policy.Always}}}
	w := municipal(maker, &policy.Vendor{ID: "buyer"}, sold, suspension("d", "city", policy.TargetSelector{In: []policy.Target{{Country: "XX"}}}))
	q := policy.Query{Organization: "city", App: "line", Purpose: "service", At: noon + hour - 1}
	wants(t, w, q, answer{Outcome: policy.Denied, Reason: policy.Suspended, ValidUntil: noon + hour,
		Citations: []citation{{Directive: "d", Provision: "all", Window: policy.Window{Start: noon, End: policy.Forever}}}})
	q.At++
	wants(t, w, q, answer{Outcome: policy.Allowed, Reason: policy.NoDirective, ValidUntil: policy.Forever})
}

// An exemption brings its own obligations, then those of the directive's rules; advice that it meets is told as met.
func TestExampleExemption(t *testing.T) {
	d := suspension("d", "city", justLine)
	advisory := d.Provisions[0]
	advisory.ID, advisory.Force = "advice", policy.Advisory
	d.Provisions = append(d.Provisions, advisory)
	d.ExemptionRules = &policy.ExemptionRules{Grounds: []policy.Ground{{ID: "disaster"}}, Obligations: []policy.Obligation{{ID: "report", Text: "monthly"}}}
	in := policy.Window{Start: noon, End: noon + hour}
	exemption := &policy.Release{ID: "flood", Directive: "d", Kind: policy.Exemption, Ground: "disaster", EndTime: policy.Forever,
		Selector: policy.Selector{Window: in}, Obligations: []policy.Obligation{{ID: "log", Text: "every use"}}}
	wants(t, municipal(d, exemption), policy.Query{Organization: "city", App: "line", Purpose: "service", At: noon}, answer{
		Outcome: policy.Allowed, Reason: policy.Released, ValidUntil: noon + hour,
		Citations: []citation{{Directive: "d", Provision: "all", Release: "flood", Window: in}},
		Obligations: []policy.CarriedObligation{
			{Obligation: policy.Obligation{ID: "log", Text: "every use"}, Directive: "d", Release: "flood"},
			{Obligation: policy.Obligation{ID: "report", Text: "monthly"}, Directive: "d", Release: "flood"}},
		Advice: []advice{{Directive: "d", Provision: "advice", Release: "flood", Met: true}},
	})
}
