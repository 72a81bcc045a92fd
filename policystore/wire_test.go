package policystore_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// wantRead checks that what the log reads from the bytes, if it reads them, is what the messages say: it may refuse more,
// and never read something else.
func wantRead(t *testing.T, payload []byte) (read bool) {
	t.Helper()
	got, err := policystore.DecodeChanges(payload)
	if err != nil {
		if !errors.Is(err, policystore.ErrFormat) {
			t.Errorf("DecodeChanges(%x) = %v, want ErrFormat", payload, err)
		}
		return false
	}
	m := &teishiv1.Changes{}
	if err := proto.Unmarshal(payload, m); err != nil {
		t.Errorf("what is read from %x is no message: %v", payload, err)
		return true
	}
	var want []policy.Change
	for _, c := range m.Changes {
		change := policy.Change{}
		if c.GetPut() != nil {
			if change.Put, err = policystore.ResourceFromProto(c.GetPut()); err != nil {
				t.Errorf("what is read from %x is refused as a request: %v", payload, err)
			}
		} else {
			change.Delete = got[len(want)].Delete
		}
		want = append(want, change)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from %x (-message +log):\n%s", payload, diff)
	}
	return true
}

// However bytes are damaged, they are refused or read as what they say.
func TestDecodeDamaged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	read, refused := 0, 0
	for _, r := range samples() {
		payload, err := policystore.EncodeChanges([]policy.Change{{Put: r}, {Delete: r.Key()}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			if wantRead(t, damage(random, payload)) {
				read++
			} else {
				refused++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d read, %d refused", read, refused)
}

// damage changes, drops or repeats a few bytes.
func damage(random *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range 1 + random.IntN(3) {
		i := random.IntN(len(b))
		switch random.IntN(4) {
		case 0:
			b[i] = byte(random.Uint32())
		case 1:
			b[i] ^= 1 << random.IntN(8)
		case 2:
			b = append(b[:i], b[min(len(b), i+1+random.IntN(4)):]...)
		case 3:
			b = append(b[:i:i], append([]byte{b[i]}, b[i:]...)...)
		}
		if len(b) == 0 {
			return b
		}
	}
	return b
}

func FuzzDecodeChanges(f *testing.F) {
	for _, r := range samples() {
		payload, err := policystore.EncodeChanges([]policy.Change{{Put: r}, {Delete: r.Key()}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if wantRead(t, payload) {
			wantKept(t, payload)
		}
	})
}

// wantKept checks that what is read from a payload is the same once it is written as we write it.
func wantKept(t *testing.T, payload []byte) {
	t.Helper()
	read, err := policystore.DecodeChanges(payload)
	if err != nil {
		t.Fatal(err)
	}
	written, err := policystore.EncodeChanges(read)
	if err != nil {
		t.Fatalf("what is read from %x cannot be written: %v", payload, err)
	}
	again, err := policystore.DecodeChanges(written)
	if err != nil {
		t.Fatalf("what is read from %x is refused once it is written: %v", payload, err)
	}
	if diff := cmp.Diff(read, again, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("from %x (-read +written):\n%s", payload, diff)
	}
}

// What nobody writes and not everybody reads alike is refused.
func TestDecodeRefusesTheAmbiguous(t *testing.T) {
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	put := func(organization []byte) []byte { return field(1, field(1, field(1, organization))) }
	id := field(1, []byte("a"))
	number := func(field protowire.Number, value uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), value)
	}
	const wraps = 1 << 32 // a number of 32 bits that has 33
	span := func(nanos uint64) []byte {
		rules := append(number(2, 1), field(3, append(number(1, 1), number(2, nanos)...))...)
		return field(1, field(1, field(6, append(id, field(16, rules)...))))
	}
	state := func(value uint64) []byte {
		return field(1, field(1, field(8, append(append(id, field(2, []byte("c"))...), number(3, value)...))))
	}
	withdrawn := func(nanos uint64) []byte {
		return field(1, field(1, field(6, append(id, field(17, field(1, number(2, nanos)))...))))
	}
	approvals := func(value uint64) []byte {
		return field(1, field(1, field(6, append(id, number(21, value)...))))
	}
	for name, payload := range map[string][]byte{
		"a field repeated":            put(append(id, id...)),
		"two kinds of resource":       field(1, field(1, append(field(1, id), field(4, id)...))),
		"a put and a deletion":        field(1, append(field(1, field(1, id)), field(2, id)...)),
		"an unknown field in a map":   put(append(id, field(2, append(field(1, []byte("ja")), field(3, nil)...))...)),
		"a number that does not end":  put(append(id, protowire.AppendVarint(nil, 7<<3)[0], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)),
		"a string that is not UTF-8":  put(field(1, []byte("\xff"))),
		"a string that is a number":   put([]byte{1 << 3, 1}),
		"a number that is a string":   put(append(id, field(7, nil)...)),
		"a length beyond the message": {0x0a, 0x7f, 0x00},
		"a state that wraps":          state(wraps + 1),
		"a state that is not known":   state(77),
		"a span whose nanos wrap":     span(wraps + 1000),
		"a time whose nanos wrap":     withdrawn(wraps + 1000),
		"approvals that wrap":         approvals(wraps + 1),
	} {
		if got, err := policystore.DecodeChanges(payload); !errors.Is(err, policystore.ErrFormat) {
			t.Errorf("%s is read as %v, %v", name, got, err)
		}
	}
	for name, payload := range map[string][]byte{
		"an organization": put(id), "a state": state(1), "a span": span(1000), "a time": withdrawn(1000), "approvals": approvals(2),
	} {
		if _, err := policystore.DecodeChanges(payload); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
}
