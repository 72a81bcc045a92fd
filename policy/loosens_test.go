package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// instruments are directives of the state, one for each way in which an entry may loosen one, on the registry of lawfulPolicy.
func instruments() map[string]*policy.Directive {
	of := func(t policy.Target) policy.TargetSelector { return policy.TargetSelector{In: []policy.Target{t}} }
	list := map[string]*policy.Directive{
		"app":      suspension("app", "mic", of(policy.Target{App: "line"})),
		"vendor":   suspension("vendor", "state", of(policy.Target{Vendor: "naver"})),
		"tag":      suspension("tag", "court", of(policy.Target{Tag: "sns"})),
		"allow":    suspension("allow", "local", policy.TargetSelector{All: true}),
		"kind":     suspension("kind", "state", of(policy.Target{App: "line"})),
		"except":   suspension("except", "state", of(policy.Target{App: "line"})),
		"devices":  suspension("devices", "court", of(policy.Target{App: "line-pay"})),
		"service":  suspension("service", "court", of(policy.Target{App: "line-pay"})),
		"purposes": suspension("purposes", "court", of(policy.Target{App: "line-pay"})),
		"advice":   suspension("advice", "mic", of(policy.Target{App: "line"})),
		"full":     suspension("full", "mic", of(policy.Target{App: "line"})),
	}
	for _, d := range list {
		d.Authority, d.Window = "state", between("2021-03-19", "2022-03-19")
	}
	list["allow"].Authority = "local"
	list["kind"].Provisions[0].Selector.Organizations.Kinds = []string{"ministry"}
	list["except"].Provisions[0].Selector.Organizations.Out = []string{"bureau"}
	list["devices"].Provisions[0].Selector.Conditions = []policy.Condition{{Attribute: "colour", Values: []string{"red"}}}
	list["service"].Provisions[0].Selector.Purposes.In = []string{"service"}
	list["purposes"].Provisions[0].Selector.Purposes.In = []string{
		"internal", "public", "feedback", "service", "counselling", "health", "mission", "marketing", "research", "past"}
	list["advice"].Provisions[0].Force = policy.Advisory
	full := list["full"]
	full.LiftApprovals, full.DeviceAction, full.LiftMode = 2, policy.DeviceBlock, policy.LiftWhenConcernsResolved
	full.Concerns = []policy.Concern{{ID: "access"}, {ID: "location"}}
	full.Provisions = append(full.Provisions, policy.Provision{ID: "advised", Force: policy.Advisory, Selector: full.Provisions[0].Selector})
	full.CarveOuts = []policy.Release{{ID: "hole", Directive: "full", Kind: policy.CarveOut, EndTime: policy.Forever, Provisions: []string{"all"},
		Selector: policy.Selector{Purposes: policy.PurposeSelector{In: []string{"counselling"}}, Window: policy.Always}, Obligations: []policy.Obligation{{ID: "log", Text: "keep a log"}}}}
	full.ExemptionRules = &policy.ExemptionRules{Grounds: []policy.Ground{{ID: "research", Text: "of security"}, {ID: "regulator"}},
		LongestDuration: 24 * time.Hour, Obligations: []policy.Obligation{{ID: "delete"}}, NotWhole: []string{"ministry"}}
	return list
}

// approval lets what has the tag through the allow-list.
func approval() *policy.Release {
	return &policy.Release{ID: "approved", Directive: "allow", Kind: policy.Lift, EndTime: policy.Forever,
		Selector: policy.Selector{Targets: policy.TargetSelector{In: []policy.Target{{Tag: "approved"}}}, Window: since("2021-03-19")}}
}

// statute is the policy of the instruments.
func statute(t *testing.T) *policy.Snapshot {
	t.Helper()
	s := propose(t, policy.New(), policy.Birth())
	s = propose(t, s, registryBefore())
	s = propose(t, s, puts(&policy.App{ID: "chat", Tags: []string{"sns"}, Identifiers: []string{"domain:chat.line.me"}, OnStale: policy.StaleDeny}))
	for _, d := range instruments() {
		s = propose(t, s, puts(d))
	}
	void := instruments()["app"]
	void.ID, void.Withdrawal = "void", &policy.Withdrawal{Time: on("2021-03-20")}
	return propose(t, s, puts(approval(), void))
}

// amended is the entry that amends one of the instruments.
func amended(id string, edit func(d *policy.Directive)) []policy.Change {
	return edited(instruments()[id], edit)
}

