package policy_test

import (
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// days are n windows of a day each, one after the other.
func days(n int) []policy.Window {
	const day = policy.Instant(24 * time.Hour / time.Microsecond)
	list := make([]policy.Window, n)
	for i := range list {
		start := on("2021-01-01") + policy.Instant(i)*day
		list[i] = policy.Window{Start: start, End: start + day}
	}
	return list
}

func ownedFor(n int) (list []policy.VendorPeriod) {
	for _, w := range days(n) {
		list = append(list, policy.VendorPeriod{Vendor: "naver", Window: w})
	}
	return list
}

func countryFor(n int) (list []policy.CountryPeriod) {
	for _, w := range days(n) {
		list = append(list, policy.CountryPeriod{Country: "KR", Window: w})
	}
	return list
}

func provisionsOf(n int) (list []policy.Provision) {
	for _, id := range numbered(n, "p%d") {
		p := order().Provisions[0]
		p.ID = id
		list = append(list, p)
	}
	return list
}

func concernsOf(n int) (list []policy.Concern) {
	for _, id := range numbered(n, "c%d") {
		list = append(list, policy.Concern{ID: id})
	}
	return list
}

func groundsOf(n int) *policy.ExemptionRules {
	rules := &policy.ExemptionRules{Approver: policy.ApproverSubject}
	for _, id := range numbered(n, "g%d") {
		rules.Grounds = append(rules.Grounds, policy.Ground{ID: id})
	}
	return rules
}

// superseding is an order that supersedes n others, which come with it.
func superseding(n int) []policy.Change {
	var changes []policy.Change
	for _, id := range numbered(n, "former-%d") {
		changes = append(changes, puts(&policy.Directive{ID: id, Authority: "mic", Window: since("2021-01-01")})...)
	}
	return append(changes, edited(order(), func(d *policy.Directive) { d.Supersedes = numbered(n, "former-%d") })...)
}

// carvedFor is an order of n provisions with m carve-outs, each from all of them by name.
func carvedFor(n, m int) []policy.Change {
	return edited(order(), func(d *policy.Directive) {
		d.Provisions = provisionsOf(n)
		for _, id := range numbered(m, "approved-%d") {
			d.CarveOuts = append(d.CarveOuts, policy.Release{ID: id, Directive: "order", Kind: policy.CarveOut,
				Provisions: numbered(n, "p%d"), Selector: policy.Selector{Window: policy.Always}, EndTime: policy.Forever})
		}
	})
}

// TestLawfulLengths has each list that is bounded one too long, and as long as it may be.
func TestLawfulLengths(t *testing.T) {
	aliases := func(n int) []policy.Change {
		return puts(&policy.Organization{ID: "x", Aliases: numbered(n, "a:%d")})
	}
	parents := func(n int) []policy.Change { return puts(&policy.Vendor{ID: "x", Parents: ownedFor(n)}) }
	countries := func(n int) []policy.Change { return puts(&policy.Vendor{ID: "x", Countries: countryFor(n)}) }
	app := func(owners, tags, identifiers int) []policy.Change {
		return puts(&policy.App{ID: "x", Ownerships: ownedFor(owners), Tags: numbered(tags, "t%d"), Identifiers: numbered(identifiers, "ios:%d")})
	}
	text := func(edit func(d *policy.Directive)) []policy.Change { return edited(order(), edit) }
	concerns := func(n int) []policy.Change {
		return text(func(d *policy.Directive) { d.Concerns = concernsOf(n) })
	}
	grounds := func(n int) []policy.Change {
		return text(func(d *policy.Directive) { d.ExemptionRules = groundsOf(n) })
	}
	refuse(t, []refusal{
		{"aliases", aliases(policy.MaxAliases + 1), invalidAs("aliases", "has 65 aliases, not 0 to 64")},
		{"parents", parents(policy.MaxPeriods + 1), invalidAs("parents", "has 65 periods")},
		{"countries", countries(policy.MaxPeriods + 1), invalidAs("countries", "has 65 periods")},
		{"ownerships", app(policy.MaxPeriods+1, 0, 0), invalidAs("ownerships", "has 65 periods")},
		{"tags", app(0, policy.MaxTags+1, 0), invalidAs("tags", "has 65 tags")},
		{"identifiers", app(0, 0, policy.MaxIdentifiers+1), invalidAs("identifiers", "has 257 identifiers")},
		{"provisions", carvedFor(policy.MaxProvisions+1, 0), invalidAs("provisions", "has 257 provisions")},
		{"supersedes", superseding(policy.MaxSupersedes + 1), invalidAs("supersedes", "has 65 directives")},
		{"concerns", concerns(policy.MaxConcerns + 1), invalidAs("concerns", "has 65 concerns")},
		{"grounds", grounds(policy.MaxGrounds + 1), invalidAs("exemption_rules.grounds", "has 65 grounds")},
	})
	permit(t, []permission{
		{"aliases", aliases(policy.MaxAliases)},
		{"parents", parents(policy.MaxPeriods)},
		{"countries", countries(policy.MaxPeriods)},
		{"an app's", app(policy.MaxPeriods, policy.MaxTags, policy.MaxIdentifiers)},
		{"provisions", carvedFor(policy.MaxProvisions, 8)},
		{"carve-outs without a bound", carvedFor(1, 5000)},
		{"supersedes", superseding(policy.MaxSupersedes)},
		{"concerns", concerns(policy.MaxConcerns)},
		{"grounds", grounds(policy.MaxGrounds)},
	})
}
