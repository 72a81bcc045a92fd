//go:build linux

package remote_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/credential"
	"github.com/teishi-dev/teishi/policystore/remote"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// gate is an authority behind a front that asks for TLS.
type gate struct {
	*authority
	t     *testing.T
	front *cluster.Front
	ca    *cluster.CA // of the front
	ours  *cluster.CA // of those who follow
	files credential.Files
	token string // file
}

// guarded serves a record behind a front that asks for what the files hold, and for the token "first".
func guarded(t *testing.T) *gate {
	t.Helper()
	c := cluster.Test(t)
	g := &gate{authority: serve(t, storetest.Domain), t: t}
	g.must(policystore.Initialize(t.Context(), g.log, storetest.Domain, nil))
	var err error
	g.ca, err = c.NewCA()
	g.must(err)
	g.ours, err = c.NewCA()
	g.must(err)
	g.front, err = c.StartFront(g.config("first"))
	g.must(err)
	directory := t.TempDir()
	g.files = credential.Files{CA: filepath.Join(directory, "ca"), Cert: filepath.Join(directory, "cert"), Key: filepath.Join(directory, "key")}
	g.token = filepath.Join(directory, "token")
	g.put(g.files.CA, g.ca.File)
	g.issue("one")
	g.must(os.WriteFile(g.token, []byte("first\n"), 0o600))
	return g
}

func (g *gate) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// config returns what the front asks for, with this token.
func (g *gate) config(token string) cluster.FrontConfig {
	return cluster.FrontConfig{Target: g.address, CA: g.ca, ClientCA: g.ours, Token: token}
}

func (g *gate) put(file, from string) {
	g.t.Helper()
	text, err := os.ReadFile(from)
	g.must(err)
	g.must(os.WriteFile(file, text, 0o600))
}

// issue has the files show another certificate.
func (g *gate) issue(name string) {
	g.t.Helper()
	id, err := g.ours.Issue(name)
	g.must(err)
	g.put(g.files.Cert, id.CertFile)
	g.put(g.files.Key, id.KeyFile)
}

