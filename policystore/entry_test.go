package policystore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

func sampleEntry() policystore.Entry {
	e := policystore.Entry{
		Epoch:     1,
		Revision:  42,
		Time:      1616723999123456,
		Principal: "local",
		Method:    "teishi.v1.DirectiveService/IssueDirective",
		RequestID: "req-1",
		Reason:    "停止",
		Payload:   []byte("payload"),
	}
	for i := range e.RequestDigest {
		e.RequestDigest[i], e.PreviousHash[i] = byte(i), byte(32+i)
	}
	return e
}

// The bytes are written out here as the format says them, and their hash was computed by another program: the format
// of a record can never change.
func TestEntryHashGolden(t *testing.T) {
	payload := sha256.Sum256([]byte("payload"))
	raw := bytes.Join([][]byte{
		[]byte("\x00\x00\x00\x0fteishi/entry/v1"),
		[]byte("\x00\x00\x00\x06teishi"),
		[]byte("\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01"),
		[]byte("\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x2a"),
		[]byte("\x00\x00\x00\x08\x00\x05\xbe\x66\xe3\xaa\xe8\x00"),
		[]byte("\x00\x00\x00\x05local"),
		[]byte("\x00\x00\x00\x29teishi.v1.DirectiveService/IssueDirective"),
		[]byte("\x00\x00\x00\x05req-1"),
		[]byte("\x00\x00\x00\x20"), unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
		[]byte("\x00\x00\x00\x06\xe5\x81\x9c\xe6\xad\xa2"),
		[]byte("\x00\x00\x00\x20"), unhex(t, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"),
		[]byte("\x00\x00\x00\x20"), payload[:],
	}, nil)
	const want = "a844913433a4dea223ae538fd4f0bc4676ffcd05d8e0861fad6b7acf55cdb609"
	if got := policystore.Hash(sha256.Sum256(raw)).String(); got != want {
		t.Errorf("the format hashes to %s, want %s", got, want)
	}
	e := sampleEntry()
	if got := e.Sum("teishi").String(); got != want {
		t.Errorf("Sum = %s, want %s", got, want)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every field is in the hash, but the hash itself and the signature.
func TestEntryHashCoversEveryField(t *testing.T) {
	base := sampleEntry()
	want := base.Sum("teishi")
	changed := map[string]func(*policystore.Entry){
		"epoch":         func(e *policystore.Entry) { e.Epoch++ },
		"revision":      func(e *policystore.Entry) { e.Revision++ },
		"time":          func(e *policystore.Entry) { e.Time++ },
		"principal":     func(e *policystore.Entry) { e.Principal += "x" },
		"method":        func(e *policystore.Entry) { e.Method += "x" },
		"request id":    func(e *policystore.Entry) { e.RequestID += "x" },
		"digest":        func(e *policystore.Entry) { e.RequestDigest[31]++ },
		"reason":        func(e *policystore.Entry) { e.Reason += "x" },
		"payload":       func(e *policystore.Entry) { e.Payload = []byte("payloae") },
		"previous hash": func(e *policystore.Entry) { e.PreviousHash[0]++ },
		"boundary": func(e *policystore.Entry) {
			e.Principal, e.Method = "localt", "eishi.v1.DirectiveService/IssueDirective"
		},
	}
	for name, change := range changed {
		e := base
		if change(&e); e.Sum("teishi") == want {
			t.Errorf("%s: another entry has the same hash", name)
		}
	}
	if base.Sum("other") == want {
		t.Error("another domain has the same hash")
	}
	signed := base
	signed.Signature, signed.Hash = []byte("signature"), policystore.Hash{1}
	if signed.Sum("teishi") != want {
		t.Error("the signature or the hash itself is hashed")
	}
}

func TestFollows(t *testing.T) {
	e := sampleEntry()
	e.Hash = e.Sum("teishi")
	before := policystore.Position{Epoch: 1, Revision: 41, Hash: e.PreviousHash}
	if err := e.Follows(before, e.Time, "teishi"); err != nil {
		t.Fatalf("Follows = %v", err)
	}
	for name, c := range map[string]struct {
		after  policystore.Position
		last   policy.Instant
		domain string
	}{
		"a gap":           {policystore.Position{Epoch: 1, Revision: 40, Hash: e.PreviousHash}, e.Time, "teishi"},
		"a repetition":    {e.Position(), e.Time, "teishi"},
		"another epoch":   {policystore.Position{Epoch: 2, Revision: 41, Hash: e.PreviousHash}, e.Time, "teishi"},
		"another history": {policystore.Position{Epoch: 1, Revision: 41}, e.Time, "teishi"},
		"time runs back":  {before, e.Time + 1, "teishi"},
		"another domain":  {before, e.Time, "other"},
	} {
		if err := e.Follows(c.after, c.last, c.domain); !errors.Is(err, policystore.ErrBroken) {
			t.Errorf("%s: Follows = %v, want ErrBroken", name, err)
		}
	}
	first := policystore.Entry{Epoch: 2, Revision: 1}
	first.Hash = first.Sum("teishi")
	if err := first.Follows(policystore.Position{}, 0, "teishi"); !errors.Is(err, policystore.ErrBroken) {
		t.Errorf("born in epoch 2: Follows = %v, want ErrBroken", err)
	}
}

func TestRequestDigest(t *testing.T) {
	want := sha256.Sum256([]byte("teishi.v1.RegistryService/PutApp\x00request"))
	if got := policystore.RequestDigest("teishi.v1.RegistryService/PutApp", []byte("request")); got != want {
		t.Errorf("RequestDigest = %s, want %x", got, want)
	}
}
