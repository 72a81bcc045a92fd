package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/teishi-dev/teishi/policystore/credential"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// lookEvery is how often the files are looked at.
const lookEvery = 2 * time.Second

// material is what connections are made with. All of it is of one moment.
type material struct {
	expires     time.Time // of the server's certificate
	grpc, https *tls.Config
}

// files holds what was last read of the files that was whole and valid.
type files struct {
	config  *Config
	metrics *metrics
	held    atomic.Pointer[material]
	sum     [sha256.Size]byte // of the files as they are held
	doubted [sha256.Size]byte // of files that were not as they must be when they were looked at last
	told    bool              // that those are not taken
}

// newFiles returns what holds what was read of the files when their sum was that.
func newFiles(c *Config, metrics *metrics, m *material, sum [sha256.Size]byte) *files {
	f := &files{config: c, metrics: metrics, sum: sum}
	f.hold(m)
	return f
}

func (f *files) hold(m *material) {
	f.held.Store(m)
	if !m.expires.IsZero() {
		f.metrics.certificate.Set(float64(m.expires.Unix()))
	}
}

// server returns the TLS of a server, each connection of which is made with what is held by then.
func (f *files) server(of func(*material) *tls.Config) *tls.Config {
	c := of(f.held.Load()).Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return of(f.held.Load()), nil }
	return c
}

func (f *files) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f.look()
		case <-ctx.Done():
			return
		}
	}
}

// look takes what is in the files if it has changed, and is whole and valid. It complains once of what is not, and only
// when it has found it twice: files that belong together may not be written at once.
func (f *files) look() {
	sum := f.config.sum()
	if sum == f.sum {
		f.doubted, f.told = sum, false
		return
	}
	m, wrong := f.config.read()
	switch {
	case len(wrong) == 0:
		f.sum = sum
		f.hold(m)
		f.config.Logger.Info("certificates are read again", slog.Time("expire_time", m.expires))
	case sum != f.doubted:
		f.doubted, f.told = sum, false
	case !f.told:
		f.told = true
		f.config.Logger.Error("the certificates stay as they were", slog.Any("error", joined(wrong)))
	}
}

// sum is another whenever a file has another content.
func (c *Config) sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, file := range []string{c.CertFile, c.KeyFile, c.ClientCAFile} {
		text, _ := os.ReadFile(file) // what cannot be read is not what was read
		part := sha256.Sum256(text)
		h.Write(part[:])
	}
	h.Sum(sum[:0])
	return sum
}

// read reads the files and judges them.
func (c *Config) read() (m *material, wrong []Problem) {
	note := func(field string, err error) {
		if err != nil {
			wrong = append(wrong, Problem{field, err})
		}
	}
	m = &material{}
	switch {
	case c.CertFile == "" && c.KeyFile != "":
		note("CertFile", errors.New("there is a key: name its certificate too"))
	case c.CertFile != "" && c.KeyFile == "":
		note("KeyFile", errors.New("there is a certificate: name its key too"))
	case c.CertFile == "" && c.ClientCAFile != "":
		note("CertFile", errors.New("callers show certificates over TLS only: name a certificate of the server and its key"))
	}
	callers, err := c.callers()
	note("ClientCAFile", err)
	if c.CertFile == "" || c.KeyFile == "" {
		return m, wrong
	}
	text, err := os.ReadFile(c.CertFile)
	if err == nil {
		m.expires, err = c.judgeCertificate(text)
	}
	note("CertFile", err)
	pair, err := c.pair(text, err == nil)
	note("KeyFile", err)
	m.grpc, m.https = c.tls(pair, "h2"), c.tls(pair, "http/1.1")
	if m.grpc.ClientCAs = callers; callers != nil {
		m.grpc.ClientAuth = tls.VerifyClientCertIfGiven // who shows none may ask for health, or send a token
		if failpoint.Without("client-chain") {
			m.grpc.ClientAuth = tls.RequestClientCert
		}
	}
	return m, wrong
}

// tls is that of one connection. Sessions are not resumed, so that every connection is judged by what is held when it is made.
func (c *Config) tls(pair tls.Certificate, protocol string) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{pair},
		MinVersion:             c.MinVersion,
		NextProtos:             []string{protocol},
		SessionTicketsDisabled: true,
		Time:                   c.Clock,
	}
}

// judgeCertificate returns when the certificate of the server expires.
func (c *Config) judgeCertificate(text []byte) (time.Time, error) {
	all, err := certificates(c.CertFile, text)
	if err != nil {
		return time.Time{}, err
	}
	return all[0].NotAfter, holds(c.CertFile, all[0], c.Clock())
}

// pair reads the private key, and puts it to the certificate if there is one.
func (c *Config) pair(certificate []byte, whole bool) (tls.Certificate, error) {
	if err := credential.CheckPrivate(c.KeyFile); err != nil {
		return tls.Certificate{}, err
	}
	key, err := os.ReadFile(c.KeyFile)
	if err != nil || !whole {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s has not the key of the certificate in %s: %w", c.KeyFile, c.CertFile, err)
	}
	return pair, nil
}

// callers reads who signs certificates of callers; nil if nobody does.
func (c *Config) callers() (*x509.CertPool, error) {
	if c.ClientCAFile == "" {
		return nil, nil
	}
	return authorities(c.ClientCAFile, c.Clock())
}

// authorities reads a file of certificates by which others are believed. One of them has to hold.
func authorities(file string, now time.Time) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all, err := certificates(file, text)
	if err != nil {
		return nil, err
	}
	pool, some := x509.NewCertPool(), false
	for _, certificate := range all {
		pool.AddCert(certificate) // one that does not hold now may do so tomorrow, and until then believes nobody
		if err = holds(file, certificate, now); err == nil {
			some = true
		}
	}
	if !some {
		return nil, fmt.Errorf("no certificate holds that others are to be believed by: %w", err)
	}
	return pool, nil
}

// certificates returns all that are in a file, one at least.
func certificates(file string, text []byte) (all []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, certificate)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no certificate in %s", file)
	}
	if rest := bytes.TrimSpace(text); bytes.Contains(rest, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("%s ends within a certificate", file)
	}
	return all, nil
}

// holds reports as an error that a certificate does not hold now.
func holds(file string, c *x509.Certificate, now time.Time) error {
	if now.After(c.NotAfter) {
		return fmt.Errorf("the certificate in %s expired at %s", file, c.NotAfter.UTC().Format(time.RFC3339))
	}
	if now.Before(c.NotBefore) {
		return fmt.Errorf("the certificate in %s does not hold before %s", file, c.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
