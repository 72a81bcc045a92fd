package policy_test

import (
	"slices"
	"strings"

	"github.com/teishi-dev/teishi/policy"
)

// questions draws queries about one world: mostly about what there is, now and then about what there is not.
type questions struct {
	*dice
	organizations, aliases, apps, purposes []string
	attributes                             []*policy.Attribute
}

func newQuestions(d *dice, w world) *questions {
	qs := &questions{dice: d, organizations: ids[*policy.Organization](w), apps: ids[*policy.App](w), purposes: ids[*policy.Purpose](w), attributes: all[*policy.Attribute](w)}
	for _, o := range all[*policy.Organization](w) {
		qs.aliases = append(qs.aliases, o.Aliases...)
	}
	return qs
}

// oddApps are names of none of the apps, of unregistered and of registered ones, and no names at all.
var oddApps = []string{
	"", "nothing", "ios:", "ios:none", "IOS:JP.NAVER.LINE", "ios:jp naver", "ios:jp.nävér", "ios:jp.naver.line.", "ios:jp.go", "windows:line.line", "linux:line",
	"domain:www.api.line.me", "domain:myline.me", "domain:me", "domain:API.Line.Me", "domain:b..line.me", "domain:x!.line.me", "domain:a.gov.example",
	"domain:line.me.", "domain:api.line.me..", "domain:me.", "domain:.", "domain:", "domain:none.example.", "jis:131016", "http:line.me", "a:", ":a",
	"ios:" + strings.Repeat("x", 251), "ios:" + strings.Repeat("x", 252), "domain:" + strings.Repeat("x", 63) + ".line.me", "domain:" + strings.Repeat("x", 64) + ".line.me",
	"domain:" + strings.Repeat("x.", 120) + "line.me.", "domain:" + strings.Repeat("x.", 121) + "line.me",
}

func (qs *questions) query() policy.Query {
	return policy.Query{
		Organization: qs.named(qs.organizations, append(qs.aliases, aliases[0]), []string{"", "nobody", "JIS:131016", "ios:jp.naver.line", "o1"}),
		App:          qs.named(qs.apps, identifiers, oddApps),
		Purpose:      qs.named(qs.purposes, []string{""}, []string{"nothing", "a.", "a.b.z.z", ".", "A"}),
		Attributes:   qs.circumstances(),
		At:           qs.when(),
	}
}

// named is mostly one of the first, sometimes of the second, seldom of the third.
func (qs *questions) named(first, second, third []string) string {
	switch n := qs.IntN(25); {
	case n == 0 || len(first) == 0:
		return pick(qs.dice, third)
	case n < 6:
		return pick(qs.dice, second)
	}
	return pick(qs.dice, first)
}

// circumstances leave many attributes out, and name some that nobody registered.
func (qs *questions) circumstances() map[string]string {
	given := map[string]string{}
	for _, a := range qs.attributes {
		if qs.one(2) {
			given[a.ID] = pick(qs.dice, a.Values)
		}
		if qs.one(20) {
			given[a.ID] = pick(qs.dice, []string{"", "x", "x.y.z", "b", "web.none"})
		}
	}
	for qs.one(12) {
		given[pick(qs.dice, []string{"", "dat", "data=b", "data-y", "zz"})] = pick(qs.dice, slices.Concat(circumstances, []string{"b"}))
	}
	if len(given) == 0 {
		return nil
	}
	return given
}
