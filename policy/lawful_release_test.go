package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

func TestLawfulLifts(t *testing.T) {
	edit := func(f func(r *policy.Release)) []policy.Change { return edited(another(lift()), f) }
	refuse(t, []refusal{
		{"id no slug", edit(func(r *policy.Release) { r.ID = "A" }), invalid("id")},
		{"id that is the server's to give", edit(func(r *policy.Release) { r.ID = "concerns-5" }), invalidAs("id", "concerns-")},
		{"id of a carve-out", edit(func(r *policy.Release) { r.ID = "develop" }), &policy.ExistsError{Key: keyIn(policy.KindRelease, "halt", "develop")}},
		{"kind unstated", edit(func(r *policy.Release) { r.Kind = 0 }), invalid("kind")},
		{"a carve-out", edit(func(r *policy.Release) { r.Kind = policy.CarveOut }), invalid("kind")},
		{"directive unstated", edit(func(r *policy.Release) { r.Directive = "" }), invalid("directive")},
		{"directive unknown", edit(func(r *policy.Release) { r.Directive = "nothing" }), unregistered("directive", policy.KindDirective, "nothing")},
		{"directive withdrawn", edit(func(r *policy.Release) { r.Directive, r.Provisions = "void", nil }), forbidden("void", "directive")},
		{"from a provision there is not", edit(func(r *policy.Release) { r.Provisions = []string{"guests"} }), invalidAs("provisions[0]", "no provision guests")},
		{"from one provision twice", edit(func(r *policy.Release) { r.Provisions = []string{"staff", "staff"} }), invalidAs("provisions[1]", "twice")},
		{"instrument unknown", edit(func(r *policy.Release) { r.Instrument = "nothing" }), unregistered("instrument", policy.KindDirective, "nothing")},
		{"from no instant", edit(func(r *policy.Release) { r.Selector.Window.Start = policy.Beginning }), invalid("selector.effective_time")},
		{"expires as it starts", edit(func(r *policy.Release) { r.Selector.Window.End = r.Selector.Window.Start }), invalid("selector.expire_time")},
		{"all organizations and some", edit(func(r *policy.Release) {
			r.Selector.Organizations = policy.OrganizationSelector{All: true, In: []string{"mic"}}
		}), invalid("selector.organizations.all")},
		{"value unknown", edit(func(r *policy.Release) {
			r.Selector.Conditions = []policy.Condition{{Attribute: "colour", Values: []string{"pink"}}}
		}), invalid("selector.conditions[0].values[0]")},
		{"organization retired", edit(func(r *policy.Release) { r.Selector.Organizations.Out = []string{"closed"} }), anew("selector.organizations.out[0]", policy.KindOrganization, "closed")},
		{"ended beyond the calendar", edit(func(r *policy.Release) { r.EndTime = policy.Beginning }), invalid("end_time")},
		{"obligation twice", edit(func(r *policy.Release) { r.Obligations = []policy.Obligation{{ID: "a"}, {ID: "a"}} }), invalidAs("obligations[1].id", "twice")},
		{"with a ground", edit(func(r *policy.Release) { r.Ground = "regulator" }), invalid("ground")},
		{"with a justification", edit(func(r *policy.Release) { r.Justification = "x" }), invalid("justification")},
		{"with an approver", edit(func(r *policy.Release) { r.Approver = "x" }), invalid("approver")},
		{"another in place of one", edited(lift(), func(r *policy.Release) { r.Provisions = nil }), &policy.ExistsError{Key: lift().Key()}},
		{"another kind in place of one", edited(exemption(), func(r *policy.Release) { r.ID = "partial" }), &policy.ExistsError{Key: lift().Key()}},
	})
	permit(t, []permission{
		{"of everything", puts(&policy.Release{ID: "x", Directive: "halt", Kind: policy.Lift, Selector: policy.Selector{Window: since("2021-05-01")}, EndTime: policy.Forever})},
		{"that never held", edit(func(r *policy.Release) { r.EndTime = on("2021-03-01") })},
		{"that ends", edited(lift(), func(r *policy.Release) { r.EndTime = on("2021-05-01") })},
	})
	t.Run("that ended stays ended", func(t *testing.T) {
		s := propose(t, lawfulPolicy(t), edited(lift(), func(r *policy.Release) { r.EndTime = on("2021-05-01") }))
		_, err := s.Propose(s.Revision()+1, edited(lift(), func(r *policy.Release) { r.EndTime = on("2021-05-02") }))
		if !same(err, invalid("end_time")) {
			t.Errorf("Propose of a later end = %v, want it refused", err)
		}
		propose(t, s, edited(lift(), func(r *policy.Release) { r.EndTime = on("2021-04-15") }))
	})
}

