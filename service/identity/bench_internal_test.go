package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// BenchmarkIdentify is what it costs a call to know who makes it: by a certificate, by a token that is remembered, and by one that is not.
func BenchmarkIdentify(b *testing.B) {
	ca, err := identitytest.NewCA("bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	issuer, err := identitytest.StartIssuer(ca)
	if err != nil {
		b.Fatal(err)
	}
	defer issuer.Close()
	file := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
		b.Fatal(err)
	}
	id, err := New(Config{Issuers: []string{issuer.URL}, Audiences: []string{identitytest.Audience}, IssuerCAFile: file})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	go id.Run(ctx)
	identify := func(b *testing.B, ctx context.Context, before func()) {
		b.ReportAllocs()
		for b.Loop() {
			before()
			if _, err := id.Identify(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	shown, err := ca.Issue("caller", nil)
	if err != nil {
		b.Fatal(err)
	}
	block, _ := pem.Decode(shown.PEM)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	info := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}}
	token, err := issuer.Sign(issuer.Claims())
	if err != nil {
		b.Fatal(err)
	}
	tokened := metadata.NewIncomingContext(b.Context(), metadata.Pairs("authorization", "Bearer "+token))
	if _, err := id.Identify(tokened); err != nil {
		b.Fatal(err)
	}
	b.Run("certificate", func(b *testing.B) { identify(b, peer.NewContext(b.Context(), &peer.Peer{AuthInfo: info}), func() {}) })
	b.Run("token", func(b *testing.B) { identify(b, tokened, func() {}) })
	b.Run("token/unknown", func(b *testing.B) { identify(b, tokened, func() { clear(id.verified.tokens) }) })
}
