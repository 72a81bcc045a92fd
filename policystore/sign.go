package policystore

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/teishi-dev/teishi/policy"
)

// ErrSignature says that an entry, a checkpoint or a proof is not signed by anybody who is trusted with it.
var ErrSignature = errors.New("it is not signed by a trusted key: see --trust-keys")

// ErrUnsigned says that the record is signed, and would go on with an entry that is not. Nothing was written.
var ErrUnsigned = errors.New("the last entry is signed, and none that follows may be unsigned: set --sign-key (TEISHI_SIGN_KEY)")

// What is signed names its kind first, so that a signature of one thing is never taken for that of another.
const (
	checkpointKind = "teishi/checkpoint/v1"
	headKind       = "teishi/head/v1"
)

// Signer signs what an authority writes, proves and keeps, by Ed25519. A nil Signer signs nothing.
type Signer struct{ key ed25519.PrivateKey }

const keyBlock = "PRIVATE KEY"

// NewSigner returns a signer with a new key.
func NewSigner() (*Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return &Signer{key}, nil
}

// ParseSigner returns the signer with the key in a PKCS #8 block of PEM.
func ParseSigner(text []byte) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("there is no PEM block of type %s in it", keyBlock)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it holds no key that can be read") // what x509 says may tell of the key
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not of Ed25519")
	}
	return &Signer{key}, nil
}

// PEM returns the private key as ParseSigner reads it.
func (s *Signer) PEM() ([]byte, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: encoded}), nil
}

// Public returns the public key as a line of trusted keys has it.
func (s *Signer) Public() string {
	return base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}

// SignEntry sets the signature of an entry of the domain, whose hash is set.
func (s *Signer) SignEntry(domain string, e *Entry) {
	if s != nil {
		e.Signature = ed25519.Sign(s.key, e.signed(domain))
	}
}

// SignCheckpoint sets the signature of a checkpoint.
func (s *Signer) SignCheckpoint(c *Checkpoint) {
	if s != nil {
		c.Signature = ed25519.Sign(s.key, c.signed())
	}
}

// SignHead sets the signature of a head proof.
func (s *Signer) SignHead(h *HeadProof) {
	if s != nil {
		h.Signature = ed25519.Sign(s.key, h.signed())
	}
}

func (e *Entry) signed(domain string) []byte { return place(entryKind, domain, e.Position()) }

// signed covers the bytes of the checkpoint, whose header says all that the fields do.
func (c *Checkpoint) signed() []byte {
	body := sha256.Sum256(c.Body)
	b := place(checkpointKind, c.Domain, c.Position)
	b = appendField(b, body[:])
	return appendInteger(b, int64(c.FoldVersion))
}

// signed covers who read the head and when, or an old proof could be given out for a new one.
func (h *HeadProof) signed() []byte {
	b := place(headKind, h.Domain, h.Position)
	b = appendField(b, h.Authority)
	return appendInteger(b, h.IssuedTime.UnixMicro())
}

func place(kind, domain string, p Position) []byte {
	b := make([]byte, 0, 256)
	b = appendField(b, kind)
	b = appendField(b, domain)
	b = appendInteger(b, p.Epoch)
	b = appendInteger(b, int64(p.Revision))
	return appendField(b, p.Hash[:])
}

// TrustedKeys are the keys whose signatures count, each for some of the revisions. They may be replaced while they are in
// use. A nil TrustedKeys asks for no signature.
type TrustedKeys struct{ keys atomic.Pointer[[]trustedKey] }

type trustedKey struct {
	key         ed25519.PublicKey
	from, until policy.Revision // both inclusive
}

// ParseTrustedKeys reads lines of `key [from-revision] [until-revision]`: a public key in base64, and the first and the last
// revision whose entries it may sign, and checkpoints and proofs from where the first of them begins; all without them. What
// follows a # is a comment.
func ParseTrustedKeys(text io.Reader) (*TrustedKeys, error) {
	var keys []trustedKey
	lines := bufio.NewScanner(text)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		key, err := parseTrustedKey(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it, so nothing would be trusted")
	}
	t := &TrustedKeys{}
	t.keys.Store(&keys)
	return t, nil
}

func parseTrustedKey(words []string) (trustedKey, error) {
	k := trustedKey{from: 1, until: math.MaxInt64}
	if len(words) > 3 {
		return k, errors.New("it has more than a key, a first and a last revision")
	}
	raw, err := base64.StdEncoding.DecodeString(words[0])
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return k, errors.New("its first word is not a public key of Ed25519 in base64, as teishi key public prints it") // it may be a private one
	}
	k.key = raw
	for i, to := range []*policy.Revision{&k.from, &k.until} {
		if len(words) <= i+1 {
			break
		}
		n, err := strconv.ParseInt(words[i+1], 10, 64)
		if err != nil || n < 1 {
			return k, fmt.Errorf("%q is not a revision: 1 or more", words[i+1])
		}
		*to = policy.Revision(n)
	}
	if k.from > k.until {
		return k, fmt.Errorf("its first revision %d is after its last %d", k.from, k.until)
	}
	return k, nil
}

// Has reports whether what the signer signs is trusted, at one revision or another.
func (t *TrustedKeys) Has(s *Signer) bool {
	return slices.ContainsFunc(*t.keys.Load(), func(k trustedKey) bool { return k.key.Equal(s.key.Public()) })
}

// Replace has t trust the keys of other, and no longer those it trusted.
func (t *TrustedKeys) Replace(other *TrustedKeys) { t.keys.Store(other.keys.Load()) }

// VerifyEntry reports as ErrSignature that nobody trusted has signed the entry of the record of the domain.
func (t *TrustedKeys) VerifyEntry(domain string, e *Entry) error {
	if t == nil {
		return nil
	}
	return t.verify(fmt.Sprintf("entry %d", e.Revision), e.Revision, e.Revision, e.signed(domain), e.Signature)
}

// verifyRecorded is VerifyEntry for one that is read from the record itself. What was written before any key is trusted need not
// be signed: the first entry that is signed vouches for it, through the chain.
func (t *TrustedKeys) verifyRecorded(domain string, e *Entry) error {
	err := t.VerifyEntry(domain, e)
	if err != nil && !slices.ContainsFunc(*t.keys.Load(), func(k trustedKey) bool { return k.from <= e.Revision }) {
		return nil
	}
	return err
}

// verifyCheckpoint reports as ErrSignature that nobody trusted has signed the checkpoint.
func (t *TrustedKeys) verifyCheckpoint(c *Checkpoint) error {
	if t == nil {
		return nil
	}
	at := c.Position.Revision
	return t.verify(fmt.Sprintf("checkpoint at %d", at), at+1, at, c.signed(), c.Signature)
}

// verifyHead reports as ErrSignature that nobody trusted has signed the proof.
func (t *TrustedKeys) verifyHead(h *HeadProof) error {
	if t == nil {
		return nil
	}
	at := h.Position.Revision
	return t.verify(fmt.Sprintf("head proof of %d", at), at+1, at, h.signed(), h.Signature)
}

// verify looks for a key that is trusted from the revision begins, or from before it, up to the revision at. What stands at a
// revision is what the next entry goes on from, so it may be signed by whoever may sign that.
func (t *TrustedKeys) verify(what string, begins, at policy.Revision, message, signature []byte) error {
	for _, k := range *t.keys.Load() {
		if begins >= k.from && at <= k.until && ed25519.Verify(k.key, message, signature) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, ErrSignature)
}
