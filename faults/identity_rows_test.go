package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// identityRows show credentials that are none, and exchange those that are.
var identityRows = []row{
	{"26", "certificates that do not hold are shown, and those that do are exchanged under load", "I10 I11 I12", plan{guarded: true, onlyRedis: true}, func(h *house) {
		since := time.Now()
		h.badCertificates()
		h.expiring()
		h.rotated()
		h.undisturbed(since)
	}},
	{"27", "tokens that do not hold are sent, keys are exchanged, and their issuer is down", "I10 I11 I12", plan{guarded: true, onlyRedis: true}, func(h *house) {
		callers := h.withoutCertificate()
		h.letIn("until keys are fetched", h.token(nil), callers...)
		h.badTokens(callers)
		h.keysExchanged(callers)
		h.issuerDown(callers)
	}},
}

// badCertificates shows every server certificates that do not hold.
func (h *house) badCertificates() {
	h.Helper()
	stranger, err := trust.NewCA("authority", nil) // of the name of the true one
	h.must(err)
	mine := h.issue(stranger, "administrator", nil)
	chained := trust.Certificate{PEM: slices.Concat(mine.PEM, stranger.PEM, h.guard.ca.PEM), KeyPEM: mine.KeyPEM}
	for what, c := range map[string]trust.Certificate{
		"a certificate that has expired":           h.issue(h.guard.ca, "load", holding(-time.Hour, -time.Minute)),
		"a certificate that does not hold yet":     h.issue(h.guard.ca, "load", holding(time.Hour, 2*time.Hour)),
		"a certificate of another authority":       h.issue(stranger, "load", nil),
		"a certificate between two authorities":    chained,
		"a certificate of the next authority":      h.issue(h.guard.next, "load", nil),
		"a certificate that is for a server alone": h.issue(h.guard.ca, "load", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
	} {
		for _, s := range h.servers() {
			h.keptOut(h.caller(s, h.pair(c)), "", what, codes.Unavailable)
		}
	}
	for _, s := range h.servers() {
		h.keptOut(h.caller(s, anonymous), "", "no certificate", codes.Unauthenticated)
	}
}

// expiring keeps a connection open until the certificate expires that it was made with.
func (h *house) expiring() {
	h.Helper()
	short := h.pair(h.issue(h.guard.ca, "load", holding(-time.Minute, 3*time.Second)))
	var callers []caller
	for _, s := range h.servers() {
		callers = append(callers, h.caller(s, short))
	}
	h.letIn("until a certificate is shown that soon expires", "", callers...)
	h.locked("until it has expired on its connection", "", codes.Unauthenticated, func() []caller { return callers })
}

// rotated exchanges the authority of callers, and the certificate of the servers. Who is connected notices nothing.
func (h *house) rotated() {
	h.Helper()
	g, live := h.guard, h.converse()
	old, renewed := g.known(), h.pair(h.issue(g.next, "load", nil))
	each := func(certificate *tls.Certificate) (callers []caller) {
		for _, s := range h.servers() {
			callers = append(callers, h.caller(s, certificate))
		}
		return callers
	}
	live()
	h.must(trust.Replace(g.callersFile, slices.Concat(g.ca.PEM, g.next.PEM)))
	h.letIn("until the next authority is believed too", "", each(renewed)...)
	g.load.Store(renewed)
	h.must(trust.Replace(g.callersFile, g.next.PEM))
	h.must(h.issue(g.next, "second", nil).Write(g.certFile, g.keyFile))
	h.locked("until the former authority is believed no more", "", codes.Unavailable, func() []caller {
		h.hangUp() // each time they connect anew
		return each(old)
	})
	h.wait("until servers show the new certificate", func(ctx context.Context) error {
		for _, s := range h.servers() {
			if name, err := h.shown(ctx, s); err != nil || name != "second" {
				return fmt.Errorf("%s shows %q: %w", s.Name(), name, err)
			}
		}
		return nil
	})
	live()
}

// shown is the name of the certificate that a server shows.
func (h *house) shown(ctx context.Context, s *cluster.Teishi) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: h.guard.roots, NextProtos: []string{"h2"}}}
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// converse opens a stream to each server, over the connection of the load, and returns what asks and is answered over all of them.
func (h *house) converse() func() {
	h.Helper()
	var streams []grpc.BidiStreamingClient[teishiv1.StreamCheckRequest, teishiv1.StreamCheckResponse]
	for _, s := range h.servers() {
		stream, err := teishiv1.NewDecisionServiceClient(s.Conn()).StreamCheck(h.ctx)
		h.must(err)
		streams = append(streams, stream)
	}
	return func() {
		h.Helper()
		for i, stream := range streams {
			err := stream.Send(&teishiv1.StreamCheckRequest{Check: &teishiv1.CheckRequest{Organization: organization, App: appID(0)}})
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil {
				h.problem("I12: a stream of %s was dropped: %v", h.servers()[i].Name(), err)
			}
		}
	}
}

