package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// lawfulPolicy is the policy on which the rules are tried. Everything a rule is about is in it once.
func lawfulPolicy(t *testing.T) *policy.Snapshot {
	t.Helper()
	s := propose(t, policy.New(), policy.Birth())
	s = propose(t, s, registryBefore())
	s = propose(t, s, registryRetired())
	s = propose(t, s, puts(&policy.Directive{ID: "guide", Authority: "mic", Window: since("2021-01-01")},
		&policy.Directive{ID: "memo", Authority: "state", Window: since("2021-01-01")}, halt(),
		lift(), exemption(), &policy.ConcernState{Directive: "halt", Concern: "location", Resolved: true, Evidence: "moved", Time: on("2021-04-01")},
		&policy.Statement{Directive: "halt", ID: "answer", Author: "the vendor", Text: "sorry", Time: on("2021-03-23")}))
	void := &policy.Directive{ID: "void", Authority: "state", Window: since("2021-01-01"), Concerns: []policy.Concern{{ID: "location"}},
		Withdrawal: &policy.Withdrawal{Time: on("2021-01-02"), Reason: "by mistake"}}
	return propose(t, s, puts(void))
}

func registryBefore() []policy.Change {
	changes := puts(
		&policy.Organization{ID: "state", Kind: "government"}, ministry(),
		&policy.Organization{ID: "bureau", Kind: "bureau", Parent: "mic"},
		&policy.Organization{ID: "court", Kind: "court", Parent: "state"},
		&policy.Organization{ID: "local"},
		&policy.Organization{ID: "osaka", Kind: "municipality", Parent: "local", Aliases: []string{"jis:271004"}},
		&policy.Organization{ID: "ward", Parent: "osaka"},
		&policy.Organization{ID: "closed"}, &policy.Organization{ID: "annex", Parent: "closed"},
		&policy.Vendor{ID: "naver", Countries: []policy.CountryPeriod{{Country: "KR", Window: policy.Always}}},
		&policy.Vendor{ID: "zhd"}, lineCorp(),
		&policy.Vendor{ID: "gone"}, &policy.Vendor{ID: "heir", Parents: []policy.VendorPeriod{{Vendor: "gone", Window: policy.Always}}},
		line(), &policy.App{ID: "line-pay"},
		&policy.App{ID: "dead", Ownerships: []policy.VendorPeriod{{Vendor: "gone", Window: policy.Always}}},
		&policy.Purpose{ID: "past"}, &policy.Purpose{ID: "past.custom"},
		&policy.Attribute{ID: "mark", Values: []string{"x", "y"}},
		&policy.Attribute{ID: "colour", Values: []string{"red", "red.dark", "blue", "green"}},
	)
	for i := 1; i <= policy.MaxDepth; i++ {
		o, v := &policy.Organization{ID: fmt.Sprintf("o%02d", i)}, &policy.Vendor{ID: fmt.Sprintf("v%02d", i)}
		if i > 1 {
			o.Parent = fmt.Sprintf("o%02d", i-1)
			v.Parents = []policy.VendorPeriod{{Vendor: fmt.Sprintf("v%02d", i-1), Window: since("2021-01-01")}}
		}
		changes = append(changes, puts(o, v)...)
	}
	return changes
}

func registryRetired() []policy.Change {
	return puts(
		&policy.Organization{ID: "closed", Retired: true}, &policy.Vendor{ID: "gone", Retired: true},
		&policy.App{ID: "dead", Ownerships: []policy.VendorPeriod{{Vendor: "gone", Window: policy.Always}}, Retired: true},
		&policy.Purpose{ID: "past", Retired: true}, &policy.Attribute{ID: "mark", Values: []string{"x", "y"}, Retired: true},
	)
}

func ministry() *policy.Organization {
	return &policy.Organization{
		ID: "mic", Names: policy.TextOf(map[string]string{"ja": "総務省"}), Kind: "ministry", Parent: "state",
		Aliases: []string{"corporate-number:2000012020001"}, Labels: map[string]string{"seat": "Kasumigaseki"},
	}
}

