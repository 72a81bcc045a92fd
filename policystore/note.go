package policystore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/teishi-dev/teishi/policy"
)

// Head is where a record ended, as it is kept elsewhere: a signed note (https://c2sp.org/signed-note), whose text is
//
//	teishi/head/v1/DOMAIN
//	REVISION
//	HASH, in base64
//	epoch EPOCH
//	time TIME
//
// It names its kind first, as all that is signed does, and is of no other kind: the others begin with a length.
type Head struct {
	Domain   string
	Position Position
	Time     time.Time // when it was read, by the clock of whoever signed it, in whole microseconds
}

// noteName begins the text, and is the name of the keys that sign it.
func noteName(domain string) string { return headKind + "/" + domain }

func (h *Head) text() string {
	return fmt.Sprintf("%s\n%d\n%s\nepoch %d\ntime %s\n", noteName(h.Domain), h.Position.Revision,
		base64.StdEncoding.EncodeToString(h.Position.Hash[:]), h.Position.Epoch, policy.InstantOf(h.Time))
}

// parseHead is strict: it reads what text writes, and nothing else.
func parseHead(text, domain string) (h Head, err error) {
	lines := strings.Split(text, "\n")
	if lines[0] != noteName(domain) {
		return h, fmt.Errorf("it begins with %q, not %q, as a head of the domain %s does: %w", lines[0], noteName(domain), domain, ErrFormat)
	}
	if len(lines) != 6 {
		return h, fmt.Errorf("it has %d lines, not 5: %w", len(lines)-1, ErrFormat)
	}
	h.Domain = domain
	revision, err := strconv.ParseInt(lines[1], 10, 64)
	hash, notHash := base64.StdEncoding.DecodeString(lines[2])
	epoch, notEpoch := strconv.ParseInt(strings.TrimPrefix(lines[3], "epoch "), 10, 64)
	at, notTime := time.Parse(time.RFC3339Nano, strings.TrimPrefix(lines[4], "time "))
	h.Time = at
	h.Position = Position{Epoch: epoch, Revision: policy.Revision(revision)}
	if err = errors.Join(err, notHash, notEpoch, notTime, h.Position.Hash.Set(hash)); err == nil && (revision < 1 || h.text() != text) {
		err = errors.New("it is not written as a head is")
	}
	if err != nil {
		return h, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return h, nil
}

// Note returns the head as a signed note.
func (s *Signer) Note(h Head) ([]byte, error) {
	verifier, err := noteVerifier(s.key.Public().(ed25519.PublicKey), h.Domain)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: h.text()}, noteSigner{verifier, s.key})
}

// VerifierKey returns the public key as other programs need it that verify notes of the record of the domain.
func (s *Signer) VerifierKey(domain string) (string, error) {
	return note.NewEd25519VerifierKey(noteName(domain), s.key.Public().(ed25519.PublicKey))
}

// noteSigner signs notes in the name of its verifier.
type noteSigner struct {
	note.Verifier
	key ed25519.PrivateKey
}

// Sign signs the text of a note.
func (s noteSigner) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.key, text), nil }

func noteVerifier(key ed25519.PublicKey, domain string) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(noteName(domain), key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}

// OpenNote returns the head of the record of the domain that a signed note holds. ErrSignature: no key has signed it that is
// trusted with what follows the head, or with the head itself.
func (t *TrustedKeys) OpenNote(text []byte, domain string) (Head, error) {
	known, err := t.noteVerifiers(domain)
	if err != nil {
		return Head{}, err
	}
	n, err := note.Open(text, note.VerifierList(known...))
	switch unverified, unknown := errors.AsType[*note.UnverifiedNoteError](err); {
	case unknown:
		if _, err := parseHead(unverified.Note.Text, domain); err != nil {
			return Head{}, err
		}
		return Head{}, ErrSignature
	case err != nil:
		return Head{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	h, err := parseHead(n.Text, domain)
	if err != nil {
		return h, err
	}
	at := h.Position.Revision
	if !slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return t.vouches(s, domain, at+1, at) }) {
		return h, fmt.Errorf("the head at %d: %w", at, ErrSignature)
	}
	return h, nil
}

// noteVerifiers are the trusted keys, each once, whatever they are trusted with.
func (t *TrustedKeys) noteVerifiers(domain string) ([]note.Verifier, error) {
	keys := slices.SortedFunc(slices.Values(*t.keys.Load()), func(a, b trustedKey) int { return bytes.Compare(a.key, b.key) })
	keys = slices.CompactFunc(keys, func(a, b trustedKey) bool { return a.key.Equal(b.key) })
	known := make([]note.Verifier, len(keys))
	for i, k := range keys {
		var err error
		if known[i], err = noteVerifier(k.key, domain); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// vouches reports whether a signature that verifies is of a key that is trusted from the revision begins, or from before it, up
// to the revision at.
func (t *TrustedKeys) vouches(s note.Signature, domain string, begins, at policy.Revision) bool {
	return slices.ContainsFunc(*t.keys.Load(), func(k trustedKey) bool {
		v, err := noteVerifier(k.key, domain)
		return err == nil && v.KeyHash() == s.Hash && begins >= k.from && at <= k.until
	})
}
