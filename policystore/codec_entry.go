package policystore

import (
	"fmt"
	"sort"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// MaxEntrySize bounds an encoded entry, in bytes.
const MaxEntrySize = 1 << 20

// marshal makes the same bytes of the same message, for as long as the library stays the same: what must be the same
// for ever is stored as bytes.
var marshal = proto.MarshalOptions{Deterministic: true}

// EncodeChanges returns the payload of an entry that makes these changes.
func EncodeChanges(changes []policy.Change) ([]byte, error) {
	m := &teishiv1.Changes{Changes: messages(changes, changeTo)}
	payload, err := marshal.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %d changes: %w", len(changes), err)
	}
	return payload, nil
}

// DecodeChanges returns the changes of a payload. It is strict.
func DecodeChanges(payload []byte) ([]policy.Change, error) { return readChanges(string(payload)) }

// Changes returns what the entry changes. It is strict: ErrFormat at anything that this version does not know.
func (e *Entry) Changes() ([]policy.Change, error) {
	changes, err := DecodeChanges(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("decode entry %d: %w", e.Revision, err)
	}
	return changes, nil
}

func changeTo(c *policy.Change) *teishiv1.Change {
	if c.Put != nil {
		return &teishiv1.Change{Change: &teishiv1.Change_Put{Put: ResourceToProto(c.Put, 0)}}
	}
	return &teishiv1.Change{Change: &teishiv1.Change_Delete{Delete: keyTo(c.Delete)}}
}

// EntryToProto converts an entry.
func EntryToProto(e *Entry) *teishiv1.Entry {
	return &teishiv1.Entry{
		Epoch:         e.Epoch,
		Revision:      int64(e.Revision),
		Time:          InstantToProto(e.Time),
		Principal:     e.Principal,
		Method:        e.Method,
		RequestId:     e.RequestID,
		RequestDigest: e.RequestDigest[:],
		Reason:        e.Reason,
		Payload:       e.Payload,
		PreviousHash:  e.PreviousHash[:],
		Hash:          e.Hash[:],
		Signature:     e.Signature,
	}
}

// Size returns how many bytes the entry takes, encoded.
func (e *Entry) Size() int { return proto.Size(EntryToProto(e)) }

// checkSize reports an entry that is too large, and how many of its changes would fit.
func checkSize(e *Entry, changes []policy.Change) error {
	size := e.Size()
	if size <= MaxEntrySize {
		return nil
	}
	const slack = 16 // the payload's length and tag
	room := MaxEntrySize - (size - len(e.Payload)) - slack
	ends := make([]int, len(changes)) // where each change ends in the payload
	end := 0
	for i := range changes {
		end += proto.Size(&teishiv1.Changes{Changes: []*teishiv1.Change{changeTo(&changes[i])}})
		ends[i] = end
	}
	return &EntryTooLargeError{Size: size, Fit: sort.SearchInts(ends, room+1)}
}
