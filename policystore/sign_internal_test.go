package policystore

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// FuzzParseSigner looks for a key that is another once it is written, and for errors that tell of the key.
func FuzzParseSigner(f *testing.F) {
	s, err := NewSigner()
	if err != nil {
		f.Fatal(err)
	}
	text, err := s.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(append([]byte("a comment\n"), text...))
	f.Add(bytes.ReplaceAll(text, []byte("PRIVATE"), []byte("PUBLIC")))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := ParseSigner(text)
		if err != nil {
			return
		}
		written, err := read.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSigner(written)
		if err != nil || again.Public() != read.Public() {
			t.Errorf("the key of %q is %v, %v once it is written, want %s", text, again, err, read.Public())
		}
		trusted, err := ParseTrustedKeys(strings.NewReader(read.Public()))
		if err != nil || !trusted.Has(read) {
			t.Errorf("who trusts the public key of %q does not trust what it signs: %v", text, err)
		}
	})
}

// FuzzParseTrustedKeys looks for trusted keys that are others once they are written out, and for lists of none.
func FuzzParseTrustedKeys(f *testing.F) {
	s, err := NewSigner()
	if err != nil {
		f.Fatal(err)
	}
	for _, words := range []string{"", " 1", " 7 7", " 2 9223372036854775807 # until further notice", " 9 8", " 1 2 3"} {
		f.Add(s.Public() + words)
		f.Add("# ours\n\n" + s.Public() + words + "\r\n" + s.Public() + " 3\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := ParseTrustedKeys(strings.NewReader(text))
		if err != nil {
			return
		}
		keys := *read.keys.Load()
		if len(keys) == 0 {
			t.Fatalf("%q is read as keys, and there is none", text)
		}
		var plain strings.Builder
		for _, k := range keys {
			if k.from < 1 || k.until < k.from {
				t.Errorf("a key of %q is trusted from %d until %d", text, k.from, k.until)
			}
			fmt.Fprintln(&plain, base64.StdEncoding.EncodeToString(k.key), k.from, k.until)
		}
		again, err := ParseTrustedKeys(strings.NewReader(plain.String()))
		if err != nil || !reflect.DeepEqual(*again.keys.Load(), keys) {
			t.Errorf("the keys of %q are others once they are written as %q: %v", text, plain.String(), err)
		}
	})
}
