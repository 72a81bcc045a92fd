package policy_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/teishi-dev/teishi/policy"
)

// organization finds one by id or alias.
func (ref *reference) organization(name string) *policy.Organization {
	if !strings.Contains(name, ":") {
		return ref.organizations[name]
	}
	for _, o := range ref.organizations {
		if slices.Contains(o.Aliases, name) {
			return o
		}
	}
	return nil
}

// app finds one by id or identifier; nil if the app is unknown, one without id if the identifier is merely unregistered.
func (ref *reference) app(name string) (app *policy.App, unregistered bool) {
	if !strings.Contains(name, ":") {
		return ref.apps[name], false
	}
	scheme, value, ok := parseIdentifier(name)
	if !ok {
		return nil, false
	}
	for value != "" {
		for _, a := range ref.apps {
			if slices.ContainsFunc(a.Identifiers, func(i string) bool { return lowerASCII(i) == scheme+":"+value }) {
				return a, false
			}
		}
		if scheme != "domain" {
			break
		}
		_, value, _ = strings.Cut(value, ".")
	}
	return &policy.App{}, true
}

var (
	identifierPattern = regexp.MustCompile(`^(ios|android|macos|windows|domain):[!-~]+$`)
	domainPattern     = regexp.MustCompile(`^domain:[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$`)
)

// parseIdentifier gives a well-formed identifier's parts in lower case; a domain loses one trailing dot.
func parseIdentifier(name string) (scheme, value string, ok bool) {
	name = lowerASCII(name)
	if strings.HasPrefix(name, "domain:") {
		name = strings.TrimSuffix(name, ".")
	}
	if len(name) > 255 || !identifierPattern.MatchString(name) {
		return "", "", false
	}
	scheme, value, _ = strings.Cut(name, ":")
	return scheme, value, scheme != "domain" || domainPattern.MatchString(name)
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// known are the query's attributes that are registered, and those an identifier supplies.
func (ref *reference) known(q policy.Query) map[string]string {
	given := maps.Clone(q.Attributes)
	if given == nil {
		given = map[string]string{}
	}
	supply := func(name, value string) {
		if _, ok := given[name]; !ok {
			given[name] = value
		}
	}
	if scheme, _, ok := parseIdentifier(q.App); ok && scheme == "domain" {
		supply("platform", "web")
		supply("act", "web-access")
	} else if ok {
		supply("platform", scheme)
	}
	maps.DeleteFunc(given, func(name, value string) bool {
		a := ref.attributes[name]
		return a == nil || !slices.Contains(a.Values, value)
	})
	return given
}

// unrecognized echoes what the query gives and nobody registered.
func (ref *reference) unrecognized(q policy.Query) []string {
	var echoes []string
	for name, value := range q.Attributes {
		if a := ref.attributes[name]; a == nil {
			echoes = appendOnce(echoes, name)
		} else if !slices.Contains(a.Values, value) {
			echoes = appendOnce(echoes, name+"="+value)
		}
	}
	slices.Sort(echoes)
	return echoes
}
