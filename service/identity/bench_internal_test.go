package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// BenchmarkIdentify is what it costs a call to know who makes it: by a certificate, by a token that is remembered, and by one that
// is not.
func BenchmarkIdentify(b *testing.B) {
	ca, err := trust.NewCA("bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	certified := benchmarkCertified(b, ca)
	id, tokened := benchmarkTokened(b, ca)
	if _, err := id.Identify(tokened); err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name   string
		ctx    context.Context
		forget bool
	}{{"certificate", certified, false}, {"token", tokened, false}, {"token/unknown", tokened, true}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if way.forget {
					clear(id.verified.tokens)
				}
				if _, err := id.Identify(way.ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarkCertified returns the context of a call over a connection that was made with a certificate.
func benchmarkCertified(b *testing.B, ca *trust.CA) context.Context {
	shown, err := ca.Issue("caller", nil)
	if err != nil {
		b.Fatal(err)
	}
	pair, err := shown.Pair()
	if err != nil {
		b.Fatal(err)
	}
	info := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}}}
	return peer.NewContext(b.Context(), &peer.Peer{AuthInfo: info})
}

// benchmarkTokened returns who knows the tokens of an issuer, and the context of a call with one of them.
func benchmarkTokened(b *testing.B, ca *trust.CA) (*Identity, context.Context) {
	issuer, err := identitytest.StartIssuer(ca)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { issuer.Close() })
	file := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
		b.Fatal(err)
	}
	id, err := New(Config{Issuers: []string{issuer.URL}, Audiences: []string{identitytest.Audience}, IssuerCAFile: file})
	if err != nil {
		b.Fatal(err)
	}
	go id.Run(b.Context())
	token, err := issuer.Sign(issuer.Claims())
	if err != nil {
		b.Fatal(err)
	}
	return id, metadata.NewIncomingContext(b.Context(), metadata.Pairs("authorization", "Bearer "+token))
}
