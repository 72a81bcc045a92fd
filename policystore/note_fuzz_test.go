package policystore_test

import (
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
)

// FuzzOpenNote looks for heads that nobody has signed.
func FuzzOpenNote(f *testing.F) {
	signer, err := policystore.ParseSigner([]byte(exampleKey))
	if err != nil {
		f.Fatal(err)
	}
	keys, err := policystore.ParseTrustedKeys(strings.NewReader(signer.Public()))
	if err != nil {
		f.Fatal(err)
	}
	whole, err := keys.OpenNote([]byte(exampleText+"\n"+exampleSignature), "teishi")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", exampleText, exampleText + "\n" + exampleSignature, exampleText + "\n" + exampleSignature + exampleSignature, "\n\n— a b\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if h, err := keys.OpenNote(text, "teishi"); err == nil && h != whole {
			t.Errorf("%q is the head %+v", text, h)
		}
	})
}
