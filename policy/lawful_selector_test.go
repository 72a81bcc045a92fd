package policy_test

import (
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// TestLawfulSelectors tries selectors in a provision; what holds for those of releases is that they are judged at all.
func TestLawfulSelectors(t *testing.T) {
	const at = "provisions[0].selector."
	edit := func(f func(s *policy.Selector)) []policy.Change {
		return edited(halt(), func(d *policy.Directive) { f(&d.Provisions[0].Selector) })
	}
	condition := func(attribute string, values ...string) []policy.Change {
		return edit(func(s *policy.Selector) {
			s.Conditions = []policy.Condition{{Attribute: "act", Values: []string{"use"}}, {Attribute: attribute, Values: values}}
		})
	}
	refuse(t, []refusal{
		{"all organizations and some", edit(func(s *policy.Selector) { s.Organizations.All = true }), invalid(at + "organizations.all")},
		{"organization unknown", edit(func(s *policy.Selector) { s.Organizations.In[1] = "nobody" }), unregistered(at+"organizations.in[1]", policy.KindOrganization, "nobody")},
		{"organization by alias", edit(func(s *policy.Selector) { s.Organizations.In[1] = "jis:271004" }), unregistered(at+"organizations.in[1]", policy.KindOrganization, "jis:271004")},
		{"organization retired", edit(func(s *policy.Selector) { s.Organizations.In[1] = "closed" }), anew(at+"organizations.in[1]", policy.KindOrganization, "closed")},
		{"organization twice", edit(func(s *policy.Selector) { s.Organizations.In[1] = "mic" }), invalidAs(at+"organizations.in[1]", "twice")},
		{"organization left out unknown", edit(func(s *policy.Selector) { s.Organizations.Out[0] = "nobody" }), unregistered(at+"organizations.out[0]", policy.KindOrganization, "nobody")},
		{"organization left out twice", edit(func(s *policy.Selector) { s.Organizations.Out = []string{"bureau", "bureau"} }), invalidAs(at+"organizations.out[1]", "twice")},
		{"kind no slug", edit(func(s *policy.Selector) { s.Organizations.Kinds = []string{"a b"} }), invalid(at + "organizations.kinds[0]")},
		{"kind twice", edit(func(s *policy.Selector) { s.Organizations.Kinds = []string{"court", "court"} }), invalidAs(at+"organizations.kinds[1]", "twice")},
		{"65 kinds", edit(func(s *policy.Selector) { s.Organizations.Kinds = numbered(65, "k%d") }), invalid(at + "organizations.kinds")},
		{"64 kinds beside those in use", edit(func(s *policy.Selector) { s.Organizations.Kinds = numbered(64, "k%d") }), &policy.LimitError{What: "kinds of organization", Limit: 64}},
		{"all apps and some", edit(func(s *policy.Selector) { s.Targets.All = true }), invalid(at + "targets.all")},
		{"target that names nothing", edit(func(s *policy.Selector) { s.Targets.In[1] = policy.Target{} }), invalidAs(at+"targets.in[1]", "names no app")},
		{"target left out that names nothing", edit(func(s *policy.Selector) { s.Targets.Out[0] = policy.Target{} }), invalidAs(at+"targets.out[0]", "names no app")},
		{"app unknown", edit(func(s *policy.Selector) { s.Targets.In[1].App = "nothing" }), unregistered(at+"targets.in[1].app", policy.KindApp, "nothing")},
		{"app by identifier", edit(func(s *policy.Selector) { s.Targets.In[1].App = "ios:jp.naver.line" }), unregistered(at+"targets.in[1].app", policy.KindApp, "ios:jp.naver.line")},
		{"app retired", edit(func(s *policy.Selector) { s.Targets.Out[0].App = "dead" }), anew(at+"targets.out[0].app", policy.KindApp, "dead")},
		{"vendor unknown", edit(func(s *policy.Selector) { s.Targets.In[1].Vendor = "nobody" }), unregistered(at+"targets.in[1].vendor", policy.KindVendor, "nobody")},
		{"vendor retired", edit(func(s *policy.Selector) { s.Targets.In[1].Vendor = "gone" }), anew(at+"targets.in[1].vendor", policy.KindVendor, "gone")},
		{"tag no slug", edit(func(s *policy.Selector) { s.Targets.In[1].Tag = "SNS" }), invalid(at + "targets.in[1].tag")},
		{"country of no country", edit(func(s *policy.Selector) { s.Targets.In[1].Country = "EU" }), invalid(at + "targets.in[1].country")},
		{"purpose unknown", edit(func(s *policy.Selector) { s.Purposes.In[0] = "internal.chat" }), unregistered(at+"purposes.in[0]", policy.KindPurpose, "internal.chat")},
		{"purpose retired", edit(func(s *policy.Selector) { s.Purposes.Out[0] = "past" }), anew(at+"purposes.out[0]", policy.KindPurpose, "past")},
		{"purpose twice", edit(func(s *policy.Selector) { s.Purposes.In = []string{"internal", "internal"} }), invalidAs(at+"purposes.in[1]", "twice")},
		{"purpose left out twice", edit(func(s *policy.Selector) { s.Purposes.Out = []string{"internal", "internal"} }), invalidAs(at+"purposes.out[1]", "twice")},
		{"attribute unknown", condition("weather", "fine"), unregistered(at+"conditions[1].attribute", policy.KindAttribute, "weather")},
		{"attribute retired", condition("mark", "x"), anew(at+"conditions[1].attribute", policy.KindAttribute, "mark")},
		{"attribute in two conditions", condition("act", "develop"), invalidAs(at+"conditions[1].attribute", "twice")},
		{"condition without values", condition("colour"), invalid(at + "conditions[1].values")},
		{"condition with 65 values", condition("colour", numbered(65, "v%d")...), invalid(at + "conditions[1].values")},
		{"value unknown", condition("colour", "red", "pink"), invalidAs(at+"conditions[1].values[1]", "pink is not a value of colour")},
		{"value twice", condition("colour", "red", "red"), invalidAs(at+"conditions[1].values[1]", "twice")},
		{"every value", condition("colour", "red", "red.dark", "blue", "green"), invalidAs(at+"conditions[1].values", "every value of colour")},
		{"every value, one as beneath another", condition("colour", "green", "blue", "red"), invalidAs(at+"conditions[1].values", "every value of colour")},
		{"expires as it takes effect", edit(func(s *policy.Selector) { s.Window = between("2021-03-20", "2021-03-20") }), invalid(at + "expire_time")},
		{"expires before it takes effect", edit(func(s *policy.Selector) { s.Window = between("2021-03-20", "2021-03-19") }), invalid(at + "expire_time")},
		{"takes effect before the year 1", edit(func(s *policy.Selector) { s.Window.Start = on("0001-01-01") }), invalid(at + "effective_time")},
		{"expires after the year 9999", edit(func(s *policy.Selector) { s.Window.End = on("9999-12-31") + 33*3600_000_000 }), invalid(at + "expire_time")},
	})
	permit(t, []permission{
		{"a value above others that are not named", condition("colour", "red.dark", "blue", "green")},
		{"kinds that no organization is of", edit(func(s *policy.Selector) { s.Organizations.Kinds = []string{"embassy"} })},
		{"a tag that no app has", edit(func(s *policy.Selector) { s.Targets.In[1].Tag = "game" })},
		{"expires with the year 9999", edit(func(s *policy.Selector) { s.Window.End = on("9999-12-31") + 33*3600_000_000 - 1 })},
		{"no limits of time", edit(func(s *policy.Selector) { s.Window = policy.Always })},
	})
}

// TestLawfulRetired tries what was retired after it was named: it stays named.
func TestLawfulRetired(t *testing.T) {
	s := lawfulPolicy(t)
	retired := []policy.Resource{
		&policy.Organization{ID: "court", Kind: "court", Parent: "state", Retired: true},
		&policy.Vendor{ID: "naver", Retired: true}, &policy.App{ID: "line-pay", Retired: true},
		&policy.Purpose{ID: "internal", Retired: true},
		&policy.Attribute{ID: "colour", Values: []string{"red", "red.dark", "blue", "green"}, Retired: true},
	}
	s = propose(t, s, puts(retired...))
	amended := halt()
	amended.Provisions[1].Selector = amended.Provisions[0].Selector // another place of a directive that named them all
	s = propose(t, s, puts(amended))
	for _, r := range retired {
		d := order()
		d.Provisions[0].Force = policy.Advisory
		switch sel := &d.Provisions[0].Selector; r.Key().Kind {
		case policy.KindOrganization:
			sel.Organizations.In = []string{"court"}
		case policy.KindVendor:
			sel.Targets = policy.TargetSelector{In: []policy.Target{{Vendor: "naver"}}}
		case policy.KindApp:
			sel.Targets = policy.TargetSelector{In: []policy.Target{{App: "line-pay"}}}
		case policy.KindPurpose:
			sel.Purposes.Out = []string{"internal"}
		case policy.KindAttribute:
			sel.Conditions = []policy.Condition{{Attribute: "colour", Values: []string{"red"}}}
		}
		_, err := s.Propose(s.Revision()+1, puts(d))
		if !same(err, anew(fieldOf(err), r.Key().Kind, r.Key().ID)) {
			t.Errorf("Propose of a new directive that names retired %s = %v, want it refused", r.Key(), err)
		}
	}
}
