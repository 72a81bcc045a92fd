//go:build linux

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// CA is a throw-away certificate authority.
type CA struct {
	File string // its certificate, PEM

	directory   string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Identity is a certificate that a CA has issued, with its key, in PEM files.
type Identity struct {
	CertFile, KeyFile string
}

// NewCA makes a certificate authority.
func (c *Cluster) NewCA() (*CA, error) {
	directory, err := c.place("ca")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(directory, traversable); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &CA{File: filepath.Join(directory, "ca.pem"), directory: directory, key: key}
	ca.certificate = outline("the CA of a test")
	ca.certificate.IsCA, ca.certificate.BasicConstraintsValid = true, true
	ca.certificate.KeyUsage = x509.KeyUsageCertSign
	if err := ca.sign(ca.certificate, &key.PublicKey, ca.File); err != nil {
		return nil, err
	}
	return ca, os.Chmod(ca.File, 0o644)
}

// Issue issues a certificate to a name, for servers on 127.0.0.1 and for clients. Its files are named after it, so a second
// one for the same name takes the place of the first.
func (ca *CA) Issue(name string) (Identity, error) {
	id := Identity{CertFile: filepath.Join(ca.directory, name+".pem"), KeyFile: filepath.Join(ca.directory, name+".key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return id, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return id, err
	}
	if err := writePEM(id.KeyFile, "PRIVATE KEY", der); err != nil {
		return id, err
	}
	c := outline(name)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.DNSNames = []string{"localhost", name}
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	return id, ca.sign(c, &key.PublicKey, id.CertFile)
}

// outline returns a certificate that is good from now on for as long as a test can take.
func outline(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute),
		NotAfter:  time.Now().Add(24 * time.Hour),
	}
}

func (ca *CA) sign(c *x509.Certificate, key *ecdsa.PublicKey, file string) error {
	var err error
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64)); err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca.certificate, key, ca.key)
	if err != nil {
		return fmt.Errorf("issue a certificate to %s: %w", c.Subject.CommonName, err)
	}
	return writePEM(file, "CERTIFICATE", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
