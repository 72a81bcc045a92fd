package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// fieldOf is the field that a reference error names.
func fieldOf(err error) string {
	if e, ok := errors.AsType[*policy.ReferenceError](err); ok {
		return e.Field
	}
	return ""
}

func TestLawfulDirectives(t *testing.T) {
	edit := func(f func(d *policy.Directive)) []policy.Change { return edited(halt(), f) }
	rules := func(f func(r *policy.ExemptionRules)) []policy.Change {
		return edit(func(d *policy.Directive) { f(d.ExemptionRules) })
	}
	long := strings.Repeat("x", policy.MaxTextLength+1)
	refuse(t, []refusal{
		{"id no slug", edited(order(), func(d *policy.Directive) { d.ID = "order 1" }), invalid("id")},
		{"number too long", edit(func(d *policy.Directive) { d.Number = long }), invalid("number")},
		{"title in no language", edit(func(d *policy.Directive) { d.Title = policy.TextOf(map[string]string{"1": "x"}) }), invalid(`title["1"]`)},
		{"title too long", edit(func(d *policy.Directive) { d.Title = policy.TextOf(map[string]string{"ja": long}) }), invalid(`title["ja"]`)},
		{"authority unstated", edit(func(d *policy.Directive) { d.Authority = "" }), invalid("authority")},
		{"authority unknown", edit(func(d *policy.Directive) { d.Authority = "nobody" }), unregistered("authority", policy.KindOrganization, "nobody")},
		{"authority by alias", edit(func(d *policy.Directive) { d.Authority = "corporate-number:2000012020001" }), unregistered("authority", policy.KindOrganization, "corporate-number:2000012020001")},
		{"authority retired", edit(func(d *policy.Directive) { d.Authority = "closed" }), anew("authority", policy.KindOrganization, "closed")},
		{"office too long", edit(func(d *policy.Directive) { d.IssuingOffice = long }), invalid("issuing_office")},
		{"legal basis too long", edit(func(d *policy.Directive) { d.LegalBasis = long }), invalid("legal_basis")},
		{"rationale too long", edit(func(d *policy.Directive) { d.Rationale = long }), invalid("rationale")},
		{"source that says nothing", edit(func(d *policy.Directive) { d.Sources[0] = policy.Source{} }), invalid("sources[0]")},
		{"source that leads nowhere", edit(func(d *policy.Directive) { d.Sources[0].URI = "www.example.go.jp" }), invalid("sources[0].uri")},
		{"source too long", edit(func(d *policy.Directive) { d.Sources[0].Text = long }), invalid("sources[0].text")},
		{"takes effect at no instant", edit(func(d *policy.Directive) { d.Window.Start = policy.Beginning }), invalid("effective_time")},
		{"expires as it takes effect", edit(func(d *policy.Directive) { d.Window.End = d.Window.Start }), invalid("expire_time")},
		{"lifted by concerns it lacks", edited(order(), func(d *policy.Directive) { d.LiftMode = policy.LiftWhenConcernsResolved }), invalid("lift_mode")},
		{"lift mode unknown", edit(func(d *policy.Directive) { d.LiftMode = 9 }), invalid("lift_mode")},
		{"device action unknown", edit(func(d *policy.Directive) { d.DeviceAction = 9 }), invalid("device_action")},
		{"fewer lift approvals than none", edit(func(d *policy.Directive) { d.LiftApprovals = -1 }), invalid("lift_approvals")},
		{"17 lift approvals", edit(func(d *policy.Directive) { d.LiftApprovals = 17 }), invalidAs("lift_approvals", "17, not 0 to 16")},
		{"concern no slug", edit(func(d *policy.Directive) { d.Concerns[1].ID = "" }), invalid("concerns[1].id")},
		{"concern twice", edit(func(d *policy.Directive) { d.Concerns[1].ID = "location" }), invalidAs("concerns[1].id", "twice")},
		{"concern too long", edit(func(d *policy.Directive) { d.Concerns[1].Text = long }), invalid("concerns[1].text")},
		{"concern dropped whose state stays", edit(func(d *policy.Directive) { d.Concerns = d.Concerns[1:] }), invalidAs("concerns", "location")},
		{"ground no slug", rules(func(r *policy.ExemptionRules) { r.Grounds[1].ID = "A" }), invalid("exemption_rules.grounds[1].id")},
		{"ground twice", rules(func(r *policy.ExemptionRules) { r.Grounds[1].ID = "regulator" }), invalidAs("exemption_rules.grounds[1].id", "twice")},
		{"ground too long", rules(func(r *policy.ExemptionRules) { r.Grounds[1].Text = long }), invalid("exemption_rules.grounds[1].text")},
		{"approver unknown", rules(func(r *policy.ExemptionRules) { r.Approver = 9 }), invalid("exemption_rules.approver")},
		{"longest duration negative", rules(func(r *policy.ExemptionRules) { r.LongestDuration = -1 }), invalid("exemption_rules.longest_duration")},
		{"obligation no slug", rules(func(r *policy.ExemptionRules) { r.Obligations[0].ID = "." }), invalid("exemption_rules.obligations[0].id")},
		{"obligation twice", rules(func(r *policy.ExemptionRules) { r.Obligations = append(r.Obligations, r.Obligations[0]) }), invalidAs("exemption_rules.obligations[1].id", "twice")},
		{"obligation too long", rules(func(r *policy.ExemptionRules) { r.Obligations[0].Text = long }), invalid("exemption_rules.obligations[0].text")},
		{"kind no slug", rules(func(r *policy.ExemptionRules) { r.NotWhole = []string{"A"} }), invalid("exemption_rules.not_whole[0]")},
		{"kind twice", rules(func(r *policy.ExemptionRules) { r.NotWhole = []string{"a", "a"} }), invalidAs("exemption_rules.not_whole[1]", "twice")},
		{"65 kinds", rules(func(r *policy.ExemptionRules) { r.NotWhole = numbered(65, "k%d") }), invalid("exemption_rules.not_whole")},
		{"withdrawn at no instant", edit(func(d *policy.Directive) { d.Withdrawal = &policy.Withdrawal{Time: policy.Forever} }), invalid("withdrawn.time")},
		{"withdrawn with too long a reason", edit(func(d *policy.Directive) {
			d.Withdrawal = &policy.Withdrawal{Time: on("2021-04-01"), Reason: strings.Repeat("x", policy.MaxReasonLength+1)}
		}), invalid("withdrawn.reason")},
		{"withdrawn before", puts(&policy.Directive{ID: "void", Authority: "state", Window: since("2021-01-01")}), forbidden("void", "id")},
		{"adopted from nothing", edit(func(d *policy.Directive) { d.AdoptedFrom = &policy.AdoptedFrom{Directive: "nothing"} }), unregistered("adopted_from.directive", policy.KindDirective, "nothing")},
		{"provision dropped that a release names", edit(func(d *policy.Directive) {
			d.Provisions, d.CarveOuts = d.Provisions[1:], nil
		}), &policy.RuleError{Directive: "halt", Field: "provisions", Problem: "release partial names its provision staff"}},
		{"ground dropped that a release names", rules(func(r *policy.ExemptionRules) { r.Grounds = r.Grounds[1:] }),
			&policy.RuleError{Directive: "halt", Field: "exemption_rules.grounds", Problem: "release judges names its ground regulator"}},
		{"exemption rules dropped that a release rests on", edit(func(d *policy.Directive) { d.ExemptionRules = nil }), forbidden("halt", "exemption_rules.grounds")},
	})
	permit(t, []permission{
		{"as it is", puts(halt())},
		{"the longest text", edit(func(d *policy.Directive) { d.Number = long[1:] })},
		{"16 lift approvals", edit(func(d *policy.Directive) { d.LiftApprovals = 16 })},
		{"concern dropped with its state", append(edit(func(d *policy.Directive) { d.Concerns = d.Concerns[1:] }), deletes(keyIn(policy.KindConcern, "halt", "location"))...)},
		{"concern dropped that has no state", edit(func(d *policy.Directive) { d.Concerns = d.Concerns[:1] })},
		{"provision dropped that no release names", edit(func(d *policy.Directive) { d.Provisions = d.Provisions[:1] })},
		{"ground dropped that no release names", rules(func(r *policy.ExemptionRules) { r.Grounds = r.Grounds[:1] })},
		{"no provisions", puts(&policy.Directive{ID: "x", Authority: "mic", Window: between("2021-01-01", "2021-01-02")})},
	})
}

