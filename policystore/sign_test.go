package policystore_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

func newSigner(t *testing.T) *policystore.Signer {
	t.Helper()
	s, err := policystore.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trusting returns the keys of lines.
func trusting(t *testing.T, lines ...string) *policystore.TrustedKeys {
	t.Helper()
	keys, err := policystore.ParseTrustedKeys(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// signed returns entries of a history, signed.
func signed(t *testing.T, s *policystore.Signer, n int) []policystore.Entry {
	t.Helper()
	h := history(t, n)
	for i := range h {
		s.SignEntry(domain, &h[i])
	}
	return h
}

// A private key survives being written, and nothing else is one.
func TestParseSigner(t *testing.T) {
	s := newSigner(t)
	text, err := s.PEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := policystore.ParseSigner(text)
	if err != nil || again.Public() != s.Public() {
		t.Errorf("ParseSigner = %v, want the key that was written", err)
	}
	for name, text := range map[string]string{
		"nothing":      "",
		"no PEM":       "key",
		"a public key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"no key":       "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		if _, err := policystore.ParseSigner([]byte(text)); err == nil {
			t.Errorf("%s: ParseSigner succeeds", name)
		}
	}
}

func TestParseTrustedKeysRefuses(t *testing.T) {
	key := newSigner(t).Public()
	for text, want := range map[string]string{
		"":                    "no key in it",
		"# none":              "no key in it",
		"key":                 `line 1: its first word is not a public key`,
		key[:20]:              "is not a public key",
		"\n" + key + " 0":     `line 2: "0" is not a revision`,
		key + " x":            `"x" is not a revision`,
		key + " 5 4":          "its first revision 5 is after its last 4",
		key + " 1 2 3":        "more than a key",
		key + "\n" + "broken": "line 2",
	} {
		if _, err := policystore.ParseTrustedKeys(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTrustedKeys(%q) = %v, want %q", text, err, want)
		}
	}
}

// An entry counts that a trusted key has signed which may sign that revision.
func TestVerifyEntry(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	h := signed(t, s, 5)
	for name, c := range map[string]struct {
		keys  string
		good  []int // revisions
		other bool  // signed by another key
	}{
		"any revision":         {s.Public(), []int{1, 2, 3, 4, 5}, false},
		"from a revision":      {s.Public() + " 3", []int{3, 4, 5}, false},
		"between two":          {s.Public() + " 2 4 # retired", []int{2, 3, 4}, false},
		"two spans of one key": {s.Public() + " 1 1\n" + s.Public() + " 5", []int{1, 5}, false},
		"another key":          {other.Public(), nil, false},
		"both keys":            {other.Public() + "\n" + s.Public(), []int{1, 2, 3, 4, 5}, false},
	} {
		keys := trusting(t, c.keys)
		var good []int
		for i := range h {
			err := keys.VerifyEntry(domain, &h[i])
			if err == nil {
				good = append(good, i+1)
			} else if !errors.Is(err, policystore.ErrSignature) {
				t.Errorf("%s: VerifyEntry = %v, want ErrSignature", name, err)
			}
		}
		if len(good) != len(c.good) || len(good) > 0 && good[0] != c.good[0] {
			t.Errorf("%s: entries %v count, want %v", name, good, c.good)
		}
	}
	keys := trusting(t, s.Public())
	if err := keys.VerifyEntry("another", &h[0]); !errors.Is(err, policystore.ErrSignature) {
		t.Errorf("in another domain VerifyEntry = %v, want ErrSignature", err)
	}
	for name, change := range map[string]func(*policystore.Entry){
		"no signature":      func(e *policystore.Entry) { e.Signature = nil },
		"a bit flipped":     func(e *policystore.Entry) { e.Signature = bytes.Clone(e.Signature); e.Signature[9] ^= 1 },
		"another hash":      func(e *policystore.Entry) { e.Hash[0] ^= 1 },
		"another revision":  func(e *policystore.Entry) { e.Revision++ },
		"another epoch":     func(e *policystore.Entry) { e.Epoch++ },
		"another signature": func(e *policystore.Entry) { e.Signature = h[1].Signature },
	} {
		e := h[0]
		change(&e)
		if err := keys.VerifyEntry(domain, &e); !errors.Is(err, policystore.ErrSignature) {
			t.Errorf("%s: VerifyEntry = %v, want ErrSignature", name, err)
		}
	}
}

// pinned has a replica trust a key.
func pinned(keys *policystore.TrustedKeys) func(*policystore.ReplicaConfig) {
	return func(c *policystore.ReplicaConfig) { c.Trust = keys }
}

// With trusted keys an entry that chains well and is not signed is never applied.
func TestPinnedEntries(t *testing.T) {
	s := newSigner(t)
	h := signed(t, s, 3)
	forged := h[2]
	forged.Signature = nil
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.give(h[0], h[1])
		c.give(forged)
		wantFrozen(c.stage, policystore.ErrSignature)
		if v, err := c.replica.View(t.Context(), policystore.Demand{}); err != nil || v.Position != h[1].Position() {
			t.Errorf("View = %s, %v, want %s", v.Position, err, h[1].Position())
		}
		c.give(h[2])
		c.sign(s, h[2].Position(), 0)
		c.want2(h[2].Position(), policystore.Fresh)
	}, pinned(trusting(t, s.Public())))
}

// sign proves a position by a signed proof, whose time is changed after it was signed.
func (s *stage) sign(signer *policystore.Signer, p policystore.Position, later time.Duration) {
	s.prove(p, func(h *policystore.HeadProof) {
		signer.SignHead(h)
		h.IssuedTime = h.IssuedTime.Add(later)
	})
}

// With trusted keys a proof proves nothing that is not signed, or whose time was changed.
func TestPinnedProofs(t *testing.T) {
	s := newSigner(t)
	h := signed(t, s, 1)
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.give(h[0])
		c.prove(h[0].Position())
		c.want2(h[0].Position(), policystore.Expired)
		c.sign(newSigner(t), h[0].Position(), 0)
		c.want2(h[0].Position(), policystore.Expired)
		c.sign(s, h[0].Position(), time.Second)
		c.want2(h[0].Position(), policystore.Expired)
		c.sign(s, h[0].Position(), 0)
		c.want2(h[0].Position(), policystore.Fresh)
	}, pinned(trusting(t, s.Public())))
}

