package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

func numbered(n int, format string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

func TestLawfulPurposes(t *testing.T) {
	registered := lawfulPolicy(t).Count
	var many []policy.Change
	for _, id := range numbered(policy.MaxPurposes, "p%d") {
		many = append(many, puts(&policy.Purpose{ID: id})...)
	}
	refuse(t, []refusal{
		{"id with an empty part", puts(&policy.Purpose{ID: "service..payment"}), invalid("id")},
		{"id too long", puts(&policy.Purpose{ID: strings.Repeat("a.", 127) + "aa"}), invalidAs("id", "longer than 255")},
		{"names in no language", puts(&policy.Purpose{ID: "x", Names: policy.TextOf(map[string]string{"japanese!": "名"})}), invalid(`names["japanese!"]`)},
		{"prefix missing", puts(&policy.Purpose{ID: "tax.return"}), unregistered("id", policy.KindPurpose, "tax")},
		{"beneath a retired one", puts(&policy.Purpose{ID: "past.new"}), anew("id", policy.KindPurpose, "past")},
		{"257", many[:policy.MaxPurposes-registered(policy.KindPurpose)+1], &policy.LimitError{What: "purposes", Limit: 256}},
	})
	permit(t, []permission{
		{"id as long as may be", puts(&policy.Purpose{ID: "a"}, &policy.Purpose{ID: "a." + strings.Repeat("b", 63)})},
		{"beneath one of the same entry", puts(&policy.Purpose{ID: "tax.return"}, &policy.Purpose{ID: "tax"})},
		{"that was beneath one before it was retired", puts(&policy.Purpose{ID: "past.custom", Names: policy.TextOf(map[string]string{"en": "Custom"})})},
		{"256", many[:policy.MaxPurposes-registered(policy.KindPurpose)]},
	})
}

func TestLawfulAttributes(t *testing.T) {
	registered := lawfulPolicy(t).Count
	var many []policy.Change
	for _, id := range numbered(policy.MaxAttributes, "a%d") {
		many = append(many, puts(&policy.Attribute{ID: id, Values: []string{"yes", "no"}})...)
	}
	colour := func(values ...string) []policy.Change {
		return puts(&policy.Attribute{ID: "colour", Values: values})
	}
	refuse(t, []refusal{
		{"dotted id", puts(&policy.Attribute{ID: "a.b", Values: []string{"x"}}), invalid("id")},
		{"name empty", puts(&policy.Attribute{ID: "a", Names: policy.TextOf(map[string]string{"en": ""}), Values: []string{"x"}}), invalid(`names["en"]`)},
		{"no values", colour(), invalid("values")},
		{"65 values", colour(numbered(65, "v%d")...), invalid("values")},
		{"value that is no id", colour("red", "Blue"), invalid("values[1]")},
		{"value twice", colour("red", "red"), invalidAs("values[1]", "twice")},
		{"33", many[:policy.MaxAttributes-registered(policy.KindAttribute)+1], &policy.LimitError{What: "attributes", Limit: 32}},
		{"value dropped that a condition names", colour("red", "red.dark", "green"),
			&policy.ReferencedError{Key: key(policy.KindAttribute, "colour"), By: []policy.Key{key(policy.KindDirective, "halt")}}},
		{"value dropped so that a condition names all left", colour("red", "red.dark", "blue"), invalidAs("values", "directive halt")},
	})
	permit(t, []permission{
		{"64 values", colour(append(numbered(60, "v%d"), "red", "red.dark", "blue", "green")...)},
		{"value dropped that none names", colour("red", "blue", "green")},
		{"32", many[:policy.MaxAttributes-registered(policy.KindAttribute)]},
	})
}

func TestLawfulOrganizations(t *testing.T) {
	edit := func(f func(o *policy.Organization)) []policy.Change { return edited(ministry(), f) }
	parent := func(id, parent string) []policy.Change {
		return puts(&policy.Organization{ID: id, Parent: parent})
	}
	var kinds []policy.Change
	for _, kind := range numbered(policy.MaxKinds, "kind-%d") {
		kinds = append(kinds, puts(&policy.Organization{ID: kind, Kind: kind})...)
	}
	refuse(t, []refusal{
		{"id with a capital", puts(&policy.Organization{ID: "MIC"}), invalid("id")},
		{"id ending in a hyphen", puts(&policy.Organization{ID: "mic-"}), invalid("id")},
		{"id of 64", puts(&policy.Organization{ID: strings.Repeat("a", 64)}), invalid("id")},
		{"name too long", edit(func(o *policy.Organization) {
			o.Names = policy.TextOf(map[string]string{"ja": strings.Repeat("a", 8<<10+1)})
		}), invalid(`names["ja"]`)},
		{"name not UTF-8", edit(func(o *policy.Organization) { o.Names = policy.TextOf(map[string]string{"ja": "\xff"}) }), invalid(`names["ja"]`)},
		{"kind no slug", edit(func(o *policy.Organization) { o.Kind = "Ministry" }), invalid("kind")},
		{"65 kinds", kinds[:policy.MaxKinds-4], &policy.LimitError{What: "kinds of organization", Limit: 64}},
		{"alias without scheme", edit(func(o *policy.Organization) { o.Aliases = []string{"131016"} }), invalid("aliases[0]")},
		{"alias too long", edit(func(o *policy.Organization) { o.Aliases = []string{"x:" + strings.Repeat("a", 127)} }), invalid("aliases[0]")},
		{"jis with a wrong check digit", edit(func(o *policy.Organization) { o.Aliases = []string{"jis:131017"} }), invalidAs("aliases[0]", "check digit")},
		{"corporate number with a wrong check digit", edit(func(o *policy.Organization) { o.Aliases = []string{"a:b", "corporate-number:8000012050002"} }), invalidAs("aliases[1]", "check digit")},
		{"alias twice", edit(func(o *policy.Organization) { o.Aliases = []string{"a:b", "a:b"} }), invalidAs("aliases[1]", "twice")},
		{"alias held by another", edit(func(o *policy.Organization) { o.Aliases = []string{"jis:271004"} }),
			&policy.HeldError{Field: "aliases[0]", Name: "jis:271004", Holder: key(policy.KindOrganization, "osaka")}},
		{"alias held by another of the entry", puts(&policy.Organization{ID: "x", Aliases: []string{"a:b"}}, &policy.Organization{ID: "y", Aliases: []string{"a:b"}}),
			&policy.HeldError{Field: "aliases[0]", Name: "a:b", Holder: key(policy.KindOrganization, "x")}},
		{"65 labels", edit(func(o *policy.Organization) {
			o.Labels = map[string]string{}
			for _, id := range numbered(65, "l%d") {
				o.Labels[id] = ""
			}
		}), invalid("labels")},
		{"label with no slug for a name", edit(func(o *policy.Organization) { o.Labels = map[string]string{"A b": ""} }), invalid(`labels["A b"]`)},
		{"label too long", edit(func(o *policy.Organization) { o.Labels = map[string]string{"a": strings.Repeat("あ", 257)} }), invalid(`labels["a"]`)},
		{"label not UTF-8", edit(func(o *policy.Organization) { o.Labels = map[string]string{"a": "\xff"} }), invalid(`labels["a"]`)},
		{"parent unknown", parent("x", "nobody"), unregistered("parent", policy.KindOrganization, "nobody")},
		{"parent by alias", parent("x", "jis:271004"), unregistered("parent", policy.KindOrganization, "jis:271004")},
		{"parent retired", parent("x", "closed"), anew("parent", policy.KindOrganization, "closed")},
		{"its own parent", parent("local", "local"), invalidAs("parent", "beneath itself")},
		{"beneath its own child", parent("local", "ward"), invalidAs("parent", "beneath itself")},
		{"a circle in one entry", append(parent("x", "y"), parent("y", "x")...), invalidAs("parent", "beneath itself")},
		{"beneath a circle", append(parent("x", "y"), append(parent("y", "z"), parent("z", "y")...)...), invalid("parent")},
		{"the 17th level", parent("x", "o16"), invalidAs("parent", "x would be deeper than 16")},
		{"a move that makes a 17th level", parent("o01", "local"), invalidAs("parent", "o16 would be deeper than 16")},
		{"a move out of reach of a binding provision", parent("court", ""), forbidden("halt", "parent")},
		{"a move of what is above it", edit(func(o *policy.Organization) { o.Parent = "local" }), &policy.RuleError{Directive: "halt", Field: "parent", Problem: "staff binds mic"}},
		{"a move of the authority into what it binds", append(parent("state", "court"), parent("court", "")...), forbidden("halt", "parent")},
	})
	permit(t, []permission{
		{"alias of its own", edit(func(*policy.Organization) {})},
		{"alias given up in the same entry", puts(&policy.Organization{ID: "x", Aliases: []string{"jis:271004"}}, &policy.Organization{ID: "osaka", Parent: "local"})},
		{"label of 256 characters", edit(func(o *policy.Organization) { o.Labels = map[string]string{"a": strings.Repeat("あ", 256)} })},
		{"beneath a retired one it was beneath", puts(&policy.Organization{ID: "annex", Parent: "closed", Kind: "annex"})},
		{"the 16th level", parent("x", "o15")},
		{"a move to the 16th level", parent("o02", "local")},
		{"a move within reach", puts(&policy.Organization{ID: "court", Kind: "court", Parent: "mic"})},
		{"64 kinds", kinds[:policy.MaxKinds-5]},
	})
}

func TestLawfulMovesOfWithdrawn(t *testing.T) {
	s := lawfulPolicy(t)
	move := puts(&policy.Organization{ID: "court", Kind: "court"})
	withdrawn, err := s.Withdraw("halt", "by mistake", on("2021-05-01"))
	if err != nil {
		t.Fatal(err)
	}
	s = propose(t, s, withdrawn)
	propose(t, s, move) // nothing that is void can hold an organization in its place
}

func TestLawfulVendors(t *testing.T) {
	edit := func(f func(v *policy.Vendor)) []policy.Change { return edited(lineCorp(), f) }
	under := func(id, parent string, w policy.Window) *policy.Vendor {
		return &policy.Vendor{ID: id, Parents: []policy.VendorPeriod{{Vendor: parent, Window: w}}}
	}
	naver := func(parent string, w policy.Window) []policy.Change { return puts(under("naver", parent, w)) }
	refuse(t, []refusal{
		{"id no slug", puts(&policy.Vendor{ID: "a_b"}), invalid("id")},
		{"names in no language", edit(func(v *policy.Vendor) { v.Names = policy.TextOf(map[string]string{"": "x"}) }), invalid(`names[""]`)},
		{"label with no slug for a name", edit(func(v *policy.Vendor) { v.Labels = map[string]string{"A": ""} }), invalid(`labels["A"]`)},
		{"parent unknown", edit(func(v *policy.Vendor) { v.Parents[1].Vendor = "nobody" }), unregistered("parents[1].vendor", policy.KindVendor, "nobody")},
		{"parent unstated", edit(func(v *policy.Vendor) { v.Parents[1].Vendor = "" }), unregistered("parents[1].vendor", policy.KindVendor, "")},
		{"parent retired", edit(func(v *policy.Vendor) { v.Parents[0].Vendor = "gone" }), anew("parents[0].vendor", policy.KindVendor, "gone")},
		{"period that ends as it starts", edit(func(v *policy.Vendor) { v.Parents[0].Window = between("2021-01-01", "2021-01-01") }), invalid("parents[0].end_time")},
		{"period beyond the calendar", edit(func(v *policy.Vendor) { v.Parents[1].Window.Start = policy.Forever - 1 }), invalid("parents[1].start_time")},
		{"two parents at a time", edit(func(v *policy.Vendor) { v.Parents[0].Window.End++ }), invalidAs("parents[1]", "overlaps parents[0]")},
		{"country of no country", edit(func(v *policy.Vendor) { v.Countries[0].Country = "UK" }), invalid("countries[0].country")},
		{"country in lower case", edit(func(v *policy.Vendor) { v.Countries[0].Country = "jp" }), invalid("countries[0].country")},
		{"two countries at a time", edit(func(v *policy.Vendor) {
			v.Countries = append(v.Countries, policy.CountryPeriod{Country: "KR", Window: since("2021-01-01")})
		}), invalidAs("countries[1]", "overlaps")},
		{"country for no time", edit(func(v *policy.Vendor) { v.Countries[0].Window = between("2021-01-02", "2021-01-01") }), invalid("countries[0].end_time")},
		{"its own parent", naver("naver", policy.Always), invalidAs("parents[0]", "beneath itself")},
		{"beneath its child at some instant", naver("line-corp", between("2021-02-28", "2021-03-02")), invalidAs("parents[0]", "beneath itself")},
		{"a circle in one entry", puts(under("x", "y", since("2021-01-01")), under("y", "x", until("2021-01-02"))), invalidAs("parents[0]", "beneath itself")},
		{"beneath a circle", puts(under("x", "y", policy.Always), under("y", "z", policy.Always), under("z", "y", policy.Always)), invalid("parents[0]")},
		{"the 17th level at some instant", puts(under("x", "v16", between("2020-12-31", "2021-01-02"))), invalidAs("parents[0]", "x would be deeper than 16")},
		{"a parent that makes a 17th level", puts(under("v01", "zhd", policy.Always)), invalidAs("parents", "v16 would be deeper than 16")},
		{"a parent far up that makes a 17th level", puts(under("v02", "line-corp", policy.Always)), invalidAs("parents", "v16 would be deeper than 16")},
	})
	permit(t, []permission{
		{"beneath its child when that is no longer its child", naver("line-corp", since("2021-03-01"))},
		{"beneath each other at different times", puts(under("x", "y", since("2021-01-01")), under("y", "x", until("2021-01-01")))},
		{"deep, but at no one instant", puts(under("x", "v16", until("2021-01-01")))},
		{"a parent above a chain that is not there yet", puts(under("v01", "zhd", until("2021-01-01")))},
		{"beneath a retired one it was beneath", puts(under("heir", "gone", since("2021-01-01")))},
		{"a country left to users", edit(func(v *policy.Vendor) { v.Countries[0].Country = "XK" })},
		{"periods out of order", edit(func(v *policy.Vendor) { v.Parents[0], v.Parents[1] = v.Parents[1], v.Parents[0] })},
	})
}

// TestLawfulMovesBlamed tries entries that move one thing lawfully and another not.
func TestLawfulMovesBlamed(t *testing.T) {
	s := lawfulPolicy(t)
	for _, changes := range [][]policy.Change{
		puts(&policy.Organization{ID: "annex"}, &policy.Organization{ID: "o01", Parent: "local"}),
		puts(&policy.Organization{ID: "annex"}, &policy.Organization{ID: "court"}),
		puts(&policy.Vendor{ID: "naver", Parents: []policy.VendorPeriod{{Vendor: "zhd", Window: policy.Always}}},
			&policy.Vendor{ID: "v01", Parents: []policy.VendorPeriod{{Vendor: "zhd", Window: policy.Always}}}),
	} {
		_, err := s.Propose(s.Revision()+1, changes)
		if blamed, ok := errors.AsType[*policy.ChangeError](err); !ok || blamed.Index != 1 || blamed.Key != changes[1].Key() {
			t.Errorf("Propose = %v, want %s blamed", err, changes[1].Key())
		}
	}
}

func TestLawfulApps(t *testing.T) {
	edit := func(f func(a *policy.App)) []policy.Change { return edited(line(), f) }
	identifier := func(id string) []policy.Change {
		return puts(&policy.App{ID: "x", Identifiers: []string{"macos:a.b", id}})
	}
	held := func(id string) error {
		return &policy.HeldError{Field: "identifiers[1]", Name: id, Holder: key(policy.KindApp, "line")}
	}
	refuse(t, []refusal{
		{"id no slug", puts(&policy.App{ID: "ios:line"}), invalid("id")},
		{"names in no language", edit(func(a *policy.App) { a.Names = policy.TextOf(map[string]string{"ja_JP": "x"}) }), invalid(`names["ja_JP"]`)},
		{"label with no slug for a name", edit(func(a *policy.App) { a.Labels = map[string]string{"": ""} }), invalid(`labels[""]`)},
		{"owner unknown", edit(func(a *policy.App) { a.Ownerships[0].Vendor = "nobody" }), unregistered("ownerships[0].vendor", policy.KindVendor, "nobody")},
		{"owner retired", edit(func(a *policy.App) { a.Ownerships[0].Vendor = "gone" }), anew("ownerships[0].vendor", policy.KindVendor, "gone")},
		{"two owners at a time", edit(func(a *policy.App) {
			a.Ownerships = append(a.Ownerships, policy.VendorPeriod{Vendor: "naver", Window: between("2021-01-01", "2021-01-02")})
		}), invalidAs("ownerships[1]", "overlaps ownerships[0]")},
		{"owned for no time", edit(func(a *policy.App) { a.Ownerships[0].Window = between("2021-01-02", "2021-01-01") }), invalid("ownerships[0].end_time")},
		{"tag no slug", edit(func(a *policy.App) { a.Tags = []string{"sns", "Generative AI"} }), invalid("tags[1]")},
		{"tag twice", edit(func(a *policy.App) { a.Tags = []string{"sns", "sns"} }), invalidAs("tags[1]", "twice")},
		{"stale answer unknown", edit(func(a *policy.App) { a.OnStale = 9 }), invalid("on_stale")},
		{"scheme misspelt", identifier("iso:jp.naver.line"), invalidAs("identifiers[1]", "android, domain, ios, macos, windows")},
		{"scheme in capitals", identifier("IOS:jp.naver.line"), invalidAs("identifiers[1]", "android, domain, ios, macos, windows")},
		{"no scheme", identifier("line.me"), invalidAs("identifiers[1]", "android, domain, ios, macos, windows")},
		{"nothing after the scheme", identifier("ios:"), invalid("identifiers[1]")},
		{"a space", identifier("windows:LINE Corporation"), invalid("identifiers[1]")},
		{"too long", identifier("ios:" + strings.Repeat("a", policy.MaxIdentLength-3)), invalidAs("identifiers[1]", "longer")},
		{"domain in capitals", identifier("domain:Line.me"), invalidAs("identifiers[1]", "A-labels")},
		{"domain not in A-labels", identifier("domain:ライン.jp"), invalid("identifiers[1]")},
		{"domain of one label", identifier("domain:me"), invalidAs("identifiers[1]", "two labels")},
		{"domain with a dot at its end", identifier("domain:line.example."), invalid("identifiers[1]")},
		{"twice in different case", puts(&policy.App{ID: "x", Identifiers: []string{"ios:a.b", "ios:A.b"}}), invalidAs("identifiers[1]", "twice")},
		{"held by another", identifier("ios:jp.naver.line"), held("ios:jp.naver.line")},
		{"held by another in different case", identifier("ios:JP.Naver.LINE"), held("ios:JP.Naver.LINE")},
		{"held by another of the entry in different case", puts(&policy.App{ID: "x", Identifiers: []string{"ios:a.b"}}, &policy.App{ID: "y", Identifiers: []string{"ios:A.B"}}),
			&policy.HeldError{Field: "identifiers[0]", Name: "ios:A.B", Holder: key(policy.KindApp, "x")}},
	})
	permit(t, []permission{
		{"its own identifiers", edit(func(*policy.App) {})},
		{"an identifier given up in the same entry", append(identifier("ios:jp.naver.line"), edit(func(a *policy.App) { a.Identifiers = nil })...)},
		{"an identifier as long as may be", identifier("ios:" + strings.Repeat("a", policy.MaxIdentLength-4))},
		{"a retired owner it had", puts(&policy.App{ID: "dead", Ownerships: []policy.VendorPeriod{{Vendor: "gone", Window: since("2021-01-01")}}})},
		{"a domain below one that another holds", identifier("domain:liff.line.me")},
		{"owners one after the other", edit(func(a *policy.App) {
			a.Ownerships = []policy.VendorPeriod{{Vendor: "naver", Window: since("2021-03-01")}, {Vendor: "zhd", Window: until("2021-03-01")}}
		})},
	})
}
