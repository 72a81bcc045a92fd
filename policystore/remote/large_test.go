package remote_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// storeLarge makes the record hold what does not compress well, and a checkpoint of it.
func storeLarge(t *testing.T, log *sqlite.Log) policystore.Checkpoint {
	t.Helper()
	s, at, last := policy.New(), policystore.Position{}, policy.Instant(0)
	for i := range 5 {
		var changes []policy.Change
		for j := range 100 {
			changes = append(changes, policy.Change{Put: &policy.Organization{ID: fmt.Sprint("o", i, "-", j), Names: policy.TextOf(map[string]string{"en": noise(t)})}})
		}
		payload, err := policystore.EncodeChanges(changes)
		if err != nil {
			t.Fatal(err)
		}
		e := policystore.Entry{Epoch: 1, Revision: at.Revision + 1, Time: last + 1, Principal: "local", Method: "load",
			RequestID: fmt.Sprint(i), Reason: "a test", Payload: payload, PreviousHash: at.Hash}
		e.Hash = e.Sum(storetest.Domain)
		if _, err := log.Append(t.Context(), at, e); err != nil {
			t.Fatal(err)
		}
		if s, err = s.Apply(e.Revision, changes); err != nil {
			t.Fatal(err)
		}
		at, last = e.Position(), e.Time
	}
	c, err := policystore.NewCheckpoint(storetest.Domain, policystore.View{Snapshot: s, Position: at, Time: last})
	if err == nil {
		c.Signature = []byte("signature")
		err = log.StoreCheckpoint(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// noise is a name of some kilobytes.
func noise(t *testing.T) string {
	t.Helper()
	b := make([]byte, 6000)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return base64.RawStdEncoding.EncodeToString(b)
}