// With trusted keys a checkpoint is not used that is not signed, whatever it holds.
func TestPinnedCheckpoints(t *testing.T) {
	s := newSigner(t)
	h := signed(t, s, 3)
	for name, change := range map[string]func(*policystore.Checkpoint){
		"not signed":     func(c *policystore.Checkpoint) {},
		"another key":    func(c *policystore.Checkpoint) { newSigner(t).SignCheckpoint(c) },
		"another body":   func(c *policystore.Checkpoint) { s.SignCheckpoint(c); c.Body = append(bytes.Clone(c.Body), 0) },
		"an entry's key": func(c *policystore.Checkpoint) { c.Signature = h[1].Signature },
	} {
		t.Run(name, func(t *testing.T) {
			c := checkpointAt(t, h[:2])
			change(&c)
			playOf(t, 1, func(t *testing.T, p *choice) {
				p.give(h...)
				p.sign(s, h[2].Position(), 0)
				p.want2(h[2].Position(), policystore.Fresh)
				if began := p.began(); began[0] != (policystore.Position{}) {
					t.Errorf("the replica begins at %s, want at birth", began[0])
				}
			}, pinned(trusting(t, s.Public())), stocked(&c))
		})
	}
	c := checkpointAt(t, h[:2])
	s.SignCheckpoint(&c)
	playOf(t, 1, func(t *testing.T, p *choice) {
		p.give(h[2])
		p.sign(s, h[2].Position(), 0)
		p.want2(h[2].Position(), policystore.Fresh)
	}, pinned(trusting(t, s.Public())), stocked(&c))
}

// stocked has the first source keep a checkpoint.
func stocked(stored *policystore.Checkpoint) func(*policystore.ReplicaConfig) {
	return func(c *policystore.ReplicaConfig) { c.Origins[0].Source.(*script).store(*stored) }
}

// Keys can be exchanged while they are in use.
func TestReplaceTrustedKeys(t *testing.T) {
	s, next := newSigner(t), newSigner(t)
	h := history(t, 2)
	s.SignEntry(domain, &h[0])
	next.SignEntry(domain, &h[1])
	keys := trusting(t, s.Public())
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.give(h[0])
		c.give(h[1])
		wantFrozen(c.stage, policystore.ErrSignature)
		keys.Replace(trusting(t, s.Public()+" 1 1", next.Public()+" 2"))
		c.give(h[1])
		c.sign(next, h[1].Position(), 0)
		c.want2(h[1].Position(), policystore.Fresh)
	}, pinned(keys))
}
