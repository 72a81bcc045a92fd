// Package trust makes certificate authorities to be thrown away, for tests and trials.
package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// CA is a throw-away certificate authority.
type CA struct {
	PEM []byte // its certificate

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Certificate is what a CA has issued.
type Certificate struct {
	PEM, KeyPEM []byte
}

// NewCA makes a certificate authority. Alter changes its certificate before it is signed; nil leaves it as it is.
func NewCA(name string, alter func(*x509.Certificate)) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := outline(name)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	if alter != nil {
		alter(c)
	}
	ca := &CA{certificate: c, key: key}
	ca.PEM, err = ca.sign(c, &key.PublicKey)
	return ca, err
}

// Issue issues a certificate that servers of this machine can show, and clients. Alter changes it before it is signed.
func (ca *CA) Issue(name string, alter func(*x509.Certificate)) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, err
	}
	c := outline(name)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	if alter != nil {
		alter(c)
	}
	text, err := ca.sign(c, &key.PublicKey)
	return Certificate{PEM: text, KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, err
}

// Pool is who is believed by whoever believes the CA.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	return pool
}

// Pair is the certificate as TLS takes it.
func (c Certificate) Pair() (tls.Certificate, error) { return tls.X509KeyPair(c.PEM, c.KeyPEM) }

// Write puts the certificate and its key into files. Each is replaced as a whole.
func (c Certificate) Write(certFile, keyFile string) error {
	if err := Replace(keyFile, c.KeyPEM); err != nil {
		return err
	}
	return Replace(certFile, c.PEM)
}

// Replace puts a text into a file, whole or not at all.
func Replace(file string, text []byte) error {
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// outline returns a certificate that is good from now on for as long as a test can take.
func outline(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute),
		NotAfter:  time.Now().Add(24 * time.Hour),
	}
}

func (ca *CA) sign(c *x509.Certificate, key *ecdsa.PublicKey) ([]byte, error) {
	var err error
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64)); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca.certificate, key, ca.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}
