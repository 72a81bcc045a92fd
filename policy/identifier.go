package policy

import (
	"slices"
	"strings"
	"sync"
)

// The schemes of app identifiers. There are no others.
const (
	schemeIOS     = "ios"     // bundle id
	schemeAndroid = "android" // package name
	schemeMacOS   = "macos"   // bundle id
	schemeWindows = "windows" // winget id or package family name
	schemeDomain  = "domain"  // DNS name in A-labels

	platformWeb = "web"
)

// identifier is a well-formed app identifier in the form in which it is held: ASCII lower case.
type identifier struct {
	scheme string
	text   string // the whole, scheme included
}

// platform returns the value of the attribute platform that the identifier speaks of.
func (id identifier) platform() string {
	if id.scheme == schemeDomain {
		return platformWeb
	}
	return id.scheme
}

// parseIdentifier reports whether the name is a well-formed identifier, and returns it in the form in which it is held.
// One trailing dot of a domain is lost.
func parseIdentifier(name string) (identifier, bool) {
	name = lowerASCII(name)
	scheme, value, _ := strings.Cut(name, ":")
	if scheme == schemeDomain {
		name = strings.TrimSuffix(name, ".")
		value = strings.TrimSuffix(value, ".")
	}
	if !identifierScheme(scheme) || value == "" || len(name) > MaxIdentLength || !printable(value) {
		return identifier{}, false
	}
	if scheme == schemeDomain && !domainName(value) {
		return identifier{}, false
	}
	return identifier{scheme, name}, true
}

func identifierScheme(scheme string) bool {
	switch scheme {
	case schemeIOS, schemeAndroid, schemeMacOS, schemeWindows, schemeDomain:
		return true
	}
	return false
}

// printable reports whether s is printable ASCII without space.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// domainName reports whether s has at least two labels, each of 1 to 63 of a-z, 0-9, hyphen and underscore.
func domainName(s string) bool {
	labels, length := 1, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if length == 0 {
				return false
			}
			labels, length = labels+1, 0
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			if length++; length > 63 {
				return false
			}
		default:
			return false
		}
	}
	return labels >= 2 && length > 0
}

// held keeps the identifiers of a snapshot by platform, once somebody asked.
type held struct {
	once       sync.Once
	byPlatform map[string][]string
}

// Identifiers returns the identifiers that apps hold, as they were registered, of a platform: a value of the attribute platform.
// Domains are those of web. They are in order.
func (s *Snapshot) Identifiers(platform string) []string {
	s.held.once.Do(func() { s.held.byPlatform = s.holdings() })
	return s.held.byPlatform[platform]
}

func (s *Snapshot) holdings() map[string][]string {
	byPlatform := make(map[string][]string)
	for r := range s.Resources(KindApp) {
		for _, name := range r.(*App).Identifiers {
			if id, ok := parseIdentifier(name); ok {
				byPlatform[id.platform()] = append(byPlatform[id.platform()], name)
			}
		}
	}
	for _, names := range byPlatform {
		slices.Sort(names)
	}
	return byPlatform
}
