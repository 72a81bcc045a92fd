package service

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// decodes fails unless the codec makes of the bytes what the library makes of them.
func decodes(t *testing.T, b []byte) {
	t.Helper()
	for _, m := range []proto.Message{&teishiv1.CheckRequest{}, &teishiv1.BatchCheckRequest{}, &teishiv1.ListDecisionsRequest{}} {
		want := m.ProtoReflect().New().Interface()
		wantErr := proto.Unmarshal(b, want)
		err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(slices.Clone(b))}, m)
		if (err == nil) != (wantErr == nil) || err == nil && !proto.Equal(m, want) {
			t.Errorf("%x is decoded as %v, %v, want %v, %v", b, m, err, want, wantErr)
		}
	}
}

// ordinary are questions that are decoded by hand, the others ones that are left to the library.
var (
	ordinary = []string{
		``,
		`organization: "mic" app: "line"`,
		`organization: "総務省" app: "line" purpose: "feedback.opinion" language: "ja" min_revision: 7 epoch: 1 attributes { key: "act" value: "use" } attributes { key: "account" value: "official" }`,
		`app: "line" attributes { key: "" value: "" }`,
		`min_revision: -1 epoch: 9223372036854775807`,
	}
	others = []string{
		`organization: "mic" at { seconds: 1 nanos: 2 }`,
		`organization: "mic" explain: true`,
		`as_of_revision: 3 max_staleness { seconds: 1 }`,
		`as_of_time { seconds: 3 }`,
	}
)

func encoded(t testing.TB) [][]byte {
	var all [][]byte
	for _, format := range append(slices.Clone(ordinary), others...) {
		m := &teishiv1.CheckRequest{}
		if err := prototext.Unmarshal([]byte(format), m); err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := proto.Marshal(&teishiv1.BatchCheckRequest{MinRevision: m.MinRevision, Language: m.Language, At: m.At, Queries: []*teishiv1.Query{
			{Organization: m.Organization, App: m.App, Purpose: m.Purpose, Attributes: m.Attributes}, {}, {App: "x"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b, batch)
	}
	return all
}

// TestDecode compares the codec with the library on questions, on parts of them, and with something foreign behind.
func TestDecode(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	for _, b := range encoded(t) {
		for n := range b {
			decodes(t, b[:n])
		}
		decodes(t, append(slices.Clone(b), unknown...))
		decodes(t, append(slices.Clone(b), b...))
		decodes(t, append(slices.Clone(b), 0x0a, 3, 0xff, 0xfe, 0xfd)) // not UTF-8
		decodes(t, append(slices.Clone(b), 0x08, 1))                   // another type
		decodes(t, append(slices.Clone(b), 0x03))                      // no field 0
	}
}

// TestDecodeByHand sees that the ordinary is not left to the library.
func TestDecodeByHand(t *testing.T) {
	for _, format := range ordinary {
		m := &teishiv1.CheckRequest{}
		if err := prototext.Unmarshal([]byte(format), m); err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := &teishiv1.CheckRequest{}
		if d := (&decoder{rest: string(b)}); !d.check(got) || !proto.Equal(got, m) {
			t.Errorf("%s is decoded as %v", format, got)
		}
	}
}

// TestDecodePieces has the data in more buffers than one.
func TestDecodePieces(t *testing.T) {
	want := &teishiv1.CheckRequest{Organization: strings.Repeat("o", 100), Attributes: map[string]string{"a": "b"}}
	b, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &teishiv1.CheckRequest{}
	pieces := mem.BufferSlice{mem.SliceBuffer(b[:7]), mem.SliceBuffer(b[7:50]), mem.SliceBuffer(b[50:])}
	if err := newCodec().Unmarshal(pieces, got); err != nil || !proto.Equal(got, want) {
		t.Errorf("decoded as %v, %v", got, err)
	}
}

// FuzzDecode looks for bytes of which the codec makes something else than the library.
func FuzzDecode(f *testing.F) {
	for _, b := range encoded(f) {
		f.Add(b)
	}
	f.Fuzz(decodes)
}