func inRules(edit func(r *policy.ExemptionRules)) []policy.Change {
	return amended("full", func(d *policy.Directive) { edit(d.ExemptionRules) })
}

func inSelector(id string, edit func(s *policy.Selector)) []policy.Change {
	return amended(id, func(d *policy.Directive) { edit(&d.Provisions[0].Selector) })
}

func inHole(edit func(r *policy.Release)) []policy.Change {
	return amended("full", func(d *policy.Directive) { edit(&d.CarveOuts[0]) })
}

// loosening is an entry and what it loosens.
type loosening struct {
	name    string
	changes []policy.Change
	want    []string
}

func testLoosens(t *testing.T, s *policy.Snapshot, rows []loosening) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			propose(t, s, row.changes)
			got, err := policy.Loosens(s, row.changes)
			if err != nil || !slices.Equal(got, row.want) {
				t.Errorf("Loosens = %q, %v, want %q", got, err, row.want)
			}
		})
	}
}

func TestLoosensByReleases(t *testing.T) {
	lift := &policy.Release{ID: "lift", Directive: "full", Kind: policy.Lift, EndTime: policy.Forever, Selector: policy.Selector{Window: since("2021-04-01")}}
	of := func(provision string) *policy.Release {
		r := *lift
		r.Provisions = []string{provision}
		return &r
	}
	ended := approval()
	ended.EndTime = on("2021-04-01")
	testLoosens(t, statute(t), []loosening{
		{"a lift", puts(lift), []string{"full"}},
		{"a lift of what binds", puts(of("all")), []string{"full"}},
		{"a lift of what only advises", puts(of("advised")), nil},
		{"an end of a lift", puts(ended), nil},
		{"two entries in one", puts(lift, &policy.App{ID: "line-pay", Tags: []string{"approved"}, Identifiers: []string{"ios:pay"}}), []string{"allow", "full"}},
		{"nothing", nil, nil},
	})
}

