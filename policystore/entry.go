package policystore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/teishi-dev/teishi/policy"
)

// Hash is a SHA-256.
type Hash [32]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Set takes a hash as a store has it, and refuses by ErrBroken what has not its length.
func (h *Hash) Set(stored []byte) error {
	if len(stored) != len(h) {
		return fmt.Errorf("a hash of %d bytes: %w", len(stored), ErrBroken)
	}
	copy(h[:], stored)
	return nil
}

// Position is a place in the log: that of an entry, or, as the zero value, before the first.
type Position struct {
	Epoch    int64
	Revision policy.Revision
	Hash     Hash
}

// String returns the position as log lines and errors show it: "12 (epoch 1, 0f3a5b6c…)".
func (p Position) String() string {
	return fmt.Sprintf("%d (epoch %d, %x…)", p.Revision, p.Epoch, p.Hash[:4])
}

// Entry is one change to the record: who made it, when, why, and what. The authority that writes it sets every field.
type Entry struct {
	Epoch         int64
	Revision      policy.Revision // contiguous from 1
	Time          policy.Instant  // never before its predecessor's
	Principal     string          // who made the change
	Method        string          // by what: the full gRPC method name, or birth, load, or rewind
	RequestID     string          // unique for its principal, for ever
	RequestDigest Hash            // of the request without its id; see RequestDigest
	Reason        string
	Payload       []byte // a marshalled teishi.v1.Changes: made once, then stored, sent and verified as these bytes
	PreviousHash  Hash   // of the predecessor; zero at revision 1
	Hash          Hash
	Signature     []byte // outside the hash; empty if not signed
}

// Position returns the entry's place in the log.
func (e *Entry) Position() Position { return Position{e.Epoch, e.Revision, e.Hash} }

// entryKind begins what is hashed, so that a hash of something else is never taken for an entry's.
const entryKind = "teishi/entry/v1"

// Sum returns the hash that the entry must have in the record of the domain: SHA-256 over its fields, each preceded by
// its length as uint32 big-endian, integers as uint64 big-endian, and in place of the payload the payload's SHA-256, so
// that a payload can be withheld without breaking the chain.
func (e *Entry) Sum(domain string) Hash {
	payload := sha256.Sum256(e.Payload)
	b := make([]byte, 0, 512)
	b = appendField(b, entryKind)
	b = appendField(b, domain)
	b = appendInteger(b, e.Epoch)
	b = appendInteger(b, int64(e.Revision))
	b = appendInteger(b, int64(e.Time))
	b = appendField(b, e.Principal)
	b = appendField(b, e.Method)
	b = appendField(b, e.RequestID)
	b = appendField(b, e.RequestDigest[:])
	b = appendField(b, e.Reason)
	b = appendField(b, e.PreviousHash[:])
	b = appendField(b, payload[:])
	return sha256.Sum256(b)
}

func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}

func appendInteger(b []byte, i int64) []byte {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(i))
}

// Follows reports as an error what keeps the entry from being the one after p, whose time is last, in the record of the
// domain: its place, its links, its time or its own hash.
func (e *Entry) Follows(p Position, last policy.Instant, domain string) error {
	switch {
	case e.Revision != p.Revision+1:
		return fmt.Errorf("entry %d follows %d: %w", e.Revision, p.Revision, ErrBroken)
	case !e.epochFollows(p):
		return fmt.Errorf("entry %d is of epoch %d after epoch %d: %w", e.Revision, e.Epoch, p.Epoch, ErrBroken)
	case e.PreviousHash != p.Hash:
		return fmt.Errorf("entry %d does not name the hash of its predecessor: %w", e.Revision, ErrBroken)
	case p.Revision > 0 && e.Time < last:
		return fmt.Errorf("entry %d is of a time before its predecessor's: %w", e.Revision, ErrBroken)
	case e.Hash != e.Sum(domain):
		return fmt.Errorf("entry %d does not have the hash it states: %w", e.Revision, ErrBroken)
	}
	return nil
}

// epochFollows reports whether the entry is of the epoch of the one before it, of the first one at birth, or begins a later
// one by a rewind.
func (e *Entry) epochFollows(p Position) bool {
	if p.Revision == 0 {
		return e.Epoch == 1
	}
	return e.Epoch == p.Epoch && e.Method != rewindMethod || e.Epoch > p.Epoch && e.Method == rewindMethod
}

// RequestDigest tells a repeated request from a reused request id: SHA-256 of the full method, a zero byte, and the
// deterministic marshalling of the request without its request_id and validate_only.
func RequestDigest(method string, request []byte) Hash {
	b := make([]byte, 0, len(method)+1+len(request))
	b = append(b, method...)
	b = append(b, 0)
	return sha256.Sum256(append(b, request...))
}