func lineCorp() *policy.Vendor {
	return &policy.Vendor{
		ID: "line-corp", Names: policy.TextOf(map[string]string{"en": "LINE"}),
		Parents:   []policy.VendorPeriod{{Vendor: "naver", Window: until("2021-03-01")}, {Vendor: "zhd", Window: since("2021-03-01")}},
		Countries: []policy.CountryPeriod{{Country: "JP", Window: policy.Always}},
	}
}

func line() *policy.App {
	return &policy.App{
		ID: "line", Ownerships: []policy.VendorPeriod{{Vendor: "line-corp", Window: policy.Always}}, Tags: []string{"sns"},
		Identifiers: []string{"ios:jp.naver.line", "domain:line.me"},
	}
}

// halt is a directive with everything a directive may have.
func halt() *policy.Directive {
	return &policy.Directive{
		ID: "halt", Authority: "state", Window: since("2021-03-19"), Supersedes: []string{"guide"},
		Sources: []policy.Source{{URI: "https://www.example.go.jp/1"}},
		Provisions: []policy.Provision{
			{ID: "staff", Force: policy.Binding, Selector: policy.Selector{
				Organizations: policy.OrganizationSelector{In: []string{"mic", "court"}, Out: []string{"bureau"}, Kinds: []string{"government"}},
				Targets: policy.TargetSelector{In: []policy.Target{{App: "line"}, {Vendor: "naver", Tag: "sns", Country: "KR"}},
					Out: []policy.Target{{App: "line-pay"}}},
				Purposes:   policy.PurposeSelector{In: []string{"internal"}, Out: []string{"internal.scheduling"}},
				Conditions: []policy.Condition{{Attribute: "colour", Values: []string{"red", "blue"}}},
				Window:     since("2021-03-20"),
			}, Alternatives: []policy.Alternative{{ID: "mail", URI: "mailto:line@example.go.jp"}}},
			{ID: "locals", Force: policy.Advisory, Selector: policy.Selector{
				Organizations: policy.OrganizationSelector{All: true}, Targets: policy.TargetSelector{All: true}, Window: policy.Always,
			}},
		},
		CarveOuts: []policy.Release{{ID: "develop", Directive: "halt", Kind: policy.CarveOut, Provisions: []string{"staff"},
			Selector: policy.Selector{Window: policy.Always}, Instrument: "memo", EndTime: policy.Forever}},
		LiftMode: policy.LiftWhenConcernsResolved,
		Concerns: []policy.Concern{{ID: "location"}, {ID: "access"}},
		ExemptionRules: &policy.ExemptionRules{
			Grounds: []policy.Ground{{ID: "regulator"}, {ID: "research"}}, LongestDuration: 90 * 24 * time.Hour,
			Obligations: []policy.Obligation{{ID: "delete"}}, NotWhole: []string{"ministry"},
		},
	}
}

// lift is the lift that halt has.
func lift() *policy.Release {
	return &policy.Release{ID: "partial", Directive: "halt", Kind: policy.Lift, Provisions: []string{"staff"}, EndTime: policy.Forever,
		Selector: policy.Selector{Purposes: policy.PurposeSelector{In: []string{"public"}}, Window: since("2021-04-01")}, Instrument: "memo"}
}

// exemption is the exemption that halt has.
func exemption() *policy.Release {
	return &policy.Release{ID: "judges", Directive: "halt", Kind: policy.Exemption, EndTime: policy.Forever,
		Selector: policy.Selector{Organizations: policy.OrganizationSelector{In: []string{"court"}}, Window: between("2021-04-01", "2021-06-30")},
		Ground:   "regulator", Justification: "they must read it"}
}

// order is a directive that could be issued.
func order() *policy.Directive {
	return &policy.Directive{ID: "order", Authority: "mic", Window: since("2021-03-19"), DeviceAction: policy.DeviceBlock, Provisions: []policy.Provision{
		{ID: "all", Force: policy.Binding, Selector: policy.Selector{Organizations: policy.OrganizationSelector{In: []string{"mic"}},
			Targets: policy.TargetSelector{All: true}, Window: policy.Always}}}}
}

// another is a release like r under another id.
func another(r *policy.Release) *policy.Release {
	r.ID = "another"
	return r
}
