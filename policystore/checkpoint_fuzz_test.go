package policystore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policystore"
)

// FuzzDecodeCheckpoint looks for kept checkpoints that are taken though they are damaged, or that become others once they are kept
// again. What is damaged is also given its right sum, by whoever meant it.
func FuzzDecodeCheckpoint(f *testing.F) {
	for _, c := range []policystore.Checkpoint{{}, {
		Domain: domain, Position: policystore.Position{Epoch: 1, Revision: 2}, Time: 3, FoldVersion: policystore.FoldVersion, Body: []byte("body"), Signature: []byte("signature"),
	}} {
		b := must(policystore.EncodeCheckpoint(&c))
		f.Add(b)
		f.Add(b[:len(b)-sha256.Size])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sum := sha256.Sum256(b)
		wantWhole(t, b)
		wantWhole(t, append(bytes.Clone(b), sum[:]...))
	})
}

// wantWhole checks that bytes are refused as damaged, or are read as a checkpoint that is the same once it is kept.
func wantWhole(t *testing.T, b []byte) {
	t.Helper()
	read, err := policystore.DecodeCheckpoint(b)
	if err != nil {
		if !errors.Is(err, policystore.ErrFormat) && !errors.Is(err, policystore.ErrBroken) {
			t.Errorf("%x is refused by %v, want ErrFormat or ErrBroken", b, err)
		}
		return
	}
	if end := len(b) - sha256.Size; sha256.Sum256(b[:end]) != [sha256.Size]byte(b[end:]) {
		t.Errorf("%x is read though its sum is another", b)
	}
	again, err := policystore.DecodeCheckpoint(must(policystore.EncodeCheckpoint(&read)))
	if diff := cmp.Diff(read, again); err != nil || diff != "" {
		t.Errorf("from %x, %v (-read +kept):\n%s", b, err, diff)
	}
}
