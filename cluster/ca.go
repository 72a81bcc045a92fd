//go:build linux

package cluster

import (
	"crypto/x509"
	"os"
	"path/filepath"

	"github.com/teishi-dev/teishi/cluster/trust"
)

// CA is a throw-away certificate authority that keeps what it makes in files.
type CA struct {
	File string // its certificate, PEM

	directory string
	authority *trust.CA
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
	ca := &CA{File: filepath.Join(directory, "ca.pem"), directory: directory}
	if ca.authority, err = trust.NewCA("the CA of a test", nil); err != nil {
		return nil, err
	}
	if err := trust.Replace(ca.File, ca.authority.PEM); err != nil {
		return nil, err
	}
	return ca, os.Chmod(ca.File, 0o644)
}

// Issue issues a certificate to a name, for servers on 127.0.0.1 and for clients. Its files are named after it, so a second
// one for the same name takes the place of the first.
func (ca *CA) Issue(name string) (Identity, error) {
	id := Identity{CertFile: filepath.Join(ca.directory, name+".pem"), KeyFile: filepath.Join(ca.directory, name+".key")}
	c, err := ca.authority.Issue(name, func(c *x509.Certificate) { c.DNSNames = []string{"localhost", name} })
	if err != nil {
		return id, err
	}
	return id, c.Write(id.CertFile, id.KeyFile)
}
