package identity

import (
	"context"
	"crypto/x509"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/teishi-dev/teishi/policystore/failpoint"
	"github.com/teishi-dev/teishi/service"
)

// byCertificate says who calls by the connection. That somebody we believe signed the certificate was checked when it was made, and
// is not again; whether it still holds is.
func (id *Identity) byCertificate(ctx context.Context) (service.Caller, *refusal) {
	leaf := leafOf(ctx)
	if leaf == nil {
		return service.Caller{}, noCredential
	}
	now := id.config.Clock()
	if (now.Before(leaf.NotBefore) || now.After(leaf.NotAfter)) && !failpoint.Without("certificate-expiry") {
		return service.Caller{}, expiredCert
	}
	principal, ok := principalOf(leaf)
	if !ok {
		return service.Caller{}, unnamedCert
	}
	return service.Caller{Principal: principal, Means: service.ByCertificate, Expires: leaf.NotAfter}, nil
}

// leafOf returns the certificate of whoever has made the connection; nil if it has shown none.
func leafOf(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0]
}

// principalOf returns whom a certificate names: by its SPIFFE ID, else by its first host, else by its common name. What stands there and
// is no name is not passed over for the next.
func principalOf(c *x509.Certificate) (string, bool) {
	var ids []*url.URL
	for _, u := range c.URIs {
		if u.Scheme == "spiffe" {
			ids = append(ids, u)
		}
	}
	switch {
	case len(ids) > 0:
		return ids[0].String(), len(ids) == 1 && isSPIFFE(ids[0])
	case len(c.DNSNames) > 0:
		host := strings.ToLower(c.DNSNames[0])
		return "dns:" + host, isHost(host)
	}
	return "cn:" + c.Subject.CommonName, isName(c.Subject.CommonName)
}

// maxName bounds a name, in bytes.
const maxName = 256

// isName reports whether people can tell a name from another by reading it.
func isName(s string) bool {
	return len(s) <= maxName && strings.TrimSpace(s) != "" && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isSPIFFE reports whether a URL is the SPIFFE ID of a workload, which has one way to be written.
func isSPIFFE(u *url.URL) bool {
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || len(u.String()) > maxName {
		return false
	}
	path, ok := strings.CutPrefix(u.EscapedPath(), "/")
	if !ok || !isHost(u.Host) {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." || !isSegment(segment) {
			return false
		}
	}
	return true
}

// isSegment reports whether a string may stand between two slashes of a SPIFFE ID.
func isSegment(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !isLetter(r) && (r < 'A' || r > 'Z') && !strings.ContainsRune("._-", r)
	})
}

// isHost reports whether a name in lower case is that of one host: a wildcard is not.
func isHost(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return !isLetter(r) && r != '-' && r != '_' }) {
			return false
		}
	}
	return len(s) <= maxName
}

// isLetter reports whether a rune is of a-z or 0-9.
func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }
