package identity_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/identity"
)

// house is a server that says who calls, and nothing else.
type house struct {
	*testing.T
	id      *identity.Identity
	config  identity.Config
	ca      *trust.CA
	address string
	log     *log
	moved   atomic.Int64 // by how much the clock is ahead
	seen    *seen
}

// seen is as whom the last call was made.
type seen struct {
	sync.Mutex
	caller service.Caller
}

// with is the same house in a test beneath its own.
func (h *house) with(t *testing.T) *house {
	return &house{T: t, id: h.id, config: h.config, ca: h.ca, address: h.address, log: h.log, seen: h.seen}
}

// newHouse returns a house whose server, issuer's certificate and callers are all signed by one CA. It is not open yet.
func newHouse(t *testing.T) *house {
	t.Helper()
	ca, err := trust.NewCA("authority", nil)
	h := &house{T: t, ca: ca, log: &log{}, seen: &seen{}}
	h.must(err)
	h.config = identity.Config{
		ClientCAFile: h.file("ca.pem", ca.PEM),
		MaxClockSkew: 10 * time.Second,
		Clock:        func() time.Time { return time.Now().Add(time.Duration(h.moved.Load())) },
		Logger:       slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	h.config.CertFile, h.config.KeyFile = h.write("server", h.issue(ca, "server", nil))
	return h
}

// open begins to serve.
func (h *house) open() {
	h.Helper()
	var err error
	h.id, err = identity.New(h.config)
	h.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.address = l.Addr().String()
	options := []grpc.ServerOption{grpc.UnknownServiceHandler(h.answer)}
	if c := h.id.Credentials(); c != nil {
		options = append(options, grpc.Creds(c))
	}
	server := grpc.NewServer(options...)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	h.Cleanup(func() { server.Stop(); serving.Wait() })
}

// run looks at files and fetches keys until the test ends.
func (h *house) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = h.id.Run(ctx) })
	h.Cleanup(func() { cancel(); running.Wait() })
}

// answer answers each message of a call with an empty one, once it is known who calls.
func (h *house) answer(_ any, stream grpc.ServerStream) error {
	for {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return nil
		}
		caller, err := h.id.Identify(stream.Context())
		if err != nil {
			return status.Error(codes.Unauthenticated, err.Error())
		}
		h.seen.Lock()
		h.seen.caller = caller
		h.seen.Unlock()
		if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
			return err
		}
	}
}

// dial returns a connection with a certificate; nil shows none.
func (h *house) dial(certificate *trust.Certificate) *grpc.ClientConn {
	h.Helper()
	secured := insecure.NewCredentials()
	if h.config.CertFile != "" {
		c := &tls.Config{RootCAs: h.ca.Pool()}
		if certificate != nil {
			pair, err := certificate.Pair()
			h.must(err)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		secured = credentials.NewTLS(c)
	}
	conn, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(secured))
	h.must(err)
	h.Cleanup(func() { _ = conn.Close() })
	return conn
}

// who calls once, with what is given as authorization, and returns as whom.
func (h *house) who(conn *grpc.ClientConn, authorization ...string) (service.Caller, error) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	for _, a := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a)
	}
	err := conn.Invoke(ctx, "/who/calls", &emptypb.Empty{}, &emptypb.Empty{})
	h.seen.Lock()
	defer h.seen.Unlock()
	defer func() { h.seen.caller = service.Caller{} }()
	return h.seen.caller, err
}

// refused checks that nobody is known by an error, and that it says why.
func (h *house) refused(got service.Caller, err error, code codes.Code, why string) {
	h.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), why) || got.Principal != "" {
		h.Errorf("called as %q with the error %v, want %s: …%s…", got.Principal, err, code, why)
	}
}

// is checks as whom a call was made.
func (h *house) is(got service.Caller, err error, principal string, groups ...string) {
	h.Helper()
	if err != nil || got.Principal != principal || strings.Join(got.Groups, " ") != strings.Join(groups, " ") {
		h.Errorf("called as %q of %q with the error %v, want %q of %q", got.Principal, got.Groups, err, principal, groups)
	}
}

func (h *house) issue(ca *trust.CA, name string, alter func(*x509.Certificate)) trust.Certificate {
	h.Helper()
	c, err := ca.Issue(name, alter)
	h.must(err)
	return c
}

// write puts a certificate into files of a name.
func (h *house) write(name string, c trust.Certificate) (certFile, keyFile string) {
	h.Helper()
	certFile, keyFile = h.file(name+".pem", c.PEM), h.file(name+".key", c.KeyPEM)
	return certFile, keyFile
}

// file puts a text into a file.
func (h *house) file(name string, text []byte) string {
	h.Helper()
	file := filepath.Join(h.directory(), name)
	h.must(trust.Replace(file, text))
	return file
}

func (h *house) directory() string {
	if h.config.ClientCAFile == "" {
		return h.TempDir()
	}
	return filepath.Dir(h.config.ClientCAFile)
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// log is what was logged.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
