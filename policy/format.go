package policy

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A format says what is wrong with one string of a resource, if anything is.
type format func(at *field, s string) error

// optional is the format of what may also be empty.
func optional(at *field, s string, f format) error {
	if s == "" {
		return nil
	}
	return f(at, s)
}

// each checks the elements of a list.
func each[T any](at *field, list []T, check func(at *field, element *T) error) error {
	for i := range list {
		if err := check(at.item(i), &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// set checks a list of strings in which none may stand twice.
func set(at *field, list []string, f format) error {
	for i, s := range list {
		if err := f(at.item(i), s); err != nil {
			return err
		}
	}
	return distinct(at, "", len(list), func(i int) string { return list[i] })
}

// distinct checks that n elements have names of their own: themselves, or the field that name says.
func distinct(at *field, name string, n int, nameOf func(i int) string) error {
	seen := make(map[string]bool, n)
	for i := range n {
		if !seen[nameOf(i)] {
			seen[nameOf(i)] = true
			continue
		}
		element := at.item(i)
		if name != "" {
			element = element.in(name)
		}
		return element.wrong(nameOf(i) + " stands here twice")
	}
	return nil
}

// reference is the format of what names another resource: any, for what does not exist is found out later.
func reference(*field, string) error { return nil }

func slug(at *field, s string) error {
	if !IsSlug(s) {
		return at.wrong("not a slug: 1 to 63 of a-z, 0-9 and hyphen, neither first nor last a hyphen")
	}
	return nil
}

// IsSlug tells a plain name, of which any store can make a key or a path: 1 to 63 of a-z, 0-9 and hyphen, neither first nor last a
// hyphen.
func IsSlug(s string) bool {
	if s == "" || len(s) > MaxSlugLength || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func dotted(at *field, s string) error {
	if len(s) > MaxIDLength {
		return at.wrong(fmt.Sprintf("longer than %d characters", MaxIDLength))
	}
	if !isDotted(s) {
		return at.wrong("not slugs joined by dots")
	}
	return nil
}

func isDotted(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !IsSlug(part) {
			return false
		}
	}
	return true
}

// prose is the format of a text that may be empty.
func prose(at *field, s string) error { return proseWithin(at, s, MaxTextLength) }

func proseWithin(at *field, s string, limit int) error {
	if len(s) > limit {
		return at.wrong(fmt.Sprintf("longer than %d bytes", limit))
	}
	if !utf8.ValidString(s) {
		return at.wrong("not UTF-8")
	}
	return nil
}

// said is the format of a text that may not be empty.
func said(at *field, s string) error {
	if s == "" {
		return at.wrong("must be stated")
	}
	return prose(at, s)
}

// texts checks a text by language.
func texts(at *field, t Text) error {
	for _, w := range t {
		if err := language(at.key(w.Language), w.Language); err != nil {
			return err
		}
		if err := said(at.key(w.Language), w.Text); err != nil {
			return err
		}
	}
	return nil
}

func labels(at *field, labels map[string]string) error {
	if len(labels) > MaxLabels {
		return at.wrong(fmt.Sprintf("more than %d labels", MaxLabels))
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if err := slug(at.key(name), name); err != nil {
			return err
		}
		if err := prose(at.key(name), labels[name]); err != nil {
			return err
		}
		if utf8.RuneCountInString(labels[name]) > MaxLabelLength {
			return at.key(name).wrong(fmt.Sprintf("longer than %d characters", MaxLabelLength))
		}
	}
	return nil
}

// source checks that it says something, and where it says so that there is something to follow.
func source(at *field, s *Source) error {
	if s.URI == "" && s.Text == "" {
		return at.wrong("names neither a uri nor a text")
	}
	if err := optional(at.in("uri"), s.URI, uri); err != nil {
		return err
	}
	return prose(at.in("text"), s.Text)
}

func uri(at *field, s string) error {
	if u, err := url.Parse(s); err != nil || !u.IsAbs() {
		return at.wrong("not an absolute URI")
	}
	return prose(at, s)
}

// The instants that a calendar of four-digit years can tell: those from the year 1 to the year 9999.
var (
	firstInstant = InstantOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	lastInstant  = InstantOf(time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC))
)

func instant(at *field, i Instant) error {
	if i < firstInstant || i > lastInstant {
		return at.wrong("not an instant of the years 1 to 9999")
	}
	return nil
}

// window checks the window whose ends the fields of those names state; either may be absent.
func window(at *field, start, end string, w Window) error {
	if w.Start != Beginning {
		if err := instant(at.in(start), w.Start); err != nil {
			return err
		}
	}
	if w.End != Forever {
		if err := instant(at.in(end), w.End); err != nil {
			return err
		}
	}
	if w.Empty() {
		return at.in(end).wrong("not after " + start)
	}
	return nil
}