func TestLawfulExemptions(t *testing.T) {
	edit := func(f func(r *policy.Release)) []policy.Change { return edited(another(exemption()), f) }
	ministryOnly := func(f func(s *policy.Selector)) []policy.Change {
		return edit(func(r *policy.Release) {
			r.Selector.Organizations.In = []string{"court", "mic"}
			r.Selector.Purposes.In = []string{"public.disaster"}
			r.Selector.Conditions = []policy.Condition{{Attribute: "colour", Values: []string{"red"}}}
			f(&r.Selector)
		})
	}
	refuse(t, []refusal{
		{"from a directive without rules", edit(func(r *policy.Release) { r.Directive = "memo" }), forbidden("memo", "directive")},
		{"from a directive withdrawn", edit(func(r *policy.Release) { r.Directive = "void" }), forbidden("void", "directive")},
		{"without a ground", edit(func(r *policy.Release) { r.Ground = "" }), invalid("ground")},
		{"on a ground that is not listed", edit(func(r *policy.Release) { r.Ground = "convenience" }), &policy.RuleError{Directive: "halt", Field: "ground", Problem: "convenience"}},
		{"without a justification", edit(func(r *policy.Release) { r.Justification = "" }), invalid("justification")},
		{"justification too long", edit(func(r *policy.Release) { r.Justification = strings.Repeat("x", policy.MaxTextLength+1) }), invalid("justification")},
		{"approver too long", edit(func(r *policy.Release) { r.Approver = strings.Repeat("x", policy.MaxTextLength+1) }), invalid("approver")},
		{"without an end", edit(func(r *policy.Release) { r.Selector.Window.End = policy.Forever }), invalid("selector.expire_time")},
		{"from no instant", edit(func(r *policy.Release) { r.Selector.Window.Start = policy.Beginning }), invalid("selector.effective_time")},
		{"longer than the longest", edit(func(r *policy.Release) { r.Selector.Window.End++ }), &policy.RuleError{Directive: "halt", Field: "selector.expire_time", Problem: "2160h"}},
		{"of a ministry for every purpose", ministryOnly(func(s *policy.Selector) { s.Purposes.In = nil }), forbidden("halt", "selector.purposes.in")},
		{"of a ministry for all purposes but one", ministryOnly(func(s *policy.Selector) { s.Purposes = policy.PurposeSelector{Out: []string{"internal"}} }), forbidden("halt", "selector.purposes.in")},
		{"of a ministry in every circumstance", ministryOnly(func(s *policy.Selector) { s.Conditions = nil }), forbidden("halt", "selector.conditions")},
		{"of nobody in particular, whole", edit(func(r *policy.Release) { r.Selector.Organizations.In = nil }), forbidden("halt", "selector.purposes.in")},
		{"of everybody, whole", edit(func(r *policy.Release) { r.Selector.Organizations = policy.OrganizationSelector{All: true} }), forbidden("halt", "selector.purposes.in")},
	})
	permit(t, []permission{
		{"as long as the longest", edit(func(*policy.Release) {})},
		{"of a ministry for a purpose in a circumstance", ministryOnly(func(*policy.Selector) {})},
		{"of what lies beneath a ministry and is none", edit(func(r *policy.Release) { r.Selector.Organizations.In = []string{"bureau"} })},
		{"of nobody in particular, whole, where that is no matter", append(edited(halt(), func(d *policy.Directive) { d.ExemptionRules.NotWhole = nil }),
			edit(func(r *policy.Release) { r.Selector.Organizations.In = nil })...)},
		{"that is revoked", edited(exemption(), func(r *policy.Release) { r.EndTime = on("2021-05-01") })},
	})
	t.Run("can be revoked though the rules have changed", func(t *testing.T) {
		s := propose(t, lawfulPolicy(t), edited(halt(), func(d *policy.Directive) {
			d.ExemptionRules.LongestDuration = time.Hour
			d.ExemptionRules.NotWhole = []string{"court"}
		}))
		propose(t, s, edited(exemption(), func(r *policy.Release) { r.EndTime = on("2021-05-01") }))
	})
}