func TestLoosensByText(t *testing.T) {
	void := func(id string) []policy.Change {
		return amended(id, func(d *policy.Directive) { d.Withdrawal = &policy.Withdrawal{Time: on("2021-04-01")} })
	}
	testLoosens(t, statute(t), []loosening{
		{"as it was", puts(instruments()["full"]), nil},
		{"a withdrawal", void("full"), []string{"full"}},
		{"a withdrawal of what only advises", void("advice"), nil},
		{"another title", amended("full", func(d *policy.Directive) { d.Number, d.LegalBasis = "2", "the law" }), nil},
		{"another authority", amended("advice", func(d *policy.Directive) { d.Authority = "mic" }), []string{"advice"}},
		{"fewer approvals", amended("full", func(d *policy.Directive) { d.LiftApprovals = 1 }), []string{"full"}},
		{"more approvals", amended("full", func(d *policy.Directive) { d.LiftApprovals = 3 }), nil},
		{"a later start", amended("app", func(d *policy.Directive) { d.Window.Start++ }), []string{"app"}},
		{"an earlier start", amended("app", func(d *policy.Directive) { d.Window.Start-- }), nil},
		{"an earlier end", amended("app", func(d *policy.Directive) { d.Window.End-- }), []string{"app"}},
		{"a later end", amended("app", func(d *policy.Directive) { d.Window.End++ }), nil},
		{"devices that allow", amended("full", func(d *policy.Directive) { d.DeviceAction = policy.DeviceAllow }), []string{"full"}},
		{"devices that block", amended("app", func(d *policy.Directive) { d.DeviceAction = policy.DeviceBlock }), nil},
		{"a concern less", amended("full", func(d *policy.Directive) { d.Concerns = d.Concerns[1:] }), []string{"full"}},
		{"lifted by hand", amended("full", func(d *policy.Directive) { d.LiftMode, d.Concerns = policy.LiftManual, nil }), nil},
		{"lifted by concerns", amended("app", func(d *policy.Directive) {
			d.LiftMode, d.Concerns = policy.LiftWhenConcernsResolved, []policy.Concern{{ID: "c"}}
		}), []string{"app"}},
		{"a provision less", amended("app", func(d *policy.Directive) { d.Provisions = nil }), []string{"app"}},
		{"a provision that only advises", amended("app", func(d *policy.Directive) { d.Provisions[0].Force = policy.Advisory }), []string{"app"}},
		{"advice less", amended("full", func(d *policy.Directive) { d.Provisions = d.Provisions[:1] }), nil},
		{"another message", amended("app", func(d *policy.Directive) { d.Provisions[0].Message = policy.TextOf(map[string]string{"en": "no"}) }), nil},
		{"a carve-out", amended("app", func(d *policy.Directive) {
			d.CarveOuts = []policy.Release{{ID: "c", Directive: "app", Kind: policy.CarveOut, EndTime: policy.Forever, Selector: policy.Selector{Window: policy.Always}}}
		}), []string{"app"}},
		{"a carve-out less", amended("full", func(d *policy.Directive) { d.CarveOuts = nil }), nil},
		{"a carve-out of more purposes", inHole(func(r *policy.Release) { r.Selector.Purposes.In = nil }), []string{"full"}},
		{"a carve-out of fewer purposes", inHole(func(r *policy.Release) { r.Selector.Purposes.In = []string{"counselling.child"} }), nil},
		{"a carve-out of all provisions", inHole(func(r *policy.Release) { r.Provisions = nil }), []string{"full"}},
		{"a carve-out of another provision too", inHole(func(r *policy.Release) { r.Provisions = []string{"all", "advised"} }), []string{"full"}},
		{"a carve-out that obliges to nothing", inHole(func(r *policy.Release) { r.Obligations = nil }), []string{"full"}},
		{"a carve-out that obliges to something else", inHole(func(r *policy.Release) { r.Obligations[0].Text = "keep none" }), []string{"full"}},
		{"exemptions", amended("app", func(d *policy.Directive) { d.ExemptionRules = &policy.ExemptionRules{} }), []string{"app"}},
		{"no exemptions", amended("full", func(d *policy.Directive) { d.ExemptionRules = nil }), nil},
		{"a ground more", inRules(func(r *policy.ExemptionRules) { r.Grounds = append(r.Grounds, policy.Ground{ID: "other"}) }), []string{"full"}},
		{"another ground", inRules(func(r *policy.ExemptionRules) { r.Grounds[0].Text = "of anything" }), []string{"full"}},
		{"a ground less", inRules(func(r *policy.ExemptionRules) { r.Grounds = r.Grounds[1:] }), nil},
		{"longer exemptions", inRules(func(r *policy.ExemptionRules) { r.LongestDuration++ }), []string{"full"}},
		{"exemptions of any length", inRules(func(r *policy.ExemptionRules) { r.LongestDuration = 0 }), []string{"full"}},
		{"shorter exemptions", inRules(func(r *policy.ExemptionRules) { r.LongestDuration-- }), nil},
		{"exemptions that oblige to nothing", inRules(func(r *policy.ExemptionRules) { r.Obligations = nil }), []string{"full"}},
		{"whole exemptions", inRules(func(r *policy.ExemptionRules) { r.NotWhole = nil }), []string{"full"}},
		{"exemptions by whom they exempt", inRules(func(r *policy.ExemptionRules) { r.Approver = policy.ApproverSubject }), []string{"full"}},
	})
}

