package identity_test

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/identity"
)

// TestPrincipalOfCertificate checks whom a certificate names.
func TestPrincipalOfCertificate(t *testing.T) {
	h := newHouse(t)
	h.open()
	const nobody = ""
	for _, c := range []struct {
		name, cn  string
		uris, dns []string
		want      string
	}{
		{"a SPIFFE ID", "x", []string{"spiffe://example.org/ns/teishi/sa/MDM_1"}, []string{"mdm.example.org"}, "spiffe://example.org/ns/teishi/sa/MDM_1"},
		{"one beside another URI", "", []string{"https://example.org/x", "spiffe://example.org/a"}, nil, "spiffe://example.org/a"},
		{"two SPIFFE IDs", "x", []string{"spiffe://example.org/a", "spiffe://example.org/b"}, nil, nobody},
		{"a SPIFFE ID of no workload", "x", []string{"spiffe://example.org"}, nil, nobody},
		{"one that ends in a slash", "x", []string{"spiffe://example.org/a/"}, nil, nobody},
		{"one that goes up", "x", []string{"spiffe://example.org/a/../b"}, nil, nobody},
		{"one with a port", "x", []string{"spiffe://example.org:80/a"}, nil, nobody},
		{"one with a user", "x", []string{"spiffe://root@example.org/a"}, nil, nobody},
		{"one with a query", "x", []string{"spiffe://example.org/a?b"}, nil, nobody},
		{"one with a fragment", "x", []string{"spiffe://example.org/a#b"}, nil, nobody},
		{"one with an escape", "x", []string{"spiffe://example.org/a%41"}, nil, nobody},
		{"one in which case is mixed", "x", []string{"spiffe://Example.org/a"}, nil, nobody},
		{"one that is too long", "x", []string{"spiffe://example.org/" + strings.Repeat("a", identity.MaxName)}, nil, nobody},
		{"a URI and a host", "x", []string{"https://example.org/x"}, []string{"mdm.example.org"}, "dns:mdm.example.org"},
		{"the first host", "x", nil, []string{"MDM.Example.org", "other.example.org"}, "dns:mdm.example.org"},
		{"a wildcard", "x", nil, []string{"*.example.org", "mdm.example.org"}, nobody},
		{"a host that begins with a dot", "x", nil, []string{".example.org"}, nobody},
		{"a common name", "Tax Office 東京", nil, nil, "cn:Tax Office 東京"},
		{"one that looks like another kind", "dns:mdm.example.org", nil, nil, "cn:dns:mdm.example.org"},
		{"one of two lines", "a\nb", nil, nil, nobody},
		{"one that turns what is read around", "a\u202eb", nil, nil, nobody},
		{"one of spaces", "  ", nil, nil, nobody},
		{"one that is too long", strings.Repeat("a", identity.MaxName+1), nil, nil, nobody},
		{"no name", "", nil, nil, nobody},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := h.with(t)
			certificate := h.issue(h.ca, c.cn, func(x *x509.Certificate) {
				x.DNSNames = c.dns
				for _, text := range c.uris {
					u, err := url.Parse(text)
					h.must(err)
					x.URIs = append(x.URIs, u)
				}
			})
			h.calledAs(certificate, c.want)
		})
	}
}

// calledAs checks as whom a caller with a certificate is known, if it is.
func (h *house) calledAs(certificate trust.Certificate, want string) {
	h.Helper()
	got, err := h.who(h.dial(&certificate))
	if want == "" {
		h.refused(got, err, codes.Unauthenticated, "names nobody who can be named here")
		return
	}
	h.is(got, err, want)
	if got.Means != service.ByCertificate {
		h.Errorf("known by %d, want by certificate", got.Means)
	}
}

// TestCertificatesRefused checks that a connection is not made with a certificate that does not hold, and that without any
// nobody is known.
func TestCertificatesRefused(t *testing.T) {
	h := newHouse(t)
	h.open()
	other, err := trust.NewCA("authority", nil) // of the same name, with another key
	h.must(err)
	for name, c := range map[string]trust.Certificate{
		"of another authority": h.issue(other, "mdm", nil),
		"expired": h.issue(h.ca, "mdm", func(x *x509.Certificate) {
			x.NotBefore, x.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}),
		"not valid yet":      h.issue(h.ca, "mdm", func(x *x509.Certificate) { x.NotBefore = time.Now().Add(time.Hour) }),
		"for servers only":   h.issue(h.ca, "mdm", func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"signed by a caller": h.signedByCaller(),
	} {
		got, err := h.who(h.dial(&c))
		if h.refused(got, err, codes.Unavailable, ""); t.Failed() {
			t.Fatalf("with a certificate that is %s", name)
		}
	}
	got, err := h.who(h.dial(nil))
	h.refused(got, err, codes.Unauthenticated, "connect with a certificate, or send")
}

// signedByCaller is a certificate that a caller has made with its own, which is good.
func (h *house) signedByCaller() trust.Certificate {
	h.Helper()
	made, err := trust.NewCA("mdm", nil)
	h.must(err)
	mine := h.issue(made, "administrator", nil)
	mine.PEM = append(mine.PEM, made.PEM...)
	return mine
}

// TestCertificateExpiresOnConnection checks that a connection outlives its certificate by no call.
func TestCertificateExpiresOnConnection(t *testing.T) {
	h := newHouse(t)
	h.open()
	c := h.issue(h.ca, "mdm", nil)
	conn := h.dial(&c)
	got, err := h.who(conn)
	h.is(got, err, "cn:mdm")
	h.moved.Store(int64(25 * time.Hour))
	got, err = h.who(conn)
	h.refused(got, err, codes.Unauthenticated, "does not hold now")
	h.moved.Store(int64(-time.Hour))
	got, err = h.who(conn)
	h.refused(got, err, codes.Unauthenticated, "does not hold now")
}
