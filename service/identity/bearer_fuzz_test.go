package identity_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// FuzzBearer looks for what somebody else is known by than whom the issuer has signed a token for.
func FuzzBearer(f *testing.F) {
	must := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	ca, err := trust.NewCA("authority", nil)
	must(err)
	file := filepath.Join(f.TempDir(), "ca.pem")
	must(os.WriteFile(file, ca.PEM, 0o600))
	issuer, err := identitytest.StartIssuer(ca)
	must(err)
	f.Cleanup(func() { must(issuer.Close()) })
	id, err := identity.New(identity.Config{Issuers: []string{issuer.URL}, Audiences: []string{identitytest.Audience}, IssuerCAFile: file, MaxClockSkew: time.Second})
	must(err)
	must(id.Refresh(f.Context()))
	token, err := issuer.Token()
	must(err)
	for _, given := range []string{"", "Bearer ", "bearer a.b.c", "Basic YTpi", "Bearer " + token, "bearer " + token, "Bearer " + token[1:], "Bearer " + token + "A",
		"Bearer eyJhbGciOiJub25lIn0." + token, "Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwic3ViIjoiYSJ9.AAAA"} {
		f.Add(given)
	}
	f.Fuzz(func(t *testing.T, given string) {
		ctx, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", given)))
		cancel() // nothing is waited for
		if caller, err := id.Identify(ctx); err == nil && caller.Principal != "user:"+issuer.URL+"#"+identitytest.Subject {
			t.Errorf("%q is %+v", given, caller)
		}
	})
}