func TestLawfulConcerns(t *testing.T) {
	state := func(f func(c *policy.ConcernState)) []policy.Change {
		return edited(&policy.ConcernState{Directive: "halt", Concern: "access", Resolved: true, Evidence: "revoked", Time: on("2021-05-01")}, f)
	}
	concernLift := func(f func(r *policy.Release)) []policy.Change {
		return edited(&policy.Release{ID: "concerns-6", Directive: "halt", Kind: policy.Lift, EndTime: policy.Forever,
			Selector: policy.Selector{Window: since("2021-05-01")}}, f)
	}
	resolved := state(func(*policy.ConcernState) {})
	long := strings.Repeat("x", policy.MaxTextLength+1)
	refuse(t, []refusal{
		{"directive unstated", state(func(c *policy.ConcernState) { c.Directive = "" }), invalid("directive")},
		{"directive unknown", state(func(c *policy.ConcernState) { c.Directive = "nothing" }), unregistered("directive", policy.KindDirective, "nothing")},
		{"directive withdrawn", state(func(c *policy.ConcernState) { c.Directive, c.Concern = "void", "location" }), forbidden("void", "directive")},
		{"concern unknown", state(func(c *policy.ConcernState) { c.Concern = "weather" }), invalidAs("concern", "no concern weather")},
		{"resolved without evidence", state(func(c *policy.ConcernState) { c.Evidence = "" }), invalid("evidence")},
		{"evidence too long", state(func(c *policy.ConcernState) { c.Evidence = long }), invalid("evidence")},
		{"by whom too long", state(func(c *policy.ConcernState) { c.ResolvedBy = long }), invalid("resolved_by")},
		{"at no instant", state(func(c *policy.ConcernState) { c.Time = policy.Beginning }), invalid("time")},
		{"lift without resolving", concernLift(func(*policy.Release) {}), invalid("id")},
		{"lift as of another revision", append(concernLift(func(r *policy.Release) { r.ID = "concerns-5" }), resolved...), invalid("id")},
		{"lift of another directive", append(concernLift(func(r *policy.Release) { r.Directive = "memo" }), resolved...), invalid("id")},
		{"lift by an exemption", append(concernLift(func(r *policy.Release) {
			r.Kind, r.Ground, r.Justification, r.Selector.Window = policy.Exemption, "regulator", "x", between("2021-05-01", "2021-05-02")
		}), resolved...), invalid("id")},
		{"lift by reopening", append(concernLift(func(*policy.Release) {}), state(func(c *policy.ConcernState) { c.Resolved = false })...), invalid("id")},
	})
	permit(t, []permission{
		{"resolved", resolved},
		{"resolved with its lift", append(concernLift(func(*policy.Release) {}), resolved...)},
		{"open without evidence", state(func(c *policy.ConcernState) { c.Resolved, c.Evidence = false, "" })},
	})
}

func TestLawfulStatements(t *testing.T) {
	edit := func(f func(s *policy.Statement)) []policy.Change {
		return edited(&policy.Statement{Directive: "halt", ID: "x", Author: "a", Text: "b", Time: on("2021-03-23")}, f)
	}
	long := strings.Repeat("x", policy.MaxTextLength+1)
	refuse(t, []refusal{
		{"id no slug", edit(func(s *policy.Statement) { s.ID = "" }), invalid("id")},
		{"directive unstated", edit(func(s *policy.Statement) { s.Directive = "" }), invalid("directive")},
		{"directive unknown", edit(func(s *policy.Statement) { s.Directive = "nothing" }), unregistered("directive", policy.KindDirective, "nothing")},
		{"directive withdrawn", edit(func(s *policy.Statement) { s.Directive = "void" }), forbidden("void", "directive")},
		{"by nobody", edit(func(s *policy.Statement) { s.Author = "" }), invalid("author")},
		{"author too long", edit(func(s *policy.Statement) { s.Author = long }), invalid("author")},
		{"of nothing", edit(func(s *policy.Statement) { s.Text = "" }), invalid("text")},
		{"text too long", edit(func(s *policy.Statement) { s.Text = long }), invalid("text")},
		{"source that says nothing", edit(func(s *policy.Statement) { s.Sources = []policy.Source{{}} }), invalid("sources[0]")},
		{"at no instant", edit(func(s *policy.Statement) { s.Time = policy.Forever }), invalid("time")},
	})
	permit(t, []permission{{"in place of another", edit(func(s *policy.Statement) { s.ID = "answer" })}})
}

