package teishi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\[([^\]]+)\]\(([^)#]+)(?:#([^)]*))?\)`)
	proving = regexp.MustCompile(`^(Test|Fuzz)[A-Z]`)
	flagged = regexp.MustCompile("`(--[a-z-]+)")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// TestSecurityNamesWhatThereIs checks that every document that docs/security.md names is there, with that heading, and every
// test, and every row of the fault suite, in the file that it is said to be in.
func TestSecurityNamesWhatThereIs(t *testing.T) {
	links := link.FindAllStringSubmatch(read(t, "docs/security.md"), -1)
	if len(links) < 100 {
		t.Fatalf("docs/security.md has %d links, want some hundred: is it read rightly?", len(links))
	}
	for _, l := range links {
		name, file, part := l[1], filepath.Join("docs", l[2]), l[3]
		text := read(t, file)
		row, isRow := strings.CutPrefix(name, "row ")
		switch {
		case isRow && !strings.Contains(text, `{"`+row+`", "`):
			t.Errorf("%s has no row %s", file, row)
		case proving.MatchString(name) && !strings.Contains(text, "\nfunc "+name+"("):
			t.Errorf("%s has no %s", file, name)
		case part != "" && !hasHeading(text, part):
			t.Errorf("%s has no heading #%s", file, part)
		}
	}
}

// TestSecurityNamesFlags checks that every flag that docs/security.md names is one of the server's.
func TestSecurityNamesFlags(t *testing.T) {
	help, err := exec.Command("go", "run", "./cmd/teishi", "serve", "-h").CombinedOutput()
	if err != nil {
		t.Fatalf("teishi serve -h: %v\n%s", err, help)
	}
	for _, f := range flagged.FindAllStringSubmatch(read(t, "docs/security.md"), -1) {
		if !strings.Contains(string(help), f[1]+" ") {
			t.Errorf("teishi serve has no %s", f[1])
		}
	}
}

// hasHeading reports whether a document has the heading that a link to a part of it means.
func hasHeading(text, part string) bool {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		if strings.NewReplacer(" ", "-", ",", "", "`", "", ":", "").Replace(strings.ToLower(h[1])) == part {
			return true
		}
	}
	return false
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
