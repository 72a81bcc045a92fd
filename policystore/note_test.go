package policystore_test

import (
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/teishi-dev/teishi/policystore"
)

// The key of these examples is the first of RFC 8032, section 7.1; docs/audit.md shows what it signs.
const (
	exampleKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
`
	exampleText = `teishi/head/v1/teishi
4711
5biXbqFhTa7+YDnhJTcvwqLBsqZQp6V9qCeZBXgs4kk=
epoch 1
time 2026-11-25T10:04:07.123456Z
`
	exampleSignature = "— teishi/head/v1/teishi Pa4pRwLzDJOHVotyf6NJMsjBwHu1LpNn7/0sMi3hOjIJBjjvBBwaPV+fPkJTI/LzlFLSdY5Uvn2+s72G/Rs+e1b7fgI=\n"
	exampleVerifier  = "teishi/head/v1/teishi+3dae2947+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
)

func exampleHead(t *testing.T) policystore.Head {
	t.Helper()
	h := policystore.Head{Domain: "teishi", Position: policystore.Position{Epoch: 1, Revision: 4711}, Time: time.Date(2026, 11, 25, 10, 4, 7, 123456000, time.UTC)}
	hash, err := base64.StdEncoding.DecodeString("5biXbqFhTa7+YDnhJTcvwqLBsqZQp6V9qCeZBXgs4kk=")
	if err == nil {
		err = h.Position.Hash.Set(hash)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func exampleSigner(t *testing.T) *policystore.Signer {
	t.Helper()
	s, err := policystore.ParseSigner([]byte(exampleKey))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A head is a signed note that a program which knows nothing of us verifies.
func TestNoteIsANote(t *testing.T) {
	s := exampleSigner(t)
	text, err := s.Note(exampleHead(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := exampleText + "\n" + exampleSignature; string(text) != want {
		t.Errorf("Note =\n%s\nwant\n%s", text, want)
	}
	key, err := s.VerifierKey("teishi")
	if err != nil || key != exampleVerifier {
		t.Errorf("VerifierKey = %s, %v, want %s", key, err, exampleVerifier)
	}
	verifier, err := note.NewVerifier(exampleVerifier)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(text, note.VerifierList(verifier))
	if err != nil || n.Text != exampleText {
		t.Errorf("note.Open = %+v, %v", n, err)
	}
}

func TestOpenNote(t *testing.T) {
	s, other := exampleSigner(t), newSigner(t)
	text, err := s.Note(exampleHead(t))
	if err != nil {
		t.Fatal(err)
	}
	signs := func(text string) string {
		t.Helper()
		key, err := s.VerifierKey("teishi")
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: text}, exampleNoteSigner(t, key))
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	good, twice := string(text), s.Public()+" 1 10\n"+s.Public()+" 4000\n"+other.Public()
	for name, c := range map[string]struct {
		text, keys string
		want       error
	}{
		"as it was signed":             {good, s.Public(), nil},
		"a key with two spans":         {good, twice, nil},
		"what follows it":              {good, s.Public() + " 4712", nil},
		"later than the key begins":    {good, s.Public() + " 4713", policystore.ErrSignature},
		"after the key is spent":       {good, s.Public() + " 1 4710", policystore.ErrSignature},
		"another key":                  {good, other.Public(), policystore.ErrSignature},
		"another revision":             {strings.Replace(good, "4711", "4712", 1), s.Public(), policystore.ErrFormat},
		"no signature":                 {exampleText, s.Public(), policystore.ErrFormat},
		"nothing":                      {"", s.Public(), policystore.ErrFormat},
		"another line":                 {signs(exampleText + "size 3\n"), s.Public(), policystore.ErrFormat},
		"a line less":                  {signs("teishi/head/v1/teishi\n4711\n"), s.Public(), policystore.ErrFormat},
		"another kind":                 {signs(strings.Replace(exampleText, "head", "tree", 1)), s.Public(), policystore.ErrFormat},
		"another record":               {signs(strings.Replace(exampleText, "v1/teishi", "v1/other", 1)), s.Public(), policystore.ErrFormat},
		"a revision written otherwise": {signs(strings.Replace(exampleText, "4711", "04711", 1)), s.Public(), policystore.ErrFormat},
		"no revision":                  {signs(strings.Replace(exampleText, "4711", "0", 1)), s.Public(), policystore.ErrFormat},
		"a hash cut short":             {signs(strings.Replace(exampleText, "5biX", "", 1)), s.Public(), policystore.ErrFormat},
		"a time in another zone":       {signs(strings.Replace(exampleText, "456Z", "456+09:00", 1)), s.Public(), policystore.ErrFormat},
		"no epoch":                     {signs(strings.Replace(exampleText, "epoch 1", "1", 1)), s.Public(), policystore.ErrFormat},
	} {
		h, err := trusting(t, c.keys).OpenNote([]byte(c.text), "teishi")
		if !errors.Is(err, c.want) || c.want == nil && (h.Position != exampleHead(t).Position || !h.Time.Equal(exampleHead(t).Time)) {
			t.Errorf("%s: OpenNote = %+v, %v, want %v", name, h, err, c.want)
		}
	}
}

// exampleNoteSigner signs any text with the key of the examples, by nothing of ours.
func exampleNoteSigner(t *testing.T, verifier string) note.Signer {
	t.Helper()
	seed, err := base64.StdEncoding.DecodeString("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(verifier, "+")[1]
	s, err := note.NewSigner("PRIVATE+KEY+teishi/head/v1/teishi+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What auditors are shown is what is signed.
func TestDocumentedNote(t *testing.T) {
	text, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{exampleText + "\n" + exampleSignature, "\n" + exampleVerifier + "\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/audit.md does not show:\n%s", want)
		}
	}
}
