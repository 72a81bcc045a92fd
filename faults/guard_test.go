package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// guard is who lets callers in: an authority that signs certificates, another that does after it, and an issuer of tokens. All servers show
// the same certificate.
type guard struct {
	ca, next *trust.CA
	issuer   *identitytest.Issuer
	load     atomic.Pointer[tls.Certificate] // what the load shows of itself
	web      *http.Client
	roots    *x509.CertPool // of both

	certFile, keyFile, callersFile, issuerFile string
}

func (h *house) newGuard() *guard {
	h.Helper()
	in := func(name string) string { return filepath.Join(h.cluster.Directory(), name) }
	g := &guard{certFile: in("server.pem"), keyFile: in("server.key"), callersFile: in("callers.pem"), issuerFile: in("issuer.pem")}
	var err error
	g.ca, err = trust.NewCA("authority", nil)
	h.must(err)
	g.next, err = trust.NewCA("next authority", nil)
	h.must(err)
	g.roots = g.ca.Pool()
	g.roots.AppendCertsFromPEM(g.next.PEM)
	g.web = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots}, DisableKeepAlives: true}}
	g.issuer, err = identitytest.StartIssuer(g.ca)
	h.must(err)
	h.Cleanup(func() { _ = g.issuer.Close() })
	h.must(h.issue(g.ca, "first", nil).Write(g.certFile, g.keyFile))
	h.must(trust.Replace(g.callersFile, g.ca.PEM))
	h.must(trust.Replace(g.issuerFile, g.ca.PEM))
	g.load.Store(h.pair(h.issue(g.ca, "load", nil)))
	return g
}

// founded has the load and who has a token of the issuer administer everything, as told to an authority that asks nobody who he is. It
// ends before there are others.
func (h *house) founded(binary string) {
	h.Helper()
	t, err := h.cluster.StartTeishi(h.ctx, cluster.TeishiConfig{
		Binary: binary, Name: "founder", Args: []string{"serve", "--lame-duck", "0s"}, Env: []string{"TEISHI_STORE=" + h.storeURL()}})
	h.must(err)
	h.must(t.Ready(h.ctx))
	for _, principal := range []string{"cn:load", "user:" + h.guard.issuer.URL + "#" + identitytest.Subject} {
		_, err := teishiv1.NewAccessServiceClient(t.Conn()).Grant(h.ctx, &teishiv1.GrantRequest{Reason: "the first",
			Grant: &teishiv1.Grant{Principal: principal, Role: teishiv1.Role_ROLE_ADMINISTRATOR, Organization: "*"}})
		h.must(err)
	}
	h.must(t.Stop())
}

// args have a server ask callers who they are. The load is one caller who writes more than one caller would.
func (g *guard) args() []string {
	return []string{"--tls-cert", g.certFile, "--tls-key", g.keyFile, "--tls-client-ca", g.callersFile,
		"--oidc-issuer", g.issuer.URL, "--oidc-audience", identitytest.Audience, "--oidc-ca", g.issuerFile, "--limit-writes", "0"}
}

// known is the certificate that the load shows.
func (g *guard) known() *tls.Certificate { return g.load.Load() }

// shows is how a caller connects that shows a certificate, whoever is believed; an empty one is none.
func (g *guard) shows(certificate func() *tls.Certificate) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: g.roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate(), nil }}))
}

func (h *house) issue(ca *trust.CA, name string, alter func(*x509.Certificate)) trust.Certificate {
	h.Helper()
	c, err := ca.Issue(name, alter)
	h.must(err)
	return c
}

func (h *house) pair(c trust.Certificate) *tls.Certificate {
	h.Helper()
	pair, err := c.Pair()
	h.must(err)
	return &pair
}

// caller asks a server as whoever shows a certificate, over a connection of its own.
type caller struct {
	server string
	client teishiv1.DecisionServiceClient
}

func (h *house) caller(s *cluster.Teishi, certificate *tls.Certificate) caller {
	h.Helper()
	conn := h.dial(s.Addr(), h.guard.shows(func() *tls.Certificate { return certificate }))
	return caller{s.Name(), teishiv1.NewDecisionServiceClient(conn)}
}

// ask asks once, with a token if there is one.
func (c caller) ask(ctx context.Context, token string) error {
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	_, err := c.client.Check(ctx, &teishiv1.CheckRequest{Organization: organization, App: appID(0)})
	return err
}

// anonymous is who shows no certificate.
var anonymous = &tls.Certificate{}

// keptOut sees that a caller is not answered, and why: its certificate does not make a connection, or it is not known.
func (h *house) keptOut(c caller, token, what string, want codes.Code) {
	h.Helper()
	if err := c.ask(h.ctx, token); status.Code(err) != want {
		h.problem("I10: %s told a caller with %s: %v; want %s", c.server, what, err, want)
	}
}

// letIn waits until a caller is answered.
func (h *house) letIn(what string, token string, callers ...caller) {
	h.Helper()
	h.until("I12", what, func(ctx context.Context) error {
		for _, c := range callers {
			if err := c.ask(ctx, token); err != nil {
				return fmt.Errorf("%s: %w", c.server, err)
			}
		}
		return nil
	})
}

// locked waits until a caller is not known any more. It may have been until then.
func (h *house) locked(what, token string, code codes.Code, callers func() []caller) {
	h.Helper()
	h.until("I10", what, func(ctx context.Context) error {
		for _, c := range callers() {
			if err := c.ask(ctx, token); status.Code(err) != code {
				return fmt.Errorf("%s told it %v", c.server, err)
			}
		}
		return nil
	})
}

// holding has a certificate hold from a time to another, as seen from now.
func holding(from, to time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}
