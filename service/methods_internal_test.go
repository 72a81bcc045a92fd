package service

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// TestWhoMayCallWhatIsWrittenDown compares the table of calls in docs/access.md with that of the methods: each is in one row, of those who
// may call it.
func TestWhoMayCallWhatIsWrittenDown(t *testing.T) {
	text, err := os.ReadFile("../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(t, string(text), "| Call | Who may |")
	for name, m := range manners {
		name = strings.TrimPrefix(strings.TrimPrefix(name, "/"), "teishi.v1.")
		var who []string
		for _, r := range rows {
			if r.has(name) {
				who = append(who, r.who)
			}
		}
		if len(who) != 1 || who[0] != inWords(m.may) {
			t.Errorf("docs/access.md says %q of %s, want one row that says %q", who, name, inWords(m.may))
		}
	}
}

// calls is a row of the table in docs/access.md.
type calls struct {
	patterns []string
	who      string
}

func (c *calls) has(method string) bool {
	for _, p := range c.patterns {
		if ok, err := path.Match(p, method); ok || err != nil {
			return true
		}
	}
	return false
}

var quoted = regexp.MustCompile("`[^`]*`")

// rowsOf reads the table with that header.
func rowsOf(t *testing.T, text, header string) (rows []calls) {
	_, table, found := strings.Cut(text, header+"\n|---|---|\n")
	if !found {
		t.Fatalf("docs/access.md has no table %q", header)
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			break
		}
		r := calls{who: strings.TrimSpace(cells[2])}
		for _, p := range quoted.FindAllString(cells[1], -1) {
			r.patterns = append(r.patterns, strings.Trim(p, "`"))
		}
		rows = append(rows, r)
	}
	return rows
}

// inWords says who may.
func inWords(a access) string {
	switch {
	case a.anybody:
		return "everybody"
	case a.known:
		return "whoever is known"
	case a.granted:
		return "whoever has a grant"
	}
	names := make([]string, len(a.roles))
	for i, r := range a.roles {
		names[i] = "`" + r.String() + "`"
	}
	who := strings.Join(names, ", ")
	if a.everywhere {
		who += " over `" + policy.Everywhere + "`"
	}
	return who
}