func TestLawfulProvisions(t *testing.T) {
	const at = "provisions[0]."
	edit := func(f func(p *policy.Provision)) []policy.Change {
		return edited(halt(), func(d *policy.Directive) { f(&d.Provisions[0]) })
	}
	long := strings.Repeat("x", policy.MaxTextLength+1)
	refuse(t, []refusal{
		{"id no slug", edited(order(), func(d *policy.Directive) { d.Provisions[0].ID = "1." }), invalid("provisions[0].id")},
		{"id twice", edit(func(p *policy.Provision) { p.ID = "locals" }), invalidAs("provisions[1].id", "twice")},
		{"no organizations", edit(func(p *policy.Provision) { p.Selector.Organizations.In = nil }), invalidAs(at+"selector.organizations", "names no organizations: say which are bound")},
		{"no organizations advised", edit(func(p *policy.Provision) { p.Force, p.Selector.Organizations.In = policy.Advisory, nil }),
			invalidAs(at+"selector.organizations", "names no organizations: say which, or all")},
		{"kinds alone", edit(func(p *policy.Provision) {
			p.Selector.Organizations = policy.OrganizationSelector{Kinds: []string{"court"}}
		}), invalidAs(at+"selector.organizations", "names no organizations")},
		{"no targets", edit(func(p *policy.Provision) { p.Selector.Targets.In = nil }), invalidAs(at+"selector.targets", "names no targets")},
		{"force unstated", edit(func(p *policy.Provision) { p.Force = 0 }), invalid(at + "force")},
		{"force unknown", edit(func(p *policy.Provision) { p.Force = 3 }), invalid(at + "force")},
		{"message in no language", edit(func(p *policy.Provision) { p.Message = policy.TextOf(map[string]string{"JA": "x"}) }), invalidAs(at+`message["JA"]`, "write it ja")},
		{"alternative no slug", edit(func(p *policy.Provision) { p.Alternatives[0].ID = "A" }), invalid(at + "alternatives[0].id")},
		{"alternative twice", edit(func(p *policy.Provision) { p.Alternatives = append(p.Alternatives, p.Alternatives[0]) }), invalidAs(at+"alternatives[1].id", "twice")},
		{"alternative too long", edit(func(p *policy.Provision) { p.Alternatives[0].Text = long }), invalid(at + "alternatives[0].text")},
		{"alternative that leads nowhere", edit(func(p *policy.Provision) { p.Alternatives[0].URI = "mail" }), invalid(at + "alternatives[0].uri")},
		{"binding beyond its authority's subtree", edit(func(p *policy.Provision) { p.Selector.Organizations.In[1] = "osaka" }),
			&policy.RuleError{Directive: "halt", Field: at + "selector.organizations.in[1]", Problem: "staff would bind osaka"}},
		{"binding above its authority", edited(order(), func(d *policy.Directive) { d.Provisions[0].Selector.Organizations.In[0] = "state" }),
			forbidden("order", at+"selector.organizations.in[0]")},
		{"binding everybody", edit(func(p *policy.Provision) { p.Selector.Organizations = policy.OrganizationSelector{All: true} }),
			forbidden("halt", at+"selector.organizations.all")},
		{"binding what another authority could", edited(halt(), func(d *policy.Directive) { d.Authority = "local" }),
			forbidden("halt", at+"selector.organizations.in[0]")},
		{"made binding", edited(halt(), func(d *policy.Directive) { d.Provisions[1].Force = policy.Binding }),
			forbidden("halt", "provisions[1].selector.organizations.all")},
	})
	permit(t, []permission{
		{"binding the 16th level from the first", edited(order(), func(d *policy.Directive) {
			d.Authority, d.Provisions[0].Selector.Organizations.In = "o01", []string{"o16"}
		})},
		{"advisory beyond its authority's subtree", edit(func(p *policy.Provision) { p.Force, p.Selector.Organizations.In[1] = policy.Advisory, "osaka" })},
		{"binding the authority itself", edit(func(p *policy.Provision) { p.Selector.Organizations.In[1] = "state" })},
	})
}