func (h *house) withoutCertificate() (callers []caller) {
	h.Helper()
	for _, s := range h.servers() {
		callers = append(callers, h.caller(s, anonymous))
	}
	return callers
}

// token is one that the issuer signs now, but for some claims.
func (h *house) token(claims map[string]any) string {
	h.Helper()
	all := h.guard.issuer.Claims()
	maps.Copy(all, claims)
	token, err := h.guard.issuer.Sign(all)
	h.must(err)
	return token
}

// badTokens sends every server tokens that do not hold.
func (h *house) badTokens(callers []caller) {
	h.Helper()
	issuer := h.guard.issuer
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	key, id := issuer.Key()
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	h.must(err)
	forger, err := identitytest.StartIssuer(h.guard.ca)
	h.must(err)
	defer func() { h.must(forger.Close()) }()
	forged, _ := forger.Key()
	sign := func(a jose.SignatureAlgorithm, key any) string {
		token, err := identitytest.Sign(a, key, id, issuer.Claims())
		h.must(err)
		return token
	}
	good := h.token(nil)
	payload := strings.Split(good, ".")[1]
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
	for what, token := range map[string]string{
		"a token that has expired":                         h.token(map[string]any{"exp": at(-time.Hour)}),
		"a token that does not hold yet":                   h.token(map[string]any{"nbf": at(time.Hour)}),
		"a token for somebody else":                        h.token(map[string]any{"aud": "somebody"}),
		"a token of an issuer that is not believed":        h.token(map[string]any{"iss": forger.URL}),
		"a token that nobody has signed":                   none,
		"a token signed with the public key":               sign(jose.HS256, public),
		"a token signed with another key of the same name": sign(jose.ES256, forged),
		"half a token":                                     good[:len(good)-20],
	} {
		for _, c := range callers {
			h.keptOut(c, token, what, codes.Unauthenticated)
		}
	}
	for _, s := range h.servers() {
		h.keptOut(h.caller(s, h.guard.known()), "none", "a certificate that holds and a token that is none", codes.Unauthenticated)
	}
}

// keysExchanged has the issuer sign with another key. What the former has signed is not believed any more.
func (h *house) keysExchanged(callers []caller) {
	h.Helper()
	old := h.token(nil)
	h.letIn("until a token is believed", old, callers...)
	h.guard.issuer.Rotate()
	h.letIn("until a token of a new key is believed", h.token(nil), callers...)
	h.locked("until one of the former key is not", old, codes.Unauthenticated, func() []caller { return callers })
}

// issuerDown has the issuer be down. What it has signed goes on to be believed, but by a server that has yet to learn its keys, which knows
// whoever shows a certificate.
func (h *house) issuerDown(callers []caller) {
	h.Helper()
	issuer, token := h.guard.issuer, h.token(nil)
	issuer.Down(true)
	for _, c := range callers {
		if err := c.ask(h.ctx, token); err != nil {
			h.problem("I12: %s forgot the keys of an issuer that is down: %v", c.server, err)
		}
	}
	point := h.points[0]
	h.restart(point)
	h.wait("until it answers who shows a certificate", func(ctx context.Context) error { return h.is(ctx, point, fresh, 0, 0) })
	h.keptOut(h.caller(point, anonymous), token, "a token whose key nobody can know", codes.Unauthenticated)
	issuer.Down(false)
	h.letIn("until it has learnt the keys", token, h.caller(point, anonymous))
}
