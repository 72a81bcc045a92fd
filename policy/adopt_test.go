package policy_test

import (
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// guideline is a directive that advises, and that others may adopt.
func guideline() *policy.Directive {
	advise := func(id string, o policy.OrganizationSelector) policy.Provision {
		return policy.Provision{ID: id, Force: policy.Advisory, Message: policy.TextOf(map[string]string{"en": id}), Selector: policy.Selector{
			Organizations: o, Targets: policy.TargetSelector{In: []policy.Target{{App: "line"}}}, Window: policy.Always}}
	}
	carve := func(id string, provisions ...string) policy.Release {
		return policy.Release{ID: id, Directive: "guideline", Kind: policy.CarveOut, Provisions: provisions,
			Selector: policy.Selector{Window: policy.Always}, EndTime: policy.Forever}
	}
	binding := advise("bound", policy.OrganizationSelector{In: []string{"mic"}})
	binding.Force = policy.Binding
	return &policy.Directive{
		ID: "guideline", Number: "1", Title: policy.TextOf(map[string]string{"en": "Guideline"}), Authority: "state", IssuingOffice: "NISC",
		LegalBasis: "none", Rationale: "concerns", Sources: []policy.Source{{Text: "the text"}}, Window: between("2021-04-30", "2022-04-30"),
		Supersedes: []string{"guide"}, Concerns: []policy.Concern{{ID: "access"}}, LiftMode: policy.LiftWhenConcernsResolved, DeviceAction: policy.DeviceBlock, LiftApprovals: 2,
		ExemptionRules: &policy.ExemptionRules{Grounds: []policy.Ground{{ID: "any"}}},
		Provisions: []policy.Provision{
			binding,
			advise("all", policy.OrganizationSelector{All: true, Out: []string{"mic", "ward"}, Kinds: []string{"municipality"}}),
			advise("above", policy.OrganizationSelector{In: []string{"local", "mic"}}),
			advise("beneath", policy.OrganizationSelector{In: []string{"mic", "ward"}}),
			advise("beside", policy.OrganizationSelector{In: []string{"mic"}}),
			advise("without", policy.OrganizationSelector{All: true, Out: []string{"local"}}),
		},
		CarveOuts: []policy.Release{carve("of-all"), carve("of-two", "bound", "above"), carve("of-none", "beside", "bound")},
	}
}

func TestCommandAdopt(t *testing.T) {
	s := propose(t, lawfulPolicy(t), puts(guideline()))
	original := guideline()
	cut := func(p policy.Provision, o policy.OrganizationSelector) policy.Provision {
		p.Force, p.Selector.Organizations = policy.Binding, o
		return p
	}
	ofAll, ofTwo := original.CarveOuts[0], original.CarveOuts[1]
	ofAll.Directive, ofTwo.Directive, ofTwo.Provisions = "ours", "ours", []string{"above"}
	want := &policy.Directive{
		ID: "ours", Number: "9", Title: original.Title, Authority: "osaka", IssuingOffice: "the mayor", Rationale: "concerns",
		Sources: original.Sources, Window: between("2021-05-01", "2022-04-30"), DeviceAction: policy.DeviceBlock,
		Provisions: []policy.Provision{
			cut(original.Provisions[1], policy.OrganizationSelector{In: []string{"osaka"}, Out: []string{"ward"}, Kinds: []string{"municipality"}}),
			cut(original.Provisions[2], policy.OrganizationSelector{In: []string{"osaka"}}),
			cut(original.Provisions[3], policy.OrganizationSelector{In: []string{"ward"}}),
		},
		CarveOuts:   []policy.Release{ofAll, ofTwo},
		AdoptedFrom: &policy.AdoptedFrom{Directive: "guideline", Revision: s.Revision()},
	}
	adoption := policy.Adoption{Directive: "guideline", ID: "ours", Authority: "osaka", Number: "9", IssuingOffice: "the mayor", At: on("2021-05-01")}
	s = propose(t, s, puts(&policy.Vendor{ID: "between"})) // the head is not the revision of the original
	changes, err := s.Adopt(adoption)
	after := command(t, s, changes, err, puts(want)...)
	if got := everythingOf(after.Directive("guideline")); got != everythingOf(guideline()) {
		t.Errorf("Adopt changed the original: %v", got)
	}

	amended := *want
	amended.AdoptedFrom, amended.Number = nil, "10"
	changes, err = after.Amend(&amended)
	after = command(t, after, changes, err, changes...)
	if got := after.Directive("ours").AdoptedFrom; got == nil || *got != *want.AdoptedFrom {
		t.Errorf("after Amend AdoptedFrom = %v, want %v", got, want.AdoptedFrom)
	}

	t.Run("under a title of its own, before the original", func(t *testing.T) {
		a, early := adoption, *want
		a.Title, a.At = policy.TextOf(map[string]string{"en": "Ours"}), on("2021-04-01")
		early.Title, early.Window.Start = a.Title, on("2021-04-30")
		changes, err := s.Adopt(a)
		command(t, s, changes, err, puts(&early)...)
	})
	t.Run("of what is superseded later", func(t *testing.T) {
		s := propose(t, s, puts(&policy.Directive{ID: "revised", Authority: "state", Window: since("2021-06-01"), Supersedes: []string{"guideline"}}))
		short := *want
		short.Window.End = on("2021-06-01")
		changes, err := s.Adopt(adoption)
		command(t, s, changes, err, puts(&short)...)
		late := adoption
		late.At = on("2021-06-01")
		changes, err = s.Adopt(late)
		failed(t, "Adopt of what was superseded", changes, err, forbidden("guideline", "directive"))
	})
	t.Run("of what does not bind it already", func(t *testing.T) {
		a := adoption
		a.Authority = "mic"
		changes, err := s.Adopt(a)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range changes[0].Put.(*policy.Directive).Provisions {
			got = append(got, p.ID)
		}
		if want := []string{"above", "beneath", "beside", "without"}; !slices.Equal(got, want) {
			t.Errorf("Adopt copies %v, want %v", got, want)
		}
	})
	for name, row := range map[string]struct {
		edit func(a *policy.Adoption)
		want error
	}{
		"of nothing":           {func(a *policy.Adoption) { a.Directive = "nothing" }, nothing()},
		"under an id in use":   {func(a *policy.Adoption) { a.ID = "halt" }, &policy.ExistsError{Key: halt().Key()}},
		"by nobody":            {func(a *policy.Adoption) { a.Authority = "nobody" }, unregistered("authority", policy.KindOrganization, "nobody")},
		"of what expired":      {func(a *policy.Adoption) { a.At = on("2022-04-30") }, forbidden("guideline", "directive")},
		"of nothing for it":    {func(a *policy.Adoption) { a.Directive = "memo" }, forbidden("memo", "authority")},
		"of nothing reachable": {func(a *policy.Adoption) { a.Directive, a.Authority = "mics", "osaka" }, forbidden("mics", "authority")},
	} {
		t.Run(name, func(t *testing.T) {
			mics := guideline()
			mics.ID, mics.Supersedes, mics.CarveOuts = "mics", nil, nil
			mics.Provisions = []policy.Provision{mics.Provisions[4], mics.Provisions[5]}
			s, a := propose(t, s, puts(mics)), adoption
			row.edit(&a)
			changes, err := s.Adopt(a)
			failed(t, "Adopt", changes, err, row.want)
		})
	}
}