func TestLoosensBySelectors(t *testing.T) {
	testLoosens(t, statute(t), []loosening{
		{"fewer organizations", inSelector("app", func(s *policy.Selector) { s.Organizations.In = []string{"bureau"} }), []string{"app"}},
		{"an organization above", inSelector("app", func(s *policy.Selector) { s.Organizations.In = []string{"state"} }), nil},
		{"an organization left out", inSelector("app", func(s *policy.Selector) { s.Organizations.Out = []string{"bureau"} }), []string{"app"}},
		{"one left out no more", inSelector("except", func(s *policy.Selector) { s.Organizations.Out = nil }), nil},
		{"less left out", inSelector("except", func(s *policy.Selector) { s.Organizations.Out = []string{"bureau", "court"} }), []string{"except"}},
		{"kinds", inSelector("app", func(s *policy.Selector) { s.Organizations.Kinds = []string{"ministry"} }), []string{"app"}},
		{"a kind more", inSelector("kind", func(s *policy.Selector) { s.Organizations.Kinds = []string{"court", "ministry"} }), nil},
		{"another kind", inSelector("kind", func(s *policy.Selector) { s.Organizations.Kinds = []string{"court"} }), []string{"kind"}},
		{"another app", inSelector("app", func(s *policy.Selector) { s.Targets.In[0].App = "line-pay" }), []string{"app"}},
		{"an app more", inSelector("app", func(s *policy.Selector) { s.Targets.In = append(s.Targets.In, policy.Target{App: "line-pay"}) }), nil},
		{"apps of another vendor", inSelector("vendor", func(s *policy.Selector) { s.Targets.In[0].Vendor = "zhd" }), []string{"vendor"}},
		{"a vendor's app of a tag", inSelector("vendor", func(s *policy.Selector) { s.Targets.In[0].Tag = "sns" }), []string{"vendor"}},
		{"all apps", inSelector("app", func(s *policy.Selector) { s.Targets = policy.TargetSelector{All: true} }), nil},
		{"an app left out", inSelector("allow", func(s *policy.Selector) { s.Targets.Out = []policy.Target{{App: "line-pay"}} }), []string{"allow"}},
		{"purposes", inSelector("app", func(s *policy.Selector) { s.Purposes.In = []string{"service"} }), []string{"app"}},
		{"a purpose beneath", inSelector("service", func(s *policy.Selector) { s.Purposes.In = []string{"service.payment"} }), []string{"service"}},
		{"a purpose more", inSelector("service", func(s *policy.Selector) { s.Purposes.In = []string{"public", "service"} }), nil},
		{"a purpose left out", inSelector("service", func(s *policy.Selector) { s.Purposes.Out = []string{"service.payment"} }), []string{"service"}},
		{"a condition", inSelector("app", func(s *policy.Selector) { s.Conditions = instruments()["devices"].Provisions[0].Selector.Conditions }), []string{"app"}},
		{"a condition less", inSelector("devices", func(s *policy.Selector) { s.Conditions = nil }), nil},
		{"a value more", inSelector("devices", func(s *policy.Selector) { s.Conditions[0].Values = []string{"blue", "red"} }), nil},
		{"a value beneath", inSelector("devices", func(s *policy.Selector) { s.Conditions[0].Values = []string{"red.dark"} }), []string{"devices"}},
		{"a window", inSelector("app", func(s *policy.Selector) { s.Window = since("2021-03-20") }), []string{"app"}},
	})
}

func TestLoosensBySuccessors(t *testing.T) {
	successor := func(from string, ids ...string) []policy.Change {
		d := suspension("next", "state", justLine)
		d.Window, d.Supersedes = since(from), ids
		return puts(d)
	}
	testLoosens(t, statute(t), []loosening{
		{"a new directive", successor("2021-04-01"), nil},
		{"a successor", successor("2021-04-01", "vendor", "app", "advice"), []string{"app", "vendor"}},
		{"a successor of what has ended", successor("2022-03-19", "app"), nil},
		{"a successor of what is void", successor("2021-04-01", "void"), nil},
	})
	s := propose(t, statute(t), successor("2021-06-01", "app"))
	testLoosens(t, s, []loosening{
		{"an earlier start", successor("2021-05-01", "app"), []string{"app"}},
		{"a later start", successor("2021-07-01", "app"), []string{"next"}},
		{"another too", successor("2021-06-01", "app", "vendor"), []string{"vendor"}},
		{"none any more", successor("2021-06-01"), nil},
	})
}

func TestLoosensByOrganizations(t *testing.T) {
	put := func(id, kind, parent string, aliases ...string) []policy.Change {
		return puts(&policy.Organization{ID: id, Kind: kind, Parent: parent, Aliases: aliases})
	}
	const alias = "corporate-number:2000012020001"
	testLoosens(t, statute(t), []loosening{
		{"another name", edited(ministry(), func(o *policy.Organization) { o.Names, o.Retired = nil, true }), nil},
		{"a new one", put("new", "office", "mic"), nil},
		{"another kind", put("mic", "agency", "state", alias), []string{"kind"}},
		{"the kind too", put("court", "ministry", "state"), nil},
		{"an alias less", put("mic", "ministry", "state"), []string{"app", "except", "full", "kind", "vendor"}},
		{"an alias more", put("court", "court", "state", "jis:131016"), nil},
		{"moved from what binds it", put("bureau", "bureau", "court"), []string{"app", "full", "kind"}},
		{"moved beneath what is left out", put("court", "court", "bureau"), []string{"except"}},
		{"moved beneath what binds it too", put("ward", "", "mic"), []string{"allow"}},
		{"gone", deletes(key(policy.KindOrganization, "ward")), []string{"allow"}},
	})
}