func TestLawfulCarveOuts(t *testing.T) {
	const at = "carve_outs[0]."
	edit := func(f func(c *policy.Release)) []policy.Change {
		return edited(halt(), func(d *policy.Directive) { f(&d.CarveOuts[0]) })
	}
	refuse(t, []refusal{
		{"id no slug", edit(func(c *policy.Release) { c.ID = "" }), invalid(at + "id")},
		{"id twice", edited(halt(), func(d *policy.Directive) { d.CarveOuts = append(d.CarveOuts, d.CarveOuts[0]) }), invalidAs("carve_outs[1].id", "twice")},
		{"id of a lift", edit(func(c *policy.Release) { c.ID = "partial" }), &policy.ExistsError{Key: keyIn(policy.KindRelease, "halt", "partial")}},
		{"id that is the server's to give", edit(func(c *policy.Release) { c.ID = "concerns-4" }), invalid(at + "id")},
		{"another kind", edit(func(c *policy.Release) { c.Kind = policy.Lift }), invalid(at + "kind")},
		{"another directive's", edit(func(c *policy.Release) { c.Directive = "memo" }), invalid(at + "directive")},
		{"revoked", edit(func(c *policy.Release) { c.EndTime = on("2021-04-01") }), invalid(at + "end_time")},
		{"with a ground", edit(func(c *policy.Release) { c.Ground = "regulator" }), invalid(at + "ground")},
		{"with a justification", edit(func(c *policy.Release) { c.Justification = "x" }), invalid(at + "justification")},
		{"with an approver", edit(func(c *policy.Release) { c.Approver = "x" }), invalid(at + "approver")},
		{"from a provision there is not", edit(func(c *policy.Release) { c.Provisions = []string{"staff", "guests"} }), invalidAs(at+"provisions[1]", "no provision guests")},
		{"from one provision twice", edit(func(c *policy.Release) { c.Provisions = []string{"staff", "staff"} }), invalidAs(at+"provisions[1]", "twice")},
		{"instrument unknown", edit(func(c *policy.Release) { c.Instrument = "nothing" }), unregistered(at+"instrument", policy.KindDirective, "nothing")},
		{"obligation no slug", edit(func(c *policy.Release) { c.Obligations = []policy.Obligation{{ID: "A"}} }), invalid(at + "obligations[0].id")},
		{"for purposes unknown", edit(func(c *policy.Release) { c.Selector.Purposes.In = []string{"x"} }), unregistered(at+"selector.purposes.in[0]", policy.KindPurpose, "x")},
		{"for targets that name nothing", edit(func(c *policy.Release) { c.Selector.Targets.In = []policy.Target{{}} }), invalid(at + "selector.targets.in[0]")},
		{"under a condition of every value", edit(func(c *policy.Release) {
			c.Selector.Conditions = []policy.Condition{{Attribute: "account", Values: []string{"official", "personal"}}}
		}), invalid(at + "selector.conditions[0].values")},
		{"expires before it takes effect", edit(func(c *policy.Release) { c.Selector.Window = between("2021-04-02", "2021-04-01") }), invalid(at + "selector.expire_time")},
	})
	permit(t, []permission{
		{"from everything", edit(func(c *policy.Release) { c.Provisions = nil })},
		{"with the id of a provision", edit(func(c *policy.Release) { c.ID = "staff" })},
		{"by its own directive", edit(func(c *policy.Release) { c.Instrument = "halt" })},
	})
}

