package policystore_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// FuzzDecodeEntry looks for entries that are not what they say, that become others on their way to the next replica, or that are
// refused as anything but damage.
func FuzzDecodeEntry(f *testing.F) {
	payload, err := policystore.EncodeChanges([]policy.Change{{Put: samples()[0]}})
	if err != nil {
		f.Fatal(err)
	}
	e := policystore.Entry{
		Epoch: 1, Revision: 2, Time: 3, Principal: "local", Method: "load", RequestID: "a", Reason: "why", Payload: payload, Signature: []byte("signature"),
	}
	e.Hash = e.Sum(domain)
	for _, e := range []policystore.Entry{{}, e} {
		f.Add(must(policystore.EncodeEntry(&e)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keeps(t, b, policystore.DecodeEntry, policystore.EncodeEntry, func(e *policystore.Entry) proto.Message { return policystore.EntryToProto(e) }, &teishiv1.Entry{})
		e, err := policystore.DecodeEntry(b)
		if err != nil {
			return
		}
		if _, err := e.Changes(); err != nil && !errors.Is(err, policystore.ErrFormat) {
			t.Errorf("the changes of %x: %v, want ErrFormat", b, err)
		}
	})
}

// FuzzDecodeHead does so with head proofs.
func FuzzDecodeHead(f *testing.F) {
	proof := policystore.HeadProof{Domain: domain, Position: policystore.Position{Epoch: 1, Revision: 2}, Authority: "a", IssuedTime: time.UnixMicro(3).UTC(), Signature: []byte("signature")}
	for _, h := range []policystore.HeadProof{{}, proof} {
		f.Add(must(policystore.EncodeHead(&h)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keeps(t, b, policystore.DecodeHead, policystore.EncodeHead, func(h *policystore.HeadProof) proto.Message { return policystore.HeadToProto(h) }, &teishiv1.HeadProof{})
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// keeps checks that bytes are refused as damaged, or are read as what the message says; and as the same once they are written.
func keeps[T any](t *testing.T, b []byte, decode func([]byte) (T, error), encode func(*T) ([]byte, error), message func(*T) proto.Message, m proto.Message) {
	t.Helper()
	read, err := decode(b)
	if err != nil {
		if !errors.Is(err, policystore.ErrFormat) {
			t.Errorf("%x is refused by %v, want ErrFormat", b, err)
		}
		return
	}
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatalf("what is read from %x is no message: %v", b, err)
	}
	written, err := encode(&read)
	if err != nil {
		t.Fatalf("what is read from %x cannot be written: %v", b, err)
	}
	again, err := decode(written)
	if err != nil {
		t.Fatalf("what is read from %x is refused once it is written: %v", b, err)
	}
	if diff := cmp.Diff(read, again); diff != "" {
		t.Errorf("from %x (-read +written):\n%s", b, diff)
	}
	if rewritten := must(encode(&again)); !bytes.Equal(written, rewritten) {
		t.Errorf("%x is written as %x and then as %x", b, written, rewritten)
	}
	if said := message(&read); !proto.Equal(said, m) {
		t.Errorf("from %x is read %v, and it says %v", b, said, m)
	}
}