// TestLoosensBeneath has a provision hold for a body because of what lies above it.
func TestLoosensBeneath(t *testing.T) {
	s := propose(t, statute(t), inSelector("kind", func(s *policy.Selector) { s.Organizations.In = []string{"bureau"} }))
	testLoosens(t, s, []loosening{{"another kind above", edited(ministry(), func(o *policy.Organization) { o.Kind = "agency" }), []string{"kind"}}})
}

// TestLoosensByWhatReleasesGain has a release hold for a body and in a circumstance.
func TestLoosensByWhatReleasesGain(t *testing.T) {
	lift := approval()
	lift.Directive, lift.Selector = "vendor", policy.Selector{Organizations: policy.OrganizationSelector{In: []string{"court"}},
		Conditions: []policy.Condition{{Attribute: "mark", Values: []string{"x"}}}, Window: since("2021-03-19")}
	testLoosens(t, propose(t, statute(t), puts(lift)), []loosening{
		{"moved beneath what it frees", puts(&policy.Organization{ID: "bureau", Kind: "bureau", Parent: "court"}), []string{"app", "full", "kind", "vendor"}},
		{"moved beneath it whom nothing bound", puts(&policy.Organization{ID: "ward", Parent: "court"}), []string{"allow"}},
		{"a value more", puts(&policy.Attribute{ID: "mark", Values: []string{"x", "y", "z"}}), []string{"vendor"}},
	})
}

// TestLoosensByMovingAndAmending moves an organization and has the directive name what it lay beneath.
func TestLoosensByMovingAndAmending(t *testing.T) {
	in := func(id string) []policy.Change {
		return inSelector("app", func(s *policy.Selector) { s.Organizations.In = []string{id} })
	}
	s := propose(t, statute(t), in("bureau"))
	moved := puts(&policy.Organization{ID: "bureau", Kind: "bureau", Parent: "court"})
	testLoosens(t, s, []loosening{
		{"what it lay beneath", append(in("mic"), moved...), []string{"app", "full", "kind"}},
		{"what it lies beneath", append(in("court"), moved...), []string{"full", "kind"}},
	})
}

func TestLoosensByApps(t *testing.T) {
	testLoosens(t, statute(t), []loosening{
		{"another name", edited(line(), func(a *policy.App) { a.Names, a.Retired = policy.TextOf(map[string]string{"en": "L"}), true }), nil},
		{"a tag more", edited(line(), func(a *policy.App) { a.Tags = append(a.Tags, "video") }), nil},
		{"a tag that is approved", edited(line(), func(a *policy.App) { a.Tags = append(a.Tags, "approved") }), []string{"allow"}},
		{"a tag less", edited(line(), func(a *policy.App) { a.Tags = nil }), []string{"tag"}},
		{"sold", edited(line(), func(a *policy.App) { a.Ownerships[0].Vendor = "zhd" }), nil},
		{"an identifier more", edited(line(), func(a *policy.App) { a.Identifiers = append(a.Identifiers, "android:line") }), nil},
		{"an identifier less", edited(line(), func(a *policy.App) { a.Identifiers = a.Identifiers[:1] }), []string{"app", "except", "full", "kind", "tag"}},
		{"a domain of its own", puts(&policy.App{ID: "new", Identifiers: []string{"domain:pay.line.me"}}), []string{"app", "except", "full", "kind", "tag"}},
		{"a new one", puts(&policy.App{ID: "new", Tags: []string{"approved"}}), nil},
		{"a new one that is approved", puts(&policy.App{ID: "new", Tags: []string{"approved"}, Identifiers: []string{"ios:new"}}), []string{"allow"}},
		{"served when policy is old", puts(&policy.App{ID: "chat", Tags: []string{"sns"}, Identifiers: []string{"domain:chat.line.me"}}), []string{"allow", "tag"}},
		{"no longer served", edited(line(), func(a *policy.App) { a.OnStale = policy.StaleDeny }), nil},
		{"gone", deletes(key(policy.KindApp, "chat")), []string{"allow", "tag"}},
	})
}