func TestLawfulDeletes(t *testing.T) {
	referenced := func(k policy.Key, by ...policy.Key) error { return &policy.ReferencedError{Key: k, By: by} }
	delete := func(kind policy.Kind, id string) []policy.Change { return deletes(key(kind, id)) }
	directive := key(policy.KindDirective, "halt")
	named := func(kind policy.Kind, id string, by ...policy.Key) refusal {
		return refusal{kind.String() + " " + id + ", named", delete(kind, id), referenced(key(kind, id), by...)}
	}
	refuse(t, []refusal{
		{"what is not there", delete(policy.KindApp, "nothing"), &policy.NotFoundError{Key: key(policy.KindApp, "nothing")}},
		{"what is of no kind", deletes(policy.Key{ID: "x"}), &policy.NotFoundError{Key: policy.Key{ID: "x"}}},
		{"a directive", delete(policy.KindDirective, "void"), invalid("id")},
		{"a directive, named", delete(policy.KindDirective, "halt"), referenced(directive)},
		{"a lift", deletes(lift().Key()), invalid("id")},
		{"a statement", deletes(keyIn(policy.KindStatement, "halt", "answer")), invalid("id")},
		{"the state of a concern that is there", deletes(keyIn(policy.KindConcern, "halt", "location")), invalid("id")},
		named(policy.KindOrganization, "osaka", key(policy.KindOrganization, "ward")),
		named(policy.KindOrganization, "bureau", directive),
		named(policy.KindOrganization, "court", directive, exemption().Key()),
		named(policy.KindVendor, "zhd", key(policy.KindVendor, "line-corp")),
		named(policy.KindVendor, "naver", key(policy.KindVendor, "line-corp"), directive),
		named(policy.KindVendor, "line-corp", key(policy.KindApp, "line")),
		named(policy.KindApp, "line", directive),
		named(policy.KindApp, "line-pay", directive),
		named(policy.KindPurpose, "health", key(policy.KindPurpose, "health.monitoring")),
		named(policy.KindPurpose, "internal.scheduling", directive),
		named(policy.KindPurpose, "past", key(policy.KindPurpose, "past.custom")),
		named(policy.KindAttribute, "colour", directive),
		{"what another of the entry names", append(delete(policy.KindVendor, "heir"), puts(&policy.App{ID: "x",
			Ownerships: []policy.VendorPeriod{{Vendor: "heir", Window: policy.Always}}})...), unregistered("ownerships[0].vendor", policy.KindVendor, "heir")},
		{"what lies above another of the entry", append(delete(policy.KindOrganization, "o15"), puts(&policy.Organization{ID: "x", Parent: "o16"})...),
			referenced(key(policy.KindOrganization, "o15"), key(policy.KindOrganization, "o16"))},
	})
	permit(t, []permission{
		{"what nothing names", deletes(key(policy.KindOrganization, "ward"), key(policy.KindPurpose, "health.monitoring"), key(policy.KindAttribute, "platform"))},
		{"what only the deleted named", deletes(key(policy.KindOrganization, "osaka"), key(policy.KindOrganization, "ward"))},
		{"what an app of the entry names no more", append(delete(policy.KindVendor, "line-corp"), edited(line(), func(a *policy.App) { a.Ownerships = nil })...)},
	})
	t.Run("tells ten referrers, the first in order", func(t *testing.T) {
		s := lawfulPolicy(t)
		var by []policy.Key
		for _, id := range numbered(12, "z%02d") {
			s = propose(t, s, puts(&policy.Organization{ID: id, Parent: "ward"}))
			by = append(by, key(policy.KindOrganization, id))
		}
		_, err := s.Propose(s.Revision()+1, delete(policy.KindOrganization, "ward"))
		if !same(err, referenced(key(policy.KindOrganization, "ward"), by[:10]...)) {
			t.Errorf("Propose = %v, want ten referrers", err)
		}
	})
}
