package credential_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policystore/credential"
)

// write returns a file with a text.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A token is one word, and what is none is not repeated: it may be another secret.
func TestToken(t *testing.T) {
	for text, want := range map[string]string{"abc": "abc", " abc\r\n": "abc", "": "", "\n": "", "secret word": "", "secret\nword": "", "secrét": ""} {
		got, err := credential.Token(write(t, text))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Token of %q = %q, %v, want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secr") {
			t.Errorf("Token of %q = %v, which tells it", text, err)
		}
	}
	if _, err := credential.Token("none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Token of no file = %v", err)
	}
}

// A password may end in space, but not in the end of a line.
func TestPassword(t *testing.T) {
	if got, err := credential.Password(write(t, "pass word \r\n")); got != "pass word " || err != nil {
		t.Errorf("Password = %q, %v", got, err)
	}
}

// What the group can read is private enough.
func TestCheckPrivate(t *testing.T) {
	file := write(t, "")
	for mode, private := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o602: false, 0o601: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if err := credential.CheckPrivate(file); (err == nil) != private {
			t.Errorf("CheckPrivate of mode %o = %v", mode, err)
		}
	}
}

func TestPaired(t *testing.T) {
	for f, paired := range map[credential.Files]bool{{}: true, {Cert: "c", Key: "k"}: true, {CA: "a"}: true, {Cert: "c"}: false, {Key: "k"}: false} {
		if err := f.Paired(); (err == nil) != paired {
			t.Errorf("Paired of %+v = %v", f, err)
		}
	}
}
