package policystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// EncodeEntry returns the entry as it is sent: a marshalled teishi.v1.Entry.
func EncodeEntry(e *Entry) ([]byte, error) {
	b, err := marshal.Marshal(EntryToProto(e))
	if err != nil {
		return nil, fmt.Errorf("encode entry %d: %w", e.Revision, err)
	}
	return b, nil
}

// DecodeEntry is strict.
func DecodeEntry(b []byte) (Entry, error) {
	m := &teishiv1.Entry{}
	if err := proto.Unmarshal(b, m); err != nil {
		return Entry{}, fmt.Errorf("decode an entry: %w", &FormatError{Problem: err.Error()})
	}
	e, err := EntryFromProto(m)
	if err != nil {
		return e, fmt.Errorf("decode entry %d: %w", m.Revision, err)
	}
	return e, nil
}

// EntryFromProto is strict.
func EntryFromProto(m *teishiv1.Entry) (e Entry, err error) {
	if err := known(m); err != nil {
		return e, err
	}
	e = Entry{
		Epoch:     m.Epoch,
		Revision:  policy.Revision(m.Revision),
		Principal: m.Principal,
		Method:    m.Method,
		RequestID: m.RequestId,
		Reason:    m.Reason,
		Payload:   m.Payload,
		Signature: m.Signature,
	}
	if e.Time, err = InstantFromProto(m.Time, policy.Beginning); err != nil {
		return e, within("time", err)
	}
	return e, hashes(hashField{"request_digest", m.RequestDigest, &e.RequestDigest},
		hashField{"previous_hash", m.PreviousHash, &e.PreviousHash}, hashField{"hash", m.Hash, &e.Hash})
}

// hashField is a field that must hold a hash.
type hashField struct {
	name string
	from []byte
	to   *Hash
}

// hashes copies what fields hold, which must be 32 bytes.
func hashes(fields ...hashField) error {
	for _, f := range fields {
		if len(f.from) != len(f.to) {
			return &FormatError{Where: f.name, Problem: fmt.Sprintf("has %d bytes, not %d", len(f.from), len(f.to))}
		}
		copy(f.to[:], f.from)
	}
	return nil
}

// PositionToProto converts a position.
func PositionToProto(p Position) *teishiv1.Position {
	return &teishiv1.Position{Epoch: p.Epoch, Revision: int64(p.Revision), Hash: p.Hash[:]}
}

// PositionFromProto is strict. An unset position is the one before the first entry.
func PositionFromProto(m *teishiv1.Position) (p Position, err error) {
	if m.GetRevision() == 0 {
		return p, nil
	}
	if err := known(m); err != nil {
		return p, err
	}
	p.Epoch, p.Revision = m.Epoch, policy.Revision(m.Revision)
	return p, hashes(hashField{"hash", m.Hash, &p.Hash})
}

// HeadToProto converts a proof, whose time is taken down to the microsecond.
func HeadToProto(h *HeadProof) *teishiv1.HeadProof {
	return &teishiv1.HeadProof{
		Domain:     h.Domain,
		Epoch:      h.Position.Epoch,
		Revision:   int64(h.Position.Revision),
		Hash:       h.Position.Hash[:],
		Authority:  h.Authority,
		IssuedTime: InstantToProto(policy.InstantOf(h.IssuedTime)),
		Signature:  h.Signature,
	}
}

// HeadFromProto is strict. When it was received is for the caller to set.
func HeadFromProto(m *teishiv1.HeadProof) (h HeadProof, err error) {
	if err := known(m); err != nil {
		return h, err
	}
	h = HeadProof{
		Domain:    m.Domain,
		Position:  Position{Epoch: m.Epoch, Revision: policy.Revision(m.Revision)},
		Authority: m.Authority,
		Signature: m.Signature,
	}
	issued, err := InstantFromProto(m.IssuedTime, policy.Beginning)
	if err != nil {
		return h, within("issued_time", err)
	}
	h.IssuedTime = issued.Time()
	return h, hashes(hashField{"hash", m.Hash, &h.Position.Hash})
}

// EncodeHead returns the proof as it is sent: a marshalled teishi.v1.HeadProof.
func EncodeHead(h *HeadProof) ([]byte, error) {
	b, err := marshal.Marshal(HeadToProto(h))
	if err != nil {
		return nil, fmt.Errorf("encode a head proof of %s: %w", h.Position, err)
	}
	return b, nil
}

