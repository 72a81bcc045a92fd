// Package credential reads the files that hold what a caller is known by, and whom it believes.
//
//	CA, certificate, key ──▶ a tls.Config of one connection
//	token, password ───────▶ the text that one call or connection shows
//
// Such files are rotated while a program runs. So nothing of them is kept: what is read anew for each connection, or each call,
// heals as soon as the file is right.
package credential

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Files name what TLS is spoken with. The zero value believes the certificate authorities of the system, and shows nothing.
type Files struct {
	CA   string // certificates of the certificate authorities that are believed, in PEM
	Cert string // the certificate that is shown, and those that lead from it to its certificate authority, in PEM
	Key  string // its private key, in PEM
}

// None reports whether no file is named.
func (f Files) None() bool { return f == Files{} }

// Paired reports as an error that there is a certificate without a key, or a key without a certificate.
func (f Files) Paired() error {
	if (f.Cert == "") != (f.Key == "") {
		return errors.New("a certificate and its key go together: name both")
	}
	return nil
}

// Config returns how to connect, by what the files hold now.
func (f Files) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if c.RootCAs, err = f.Roots(); err != nil {
		return nil, fmt.Errorf("the CA file: %w", err)
	}
	if f.Cert != "" {
		pair, err := f.Pair()
		if err != nil {
			return nil, fmt.Errorf("the certificate and its key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Roots returns the certificate authorities that are believed; nil, which are those of the system, if no file names them.
func (f Files) Roots() (*x509.CertPool, error) {
	if f.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", f.CA)
	}
	return roots, nil
}

// Pair returns the certificate with its key.
func (f Files) Pair() (tls.Certificate, error) { return tls.LoadX509KeyPair(f.Cert, f.Key) }

// CheckPrivate reports as an error that everybody on the machine can read a file.
func CheckPrivate(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s can be read by everybody on this machine (mode %o): chmod 600 it", file, info.Mode().Perm())
	}
	return nil
}

// Password returns what a file holds but for the end of its line.
func Password(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the password file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// errToken does not repeat what is no token, for it may be another secret.
var errToken = errors.New("it holds no token: one word of printable ASCII")

// Token returns the bearer token that a file holds.
func Token(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the token file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("the token file %s: %w", file, errToken)
	}
	return token, nil
}
