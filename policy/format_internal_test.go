package policy

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// FuzzIdentifier looks for identifiers that are not what they are held as: the device and the directive that name an app in other
// cases, or with another dot, must mean the same one.
func FuzzIdentifier(f *testing.F) {
	for _, name := range []string{"", "ios:jp.naver.line", "android:", "WINDOWS:Naver.LINE", "domain:line.me", "domain:line.me.", "Domain:_DMARC.line.me..", "domain:me", "macos:a b", "mailto:a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, ok := parseIdentifier(name)
		if registered := appIdentifier(nil, name) == nil; registered && !ok {
			t.Errorf("%q can be registered and not be asked about", name)
		}
		if upper, also := parseIdentifier(strings.Map(upperASCII, name)); also != ok || upper != id {
			t.Errorf("%q is %v, %t, and in upper case %v, %t", name, id, ok, upper, also)
		}
		if !ok {
			return
		}
		if again, ok := parseIdentifier(id.text); !ok || again != id {
			t.Errorf("%q is held as %v, which is %v, %t", name, id, again, ok)
		}
		if err := appIdentifier(nil, id.text); err != nil {
			t.Errorf("%q is held as %q, which cannot be registered: %v", name, id.text, err)
		}
	})
}

func upperASCII(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}

// Names as the specification writes them.
var (
	slugs   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	aliases = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?:[!-~]+$`)
)

// FuzzNames compares slugs, dotted names and aliases with what the specification says of them.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"", "jp-mic", "a.b-c.d", ".", "a-", "a..b", "jis:131016", "corporate-number:7000012050002", "x:y z", "a\n", strings.Repeat("a", 64)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := IsSlug(name), slugs.MatchString(name); got != want {
			t.Errorf("IsSlug(%q) = %t, want %t", name, got, want)
		}
		want := len(name) <= MaxIDLength
		for _, part := range strings.Split(name, ".") {
			want = want && slugs.MatchString(part)
		}
		if got := dotted(nil, name) == nil; got != want {
			t.Errorf("%q is a dotted name: %t, want %t", name, got, want)
		}
		if alias(nil, name) == nil && (len(name) > MaxAliasLength || !aliases.MatchString(name)) {
			t.Errorf("%q is taken for an alias", name)
		}
	})
}

// FuzzLanguage looks for tags that nobody can write: the case that is asked for must be taken.
func FuzzLanguage(f *testing.F) {
	for _, tag := range []string{"", "ja", "zh-hant-tw", "EN-us-X-AB", "de-CH-1996", "ja-u-ca-japanese", "x-private"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		wrong, ok := errors.AsType[*InvalidError](language(nil, tag))
		if !ok {
			return
		}
		if customary, found := strings.CutPrefix(wrong.Problem, "write it "); found && language(nil, customary) != nil {
			t.Errorf("%q is to be written %q, which is refused: %v", tag, customary, language(nil, customary))
		}
	})
}
