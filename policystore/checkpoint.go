package policystore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// FoldVersion says which rules folded a state. It is raised when the same entries would give another one; checkpoints of
// another version are not compared and not used.
const FoldVersion = 1

// Checkpoint is everything there is at a position, so that a start need not read the whole log.
type Checkpoint struct {
	Domain      string
	Position    Position
	Time        policy.Instant // of the entry at the position
	FoldVersion int32
	StateHash   Hash // SHA-256 of the deterministic marshalling of its teishi.v1.Checkpoint
	// Body is that marshalling, cut between resources into chunks that can be decoded on their own (pieces of a marshalled
	// message are marshalled messages, and one after the other they are the whole), each compressed by zstd and preceded
	// by its compressed length as uint32 big-endian:
	//
	//	length ‖ zstd(domain … fold_version) ‖ length ‖ zstd(resources …) ‖ length ‖ zstd(resources …) ‖ …
	Body      []byte
	Signature []byte // of the authority that made it; empty if not signed
}

// chunkSize is about how many bytes of marshalled resources go into a chunk, and maxChunk more than any can have:
// a single resource is no larger than an entry.
const (
	chunkSize = 256 << 10
	maxChunk  = chunkSize + 2*MaxEntrySize
)

// NewCheckpoint returns the checkpoint of what the view holds, in the record of the domain.
func NewCheckpoint(domain string, v View) (Checkpoint, error) {
	c := Checkpoint{Domain: domain, Position: v.Position, Time: v.Time, FoldVersion: FoldVersion}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return c, fmt.Errorf("checkpoint at %d: %w", v.Position.Revision, err)
	}
	defer encoder.Close()
	state := sha256.New()
	for chunk, err := range c.chunks(v.Snapshot) {
		if err != nil {
			return c, fmt.Errorf("checkpoint at %d: %w", v.Position.Revision, err)
		}
		state.Write(chunk)
		start := len(c.Body)
		c.Body = encoder.EncodeAll(chunk, append(c.Body, 0, 0, 0, 0))
		binary.BigEndian.PutUint32(c.Body[start:], uint32(len(c.Body)-start-4))
	}
	c.StateHash = Hash(state.Sum(nil))
	return c, nil
}

// chunks yields the marshalling piece by piece. A piece is good until the next.
func (c *Checkpoint) chunks(s *policy.Snapshot) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		chunk, err := marshal.Marshal(c.header())
		if !yield(chunk, err) || err != nil {
			return
		}
		chunk = chunk[:0]
		piece := &teishiv1.Checkpoint{Resources: []*teishiv1.StoredResource{{}}}
		for r, changed := range s.All() {
			piece.Resources[0] = &teishiv1.StoredResource{Resource: ResourceToProto(r, 0), Revision: int64(changed)}
			if chunk, err = marshal.MarshalAppend(chunk, piece); err != nil {
				yield(nil, fmt.Errorf("encode %s: %w", r.Key(), err))
				return
			}
			if len(chunk) >= chunkSize {
				if !yield(chunk, nil) {
					return
				}
				chunk = chunk[:0]
			}
		}
		if len(chunk) > 0 {
			yield(chunk, nil)
		}
	}
}

// header is the message without its resources.
func (c *Checkpoint) header() *teishiv1.Checkpoint {
	return &teishiv1.Checkpoint{
		Domain:        c.Domain,
		Epoch:         c.Position.Epoch,
		Revision:      int64(c.Position.Revision),
		Hash:          c.Position.Hash[:],
		LastEntryTime: InstantToProto(c.Time),
		FoldVersion:   c.FoldVersion,
	}
}

// verify reports as an error what keeps the checkpoint from being one of this version, of the record of the domain.
func (c *Checkpoint) verify(domain string) error {
	switch {
	case c.Domain != domain:
		return fmt.Errorf("checkpoint at %d is of domain %s, not %s: %w", c.Position.Revision, c.Domain, domain, ErrBroken)
	case c.FoldVersion != FoldVersion:
		problem := fmt.Sprintf("%d is not the version of this program, %d", c.FoldVersion, FoldVersion)
		return fmt.Errorf("checkpoint at %d: %w", c.Position.Revision, &FormatError{Where: "fold_version", Problem: problem})
	}
	return nil
}

// verifyHeader checks the first chunk against what the checkpoint says of itself.
func (c *Checkpoint) verifyHeader(chunk []byte) error {
	m := &teishiv1.Checkpoint{}
	if err := proto.Unmarshal(chunk, m); err != nil {
		return &FormatError{Where: "header", Problem: err.Error()}
	}
	if err := known(m); err != nil {
		return err
	}
	if !proto.Equal(m, c.header()) {
		return fmt.Errorf("it says another place of itself: %w", ErrBroken)
	}
	return nil
}
