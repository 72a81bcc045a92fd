package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Text is a text by language, ordered by language. It is a list, for a map of one or two takes ten times the memory.
type Text []Wording

// Wording is a text of at most 8 KiB in one language, a BCP 47 tag.
type Wording struct{ Language, Text string }

// TextOf returns the text by language.
func TextOf(byLanguage map[string]string) Text {
	var t Text
	for _, language := range slices.Sorted(maps.Keys(byLanguage)) {
		t = append(t, Wording{language, byLanguage[language]})
	}
	return t
}

// With returns the text with that wording in the language, over another there was. It may share the memory of t.
func (t Text) With(language, text string) Text {
	i, found := t.find(language)
	if found {
		t[i].Text = text
		return t
	}
	return slices.Insert(t, i, Wording{language, text})
}

// Map returns the text as a map by language, nil if there is none.
func (t Text) Map() map[string]string {
	if len(t) == 0 {
		return nil
	}
	byLanguage := make(map[string]string, len(t))
	for _, w := range t {
		byLanguage[w.Language] = w.Text
	}
	return byLanguage
}

// In returns the text in the language: of the exact tag, else its base, else `en`, else the least tag there is.
func (t Text) In(language string) string { return t.Wording(language).Text }

// Wording returns what In does, with the language that it is in. Without any text it is zero.
func (t Text) Wording(language string) Wording {
	base, _, _ := strings.Cut(language, "-")
	for _, tag := range [...]string{language, base, "en"} {
		if i, found := t.find(tag); found {
			return t[i]
		}
	}
	if len(t) == 0 {
		return Wording{}
	}
	return t[0]
}

func (t Text) find(language string) (int, bool) {
	return slices.BinarySearchFunc(t, language, func(w Wording, language string) int { return cmp.Compare(w.Language, language) })
}