// DecodeHead is strict.
func DecodeHead(b []byte) (HeadProof, error) {
	m := &teishiv1.HeadProof{}
	if err := proto.Unmarshal(b, m); err != nil {
		return HeadProof{}, fmt.Errorf("decode a head proof: %w", &FormatError{Problem: err.Error()})
	}
	h, err := HeadFromProto(m)
	if err != nil {
		return h, fmt.Errorf("decode a head proof: %w", err)
	}
	return h, nil
}

// CheckpointToHeader returns what is said of the checkpoint beside its body.
func CheckpointToHeader(c *Checkpoint) *teishiv1.CheckpointHeader {
	return &teishiv1.CheckpointHeader{
		Domain:        c.Domain,
		Epoch:         c.Position.Epoch,
		Revision:      int64(c.Position.Revision),
		Hash:          c.Position.Hash[:],
		LastEntryTime: InstantToProto(c.Time),
		FoldVersion:   c.FoldVersion,
		StateHash:     c.StateHash[:],
		BodySize:      int64(len(c.Body)),
		Signature:     c.Signature,
	}
}

// CheckpointFromHeader is strict. The body is for the caller to set.
func CheckpointFromHeader(m *teishiv1.CheckpointHeader) (c Checkpoint, err error) {
	if err := known(m); err != nil {
		return c, err
	}
	c = Checkpoint{
		Domain:      m.Domain,
		Position:    Position{Epoch: m.Epoch, Revision: policy.Revision(m.Revision)},
		FoldVersion: m.FoldVersion,
		Signature:   m.Signature,
	}
	if c.Time, err = InstantFromProto(m.LastEntryTime, policy.Beginning); err != nil {
		return c, within("last_entry_time", err)
	}
	if m.BodySize < 0 || m.BodySize > maxCheckpoint {
		return c, &FormatError{Where: "body_size", Problem: fmt.Sprintf("%d is not 0 to %d", m.BodySize, maxCheckpoint)}
	}
	return c, hashes(hashField{"hash", m.Hash, &c.Position.Hash}, hashField{"state_hash", m.StateHash, &c.StateHash})
}

// maxCheckpoint bounds the body of a checkpoint, in bytes: what one value in Redis may have.
const maxCheckpoint = 512 << 20

// checkpointMark begins a checkpoint that is kept as bytes.
var checkpointMark = []byte("teishi checkpoint 1\n")

// EncodeCheckpoint returns the checkpoint as it is kept outside the record:
//
//	mark ‖ length of header, uint32 big-endian ‖ CheckpointHeader ‖ body ‖ SHA-256 of all before
func EncodeCheckpoint(c *Checkpoint) ([]byte, error) {
	header, err := marshal.Marshal(CheckpointToHeader(c))
	if err != nil {
		return nil, fmt.Errorf("encode the checkpoint at %d: %w", c.Position.Revision, err)
	}
	b := make([]byte, 0, len(checkpointMark)+4+len(header)+len(c.Body)+sha256.Size)
	b = append(b, checkpointMark...)
	b = appendField(b, header)
	b = append(b, c.Body...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// DecodeCheckpoint is strict: ErrBroken if the bytes are not whole, ErrFormat if they are of another version.
func DecodeCheckpoint(b []byte) (Checkpoint, error) {
	c, err := decodeCheckpoint(b)
	if err != nil {
		return c, fmt.Errorf("decode a checkpoint of %d bytes: %w", len(b), err)
	}
	return c, nil
}

var errTorn = errors.New("it is not whole")

func decodeCheckpoint(b []byte) (c Checkpoint, err error) {
	rest, ok := bytes.CutPrefix(b, checkpointMark)
	if !ok {
		return c, &FormatError{Problem: "it does not begin as a checkpoint does"}
	}
	end := len(b) - sha256.Size
	if len(rest) < 4+sha256.Size || sha256.Sum256(b[:end]) != Hash(b[end:]) {
		return c, fmt.Errorf("%w: %w", errTorn, ErrBroken)
	}
	rest = rest[:len(rest)-sha256.Size]
	size := binary.BigEndian.Uint32(rest)
	if uint64(len(rest)-4) < uint64(size) {
		return c, fmt.Errorf("%w: %w", errTorn, ErrBroken)
	}
	m := &teishiv1.CheckpointHeader{}
	if err := proto.Unmarshal(rest[4:4+size], m); err != nil {
		return c, &FormatError{Where: "header", Problem: err.Error()}
	}
	if c, err = CheckpointFromHeader(m); err != nil {
		return c, within("header", err)
	}
	if c.Body = rest[4+size:]; int64(len(c.Body)) != m.BodySize {
		return c, fmt.Errorf("%w: %w", errTorn, ErrBroken)
	}
	return c, nil
}