func TestLoosensByVendors(t *testing.T) {
	s := propose(t, statute(t), puts(&policy.App{ID: "works", Ownerships: []policy.VendorPeriod{{Vendor: "line-corp", Window: policy.Always}}}))
	early := func(d *policy.Directive) { d.Window.Start = on("2021-02-01") }
	s = propose(t, s, amended("vendor", early))
	testLoosens(t, s, []loosening{
		{"another name", edited(lineCorp(), func(v *policy.Vendor) { v.Names = nil }), nil},
		{"sold sooner", edited(lineCorp(), func(v *policy.Vendor) { v.Parents = v.Parents[1:] }), []string{"vendor"}},
		{"sold before anything was in force", edited(lineCorp(), func(v *policy.Vendor) { v.Parents[0].Window.Start = on("2021-01-15") }), nil},
		{"sold later", edited(lineCorp(), func(v *policy.Vendor) { v.Parents[0].Window.End++; v.Parents[1].Window.Start++ }), nil},
		{"a country", edited(lineCorp(), func(v *policy.Vendor) { v.Countries = nil }), nil},
		{"a new one", puts(&policy.Vendor{ID: "new"}), nil},
	})
}

func TestLoosensByVocabulary(t *testing.T) {
	colours := func(values ...string) []policy.Change { return puts(&policy.Attribute{ID: "colour", Values: values}) }
	testLoosens(t, statute(t), []loosening{
		{"a purpose beneath another", puts(&policy.Purpose{ID: "service.new"}), nil},
		{"a new purpose", puts(&policy.Purpose{ID: "new"}), []string{"purposes", "service"}},
		{"another name", puts(&policy.Purpose{ID: "service", Names: policy.TextOf(map[string]string{"en": "s"}), Retired: true}), nil},
		{"a purpose less beneath another", deletes(key(policy.KindPurpose, "service.local")), nil},
		{"a value more", colours("red", "red.dark", "blue", "green", "red.light"), []string{"devices"}},
		{"a value less", colours("red", "red.dark", "blue"), []string{"devices"}},
		{"another order", colours("blue", "green", "red.dark", "red"), nil},
		{"an attribute", puts(&policy.Attribute{ID: "new", Values: []string{"x"}}), nil},
		{"another attribute", puts(&policy.Attribute{ID: "mark", Values: []string{"x", "y", "z"}}), nil},
	})
	free := propose(t, statute(t), puts(&policy.Purpose{ID: "new"}))
	testLoosens(t, free, []loosening{{"a purpose beside one that is free", puts(&policy.Purpose{ID: "newer"}), nil}})
	opened := propose(t, statute(t), inSelector("purposes", func(s *policy.Selector) { s.Purposes.In = []string{"internal"} }))
	testLoosens(t, opened, []loosening{{"a new purpose that one is free beside", puts(&policy.Purpose{ID: "new"}), nil}})
	opened = propose(t, opened, amended("allow", func(d *policy.Directive) {
		d.CarveOuts = []policy.Release{{ID: "c", Directive: "allow", Kind: policy.CarveOut, EndTime: policy.Forever,
			Selector: policy.Selector{Purposes: policy.PurposeSelector{Out: []string{"internal"}}, Window: policy.Always}}}
	}))
	testLoosens(t, opened, []loosening{{"a new purpose that is carved out", puts(&policy.Purpose{ID: "new"}), []string{"allow", "purposes", "service"}}})
	alike := propose(t, statute(t), puts(&policy.Purpose{ID: "serv"}))
	testLoosens(t, alike, []loosening{{"a purpose that begins alike", inSelector("service", func(s *policy.Selector) { s.Purposes.In = []string{"serv"} }), []string{"service"}}})
	want := []string{"allow", "app", "devices", "except", "full", "kind", "tag", "vendor"}
	if got, err := policy.Loosens(free, deletes(key(policy.KindPurpose, "new"))); err != nil || !slices.Equal(got, want) {
		t.Errorf("of a purpose gone: Loosens = %q, %v, want %q", got, err, want)
	}
}

func TestLoosensByRecords(t *testing.T) {
	testLoosens(t, statute(t), []loosening{
		{"a concern resolved", puts(&policy.ConcernState{Directive: "full", Concern: "access", Resolved: true, Evidence: "moved", Time: on("2021-04-01")}), nil},
		{"a statement", puts(&policy.Statement{Directive: "full", ID: "s", Author: "the vendor", Text: "sorry", Time: on("2021-04-01")}), nil},
		{"a grant", puts(&policy.Grant{ID: "g", Principal: "somebody", Role: policy.Issuer, Organization: "state"}), nil},
	})
	if got, err := policy.Loosens(statute(t), []policy.Change{{Delete: policy.Key{Kind: 99, ID: "x"}}}); err == nil {
		t.Errorf("of an unknown kind: Loosens = %q, want an error", got)
	}
}
