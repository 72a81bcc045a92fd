package policystore

import (
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"

	"github.com/teishi-dev/teishi/policy"
)

// FuzzRestore looks for the body of a checkpoint that is restored, and refused or restored as another state once it is
// kept again. Whoever made it has given it the state hash that it has. It is of chunks as they are stored; if it is raw, of
// resources that are yet to be compressed.
func FuzzRestore(f *testing.F) {
	born, err := policy.New().Propose(1, policy.Birth())
	if err != nil {
		f.Fatal(err)
	}
	put := []policy.Change{{Put: &policy.Organization{ID: "jp"}}, {Put: &policy.App{ID: "line", Tags: []string{"sns"}, Identifiers: []string{"ios:jp.naver.line"}}}}
	s, err := born.Propose(2, put)
	if err != nil {
		f.Fatal(err)
	}
	view := View{Position: Position{Epoch: 1, Revision: 2}, Time: 3, Snapshot: s}
	c, err := NewCheckpoint("teishi", view)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(false, c.Body)
	chunks := slices.Collect(plain(&c, s))
	f.Add(true, chunks[1])
	f.Add(true, slices.Concat(chunks[1], chunks[1])) // everything twice
	f.Fuzz(func(t *testing.T, raw bool, body []byte) {
		made := c
		made.Body = body
		if raw {
			made.Body = compressed(t, chunks[0], body)
		}
		wantRestored(t, &made)
	})
}

// plain yields the chunks of a checkpoint of the snapshot before they are compressed.
func plain(c *Checkpoint, s *policy.Snapshot) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for chunk, err := range c.chunks(s) {
			if err != nil || !yield(slices.Clone(chunk)) {
				return
			}
		}
	}
}

func compressed(t *testing.T, chunks ...[]byte) (body []byte) {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for _, chunk := range chunks {
		body = appendField(body, encoder.EncodeAll(chunk, nil))
	}
	return body
}

// wantRestored checks that a checkpoint is refused, or restored as a state that is the same once it is kept.
func wantRestored(t *testing.T, c *Checkpoint) {
	t.Helper()
	rehash(c)
	read, err := c.restore(c.Domain)
	if err != nil {
		return
	}
	kept, err := NewCheckpoint(c.Domain, View{Position: read.position, Time: read.time, Snapshot: read.snapshot})
	if err != nil {
		t.Fatalf("what is restored from %x cannot be kept: %v", c.Body, err)
	}
	again, err := kept.restore(c.Domain)
	if err != nil {
		t.Fatalf("what is restored from %x is refused once it is kept: %v", c.Body, err)
	}
	if diff := cmp.Diff(held(read.snapshot), held(again.snapshot), cmp.AllowUnexported(stored{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("from %x (-restored +kept):\n%s", c.Body, diff)
	}
}

// rehash gives a checkpoint the state hash that its body has, if it has one.
func rehash(c *Checkpoint) {
	chunks, err := split(c.Body)
	if err != nil {
		return
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk))
	if err != nil {
		return
	}
	defer decoder.Close()
	state := sha256.New()
	for _, chunk := range chunks {
		b, _ := decoder.DecodeAll(chunk, nil) // what cannot be decompressed has no hash
		state.Write(b)
	}
	c.StateHash = Hash(state.Sum(nil))
}

// held returns what a snapshot holds, with when it last changed.
func held(s *policy.Snapshot) map[policy.Key]stored {
	all := make(map[policy.Key]stored)
	for r, changed := range s.All() {
		all[r.Key()] = stored{r, changed}
	}
	return all
}
