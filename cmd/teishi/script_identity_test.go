package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// credentialsCmd is `credentials [NAME…]`: it makes a CA, ca.pem, and certificates that it has signed, each NAME.pem and NAME.key: of the
// server, of a caller called mdm, of another server, of the callers that are named; one that has expired, one that does not hold yet; one
// of another CA. It has an issuer of tokens serve until the script ends, whose URL is ISSUER, and who has made TOKEN.
func credentialsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: credentials [NAME...]")
	}
	ca, err := trust.NewCA("authority", nil)
	ts.Check(err)
	ts.Check(trust.Replace(ts.MkAbs("ca.pem"), ca.PEM))
	for name, alter := range map[string]func(*x509.Certificate){
		"server": nil, "mdm": nil, "second": nil,
		"expired": func(c *x509.Certificate) { holding(c, -48*time.Hour, -24*time.Hour) },
		"early":   func(c *x509.Certificate) { holding(c, 24*time.Hour, 48*time.Hour) },
	} {
		issueTo(ts, ca, name, alter)
	}
	for _, name := range args {
		issueTo(ts, ca, name, nil)
	}
	other, err := trust.NewCA("other", nil)
	ts.Check(err)
	issueTo(ts, other, "stranger", nil)
	old, err := trust.NewCA("old", func(c *x509.Certificate) { holding(c, -48*time.Hour, -24*time.Hour) })
	ts.Check(err)
	ts.Check(trust.Replace(ts.MkAbs("old.pem"), old.PEM))
	issuer, err := identitytest.StartIssuer(ca)
	ts.Check(err)
	ts.Defer(func() { _ = issuer.Close() })
	token, err := issuer.Token()
	ts.Check(err)
	ts.Setenv("ISSUER", issuer.URL)
	ts.Setenv("TOKEN", token)
}

// holding has a certificate hold from a time to another, as seen from now.
func holding(c *x509.Certificate, from, to time.Duration) {
	c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to)
}

func issueTo(ts *testscript.TestScript, ca *trust.CA, name string, alter func(*x509.Certificate)) {
	c, err := ca.Issue(name, alter)
	ts.Check(err)
	ts.Check(c.Write(ts.MkAbs(name+".pem"), ts.MkAbs(name+".key")))
}

// freePortCmd is `freeport NAME`: it gives a variable an address on this machine at which nobody listens.
func freePortCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// getCmd is `get CODE URL`: it asks for what is at a URL, over TLS if a server of the CA in ca.pem is there, and is answered with the code.
func getCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get CODE URL")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ts.ReadFile("ca.pem")))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, Timeout: watchdog}
	resp, err := client.Get(args[1])
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if got := strconv.Itoa(resp.StatusCode); got != args[0] {
		ts.Fatalf("%s answers %s, want %s", args[1], got, args[0])
	}
}