func TestLawfulSupersession(t *testing.T) {
	supersedes := func(id, authority string, others ...string) []policy.Change {
		return puts(&policy.Directive{ID: id, Authority: authority, Window: since("2021-03-19"), Supersedes: others})
	}
	refuse(t, []refusal{
		{"of what is not there", supersedes("x", "state", "nothing"), unregistered("supersedes[0]", policy.KindDirective, "nothing")},
		{"of one directive twice", supersedes("x", "state", "guide", "guide"), invalidAs("supersedes[1]", "twice")},
		{"of itself", supersedes("x", "state", "guide", "x"), invalidAs("supersedes[1]", "itself")},
		{"in a circle", supersedes("guide", "mic", "halt"), forbidden("halt", "supersedes[0]")},
		{"in a circle among equals", append(supersedes("x", "mic", "y"), supersedes("y", "mic", "x")...), invalidAs("supersedes[0]", "x would supersede itself")},
		{"in a circle of three", append(append(supersedes("x", "state", "memo"), supersedes("memo", "state", "y")...), supersedes("y", "state", "x")...),
			invalidAs("supersedes[0]", "x would supersede itself")},
		{"of two that go in a circle", append(append(supersedes("x", "mic", "y"), supersedes("y", "mic", "z")...), supersedes("z", "mic", "y")...),
			invalidAs("supersedes[0]", "y would supersede itself")},
		{"in a circle through what was there", append(supersedes("memo", "state", "halt"), supersedes("guide", "state", "memo")...), invalidAs("supersedes[0]", "memo would supersede itself")},
		{"of a directive of an authority above", supersedes("x", "mic", "memo"), &policy.RuleError{Directive: "memo", Field: "supersedes[0]", Problem: "state does not lie beneath mic"}},
		{"of a directive of an authority beside", supersedes("x", "local", "guide"), forbidden("guide", "supersedes[0]")},
		{"taken over by another authority", supersedes("halt", "local", "guide"), forbidden("guide", "supersedes[0]")},
	})
	permit(t, []permission{
		{"of its own authority's", supersedes("x", "mic", "guide")},
		{"of an authority's beneath", supersedes("x", "state", "guide")},
		{"of one directive by two that one supersedes", append(append(supersedes("x", "state", "y", "z", "memo"), supersedes("y", "state", "guide")...), supersedes("z", "state", "guide")...)},
	})
	t.Run("stays when organizations move", func(t *testing.T) {
		s := propose(t, lawfulPolicy(t), supersedes("x", "state", "guide"))
		s = propose(t, s, puts(&policy.Directive{ID: "halt", Authority: "state", Window: since("2021-03-19"), Supersedes: []string{"guide"},
			Provisions: lenient(halt().Provisions), ExemptionRules: halt().ExemptionRules, Concerns: halt().Concerns}))
		s = propose(t, s, edited(ministry(), func(o *policy.Organization) { o.Parent = "" }))
		propose(t, s, supersedes("x", "state", "guide"))
		if _, err := s.Propose(s.Revision()+1, supersedes("z", "state", "guide")); !same(err, forbidden("guide", "supersedes[0]")) {
			t.Errorf("Propose of a new successor = %v, want it refused", err)
		}
	})
}

// lenient is the provisions, all advisory.
func lenient(list []policy.Provision) []policy.Provision {
	for i := range list {
		list[i].Force = policy.Advisory
	}
	return list
}