// follows returns an authority that is reached with these credentials.
func follows(t *testing.T, url string, c remote.Credentials) *remote.Authority {
	t.Helper()
	a, err := remote.New(remote.Config{URL: url, Domain: storetest.Domain, Credentials: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// report reports once.
func report(ctx context.Context, a *remote.Authority) error {
	_, err := a.Report(ctx, policystore.Member{ID: "decision-0"})
	return err
}

// What is exchanged while a tail is followed breaks nothing, and is shown from then on: the token by the next call, the certificate by the
// next connection.
func TestRotation(t *testing.T) {
	g := guarded(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a := follows(t, "grpcs://"+g.front.Addr(), remote.OfFiles(g.files, g.token))
	next, stop := iter.Pull2(a.Tail(ctx, policystore.Position{}))
	defer stop()
	proven := func() {
		t.Helper()
		for {
			event, err, _ := next()
			g.must(err)
			if event.Head != nil {
				return
			}
		}
	}
	proven()
	if g.front.Shown() != "one" {
		t.Errorf("the certificate that is shown is %q, want one", g.front.Shown())
	}

	g.front.Demand("second")
	if err := report(ctx, a); policystore.TroubleOf(err) != policystore.Unauthorized || !strings.Contains(err.Error(), "--follow-token-file") {
		t.Errorf("Report with the old token = %v, want trouble that names --follow-token-file", err)
	}
	g.must(os.WriteFile(g.token, []byte("second"), 0o600))
	g.must(report(ctx, a))
	g.issue("two")
	proven()
	if g.must(report(ctx, a)); g.front.Shown() != "one" {
		t.Errorf("the connection is another: it shows %q", g.front.Shown())
	}

	g.must(g.front.Restart(g.config("second")))
	for err := report(ctx, a); err != nil; err = report(ctx, a) {
		if policystore.TroubleOf(err) != policystore.Unreachable {
			t.Fatalf("Report after a restart = %v", err)
		}
	}
	if g.front.Shown() != "two" {
		t.Errorf("the certificate that is shown is %q, want two", g.front.Shown())
	}
}

// Whoever is not believed, on either side, is refused, and it is said what to do.
func TestRefusals(t *testing.T) {
	g := guarded(t)
	bare := serve(t, storetest.Domain)
	with := func(change func(*credential.Files)) remote.Credentials {
		files := g.files
		change(&files)
		return remote.OfFiles(files, g.token)
	}
	for name, row := range map[string]struct {
		url   string
		creds remote.Credentials
		sort  policystore.Trouble
		words []string
	}{
		"the system's authorities":  {"grpcs://" + g.front.Addr(), remote.Credentials{Token: remote.TokenOf(g.token)}, policystore.Unauthorized, []string{"x509", "--follow-ca"}},
		"another authority":         {"grpcs://" + g.front.Addr(), with(func(f *credential.Files) { f.CA = g.ours.File }), policystore.Unauthorized, []string{"x509", "--follow-ca"}},
		"no file of authorities":    {"grpcs://" + g.front.Addr(), with(func(f *credential.Files) { f.CA += "x" }), policystore.Unauthorized, []string{"no such file"}},
		"none in the file":          {"grpcs://" + g.front.Addr(), with(func(f *credential.Files) { f.CA = g.token }), policystore.Unauthorized, []string{"holds no certificate"}},
		"the key of another":        {"grpcs://" + g.front.Addr(), with(func(f *credential.Files) { f.Cert, f.Key = g.ours.File, g.files.Key }), policystore.Unauthorized, []string{"certificate and its key"}},
		"no certificate":            {"grpcs://" + g.front.Addr(), with(func(f *credential.Files) { f.Cert, f.Key = "", "" }), policystore.Unauthorized, []string{"certificate required", "--follow-cert"}},
		"no token":                  {"grpcs://" + g.front.Addr(), remote.OfFiles(g.files, ""), policystore.Unauthorized, []string{"Unauthenticated", "--follow-token-file"}},
		"no file of a token":        {"grpcs://" + g.front.Addr(), remote.OfFiles(g.files, g.token+"x"), policystore.Unauthorized, []string{"the token file", "no such file"}},
		"two words in it":           {"grpcs://" + g.front.Addr(), remote.OfFiles(g.files, g.ca.File), policystore.Unauthorized, []string{"holds no token"}},
		"plaintext where TLS is":    {"grpc://" + g.front.Addr(), remote.Credentials{}, policystore.Unreachable, []string{"grpcs://"}},
		"TLS where plaintext is":    {"grpcs://" + bare.address, remote.OfFiles(g.files, ""), policystore.Unauthorized, []string{"first record does not look like a TLS handshake"}},
		"a right that is not there": {"grpc://" + forbidding(t), remote.Credentials{}, policystore.Unauthorized, []string{"PermissionDenied", "role replica"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := follows(t, row.url, row.creds)
			err := cluster.Wait(t.Context(), "a refusal", func(ctx context.Context) error { // which a reset may overtake
				return told(report(ctx, a), row.sort, row.words)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// told reports as an error that trouble is not of the sort, or has not all of the words.
func told(err error, sort policystore.Trouble, words []string) error {
	if policystore.TroubleOf(err) != sort {
		return fmt.Errorf("it is %v, want trouble of sort %s", err, sort)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			return fmt.Errorf("it is %v, want %q in it", err, word)
		}
	}
	return nil
}

// forbidding returns the address of a server that permits nothing.
func forbidding(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(codes.PermissionDenied, "no grant permits this")
	}))
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// A token leaves this machine by TLS only, and what TLS is spoken with is for TLS.
func TestTokenStaysHere(t *testing.T) {
	token := remote.Credentials{Token: func(context.Context) (string, error) { return "token", nil }}
	secure := remote.Credentials{Transport: credentials.NewTLS(nil), Token: token.Token}
	for _, row := range []struct {
		url   string
		creds remote.Credentials
		good  bool
	}{
		{"grpc://authority.example:50051", token, false}, {"grpc://10.0.0.1:50051", token, false}, {"grpc://localhost.example:50051", token, false},
		{"grpc://localhost:50051", token, true}, {"grpc://127.0.0.1:50051", token, true}, {"grpc://[::1]:50051", token, true},
		{"grpcs://authority.example:50051", token, true}, {"grpcs://authority.example:50051", secure, true},
	} {
		a, err := remote.New(remote.Config{URL: row.url, Credentials: row.creds})
		if (err == nil) != row.good || err != nil && !errors.Is(err, remote.ErrExposed) {
			t.Errorf("New(%s) with %+v = %v", row.url, row.creds, err)
		}
		if err == nil {
			_ = a.Close()
		}
	}
	if _, err := remote.New(remote.Config{URL: "grpc://localhost:50051", Credentials: secure}); err == nil || !strings.Contains(err.Error(), "not of grpcs") {
		t.Errorf("New of grpc with what TLS is spoken with = %v", err)
	}
}
