package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/teishi-dev/teishi/policystore/credential"
)

// Credentials are what a caller shows a server of ours, and how it knows the server. The zero value is plaintext, and shows nothing.
type Credentials struct {
	// Transport is how connections are made. Nil is plaintext.
	Transport credentials.TransportCredentials
	// Token returns the bearer token that a call shows, and is asked for every call. Nil shows none. An error that is a status of
	// gRPC is what the call comes to; any other is UNAUTHENTICATED.
	Token func(context.Context) (string, error)
}

// OfFiles returns credentials by TLS that are read anew from files: those of TLS for every connection, the token for every call.
// An empty name of a token file shows none.
func OfFiles(f credential.Files, token string) Credentials {
	return Credentials{Transport: &rotated{credentials.NewTLS(nil), f}, Token: TokenOf(token)}
}

// TokenOf returns what reads a token from a file for every call; nil without one.
func TokenOf(file string) func(context.Context) (string, error) {
	if file == "" {
		return nil
	}
	return func(context.Context) (string, error) { return credential.Token(file) }
}

// ErrExposed is returned where a token would be shown to everybody on the way to the server.
var ErrExposed = errors.New("in plaintext a token can be read by everybody on the way: only TLS carries it further than this machine")

// Options returns what gRPC dials a target with. It is ErrExposed where the token would leave this machine in plaintext.
func (c Credentials) Options(target string) ([]grpc.DialOption, error) {
	transport := c.Transport
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if c.Token == nil {
		return options, nil
	}
	if c.Transport == nil && !Loopback(target) {
		return nil, ErrExposed
	}
	return append(options, grpc.WithPerRPCCredentials(bearer{c.Token, c.Transport != nil})), nil
}

// Loopback reports whether a target of gRPC can be nothing but this machine.
func Loopback(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	for _, scheme := range [...]string{"dns:///", "passthrough:///"} {
		target = strings.TrimPrefix(target, scheme)
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = strings.Trim(target, "[]")
	}
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// bearer shows a token with every call.
type bearer struct {
	token  func(context.Context) (string, error)
	secure bool // over TLS only
}

// GetRequestMetadata returns the token for a call. Whether a server is healthy is asked without one if there is none: that is told to
// everybody, and else a server would be UNAVAILABLE where the caller is UNAUTHENTICATED.
func (b bearer) GetRequestMetadata(ctx context.Context, service ...string) (map[string]string, error) {
	token, err := b.token(ctx)
	if err != nil && len(service) == 1 && strings.HasSuffix(service[0], "/grpc.health.v1.Health") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }

// rotated is TLS with what files hold when a connection is made.
type rotated struct {
	credentials.TransportCredentials // what does not depend on the files
	files                            credential.Files
}

func (r *rotated) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := r.files.Config()
	if err != nil {
		return nil, nil, fmt.Errorf("tls: %w", err) // by which trouble knows it
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

// Clone returns the same, since nothing of it changes.
func (r *rotated) Clone() credentials.TransportCredentials { return r }
