package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// maxAnswer bounds what is received at once, in bytes: a page of answers with all their texts can be large.
const maxAnswer = 64 << 20

// serverFlags say which server is asked, what it is shown, and how long it is waited for.
type serverFlags struct {
	address, timeout string
	secure           boolean
	tls              tlsFlags
	tokenFile        string
}

func (f *serverFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.address, "server", "127.0.0.1:50051", "ask the server at `HOST:PORT`")
	f.registerManner(c, "wait at most this `DURATION` for the answer")
}

// registerManner adds the flags that say how the server is asked.
func (f *serverFlags) registerManner(c *cobra.Command, timeout string) {
	c.Flags().StringVar(&f.timeout, "timeout", "10s", timeout)
	f.secure.register(c.Flags(), "tls", "speak TLS with the server, which the next three do too; else it is plaintext")
	f.tls.register(c.Flags(), "tls", "the server")
	c.Flags().StringVar(&f.tokenFile, "token-file", "", "show the server the bearer token in this `FILE`, read anew for every call")
}

// judge notes what is wrong with the settings, and returns how long the server is waited for.
func (f *serverFlags) judge(wrong *faults) time.Duration {
	timeout, err := duration(f.timeout)
	wrong.add("timeout", err)
	wrong.add("tls", f.secure.wrong)
	f.tls.check(wrong)
	wrong.add("tls-key", f.tls.files.Paired())
	wrong.add("token-file", checkToken(f.tokenFile))
	_, err = f.credentials().Options(f.address)
	wrong.add("token-file", err)
	return timeout
}

// credentials returns what the server is shown, and how it is known.
func (f *serverFlags) credentials() remote.Credentials {
	if !f.secure.on && f.tls.files.None() {
		return remote.Credentials{Token: remote.TokenOf(f.tokenFile)}
	}
	return remote.OfFiles(f.tls.files, f.tokenFile)
}

// ask calls f with a client of the server's decisions. What f returns is told with what to do about it.
func (f *serverFlags) ask(ctx context.Context, timeout time.Duration, call func(context.Context, teishiv1.DecisionServiceClient) error) error {
	return f.reach(ctx, timeout, func(ctx context.Context, c *grpc.ClientConn) error {
		return call(ctx, teishiv1.NewDecisionServiceClient(c))
	})
}

// reach calls f with a connection to the server. What f returns is told with what to do about it.
func (f *serverFlags) reach(ctx context.Context, timeout time.Duration, call func(context.Context, *grpc.ClientConn) error) error {
	connection, err := f.connect()
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return f.explain(call(ctx, connection))
}

// connect returns a connection to the server, which is made when something is asked, and made again soon after it broke.
func (f *serverFlags) connect() (*grpc.ClientConn, error) {
	options, err := f.credentials().Options(f.address)
	if err != nil {
		return nil, err
	}
	again := backoff.Config{BaseDelay: minBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff}
	connection, err := grpc.NewClient(f.address, append(options,
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: maxBackoff}))...)
	if err != nil {
		return nil, fmt.Errorf("%s is no address of a server: %w", f.address, err)
	}
	return connection, nil
}

// explain says of an error of a call what to do next.
func (f *serverFlags) explain(err error) error {
	s, ok := status.FromError(err)
	if !ok || s.Code() == codes.OK {
		return err
	}
	reason, fields := details(s)
	switch {
	case s.Code() == codes.Unavailable && reason == "":
		return fmt.Errorf("no server answers at %s: %s\n%s", f.address, plain(s.Message()), f.remedy(s.Message()))
	case s.Code() == codes.Unauthenticated:
		return fmt.Errorf("%s does not know who asks: %s\nsay it by a token with --token-file, or by a certificate with --tls-cert and --tls-key", f.address, s.Message())
	case s.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("no answer from %s in time: %s\nwait longer with --timeout", f.address, s.Message())
	case s.Code() == codes.Unimplemented:
		return fmt.Errorf("what answers at %s is a decision point, or no teishi of this version: %s\nname an authority with --server", f.address, s.Message())
	case reason == "REVISION_NOT_REACHED":
		return fmt.Errorf("%s\nit is not in the record, or not yet: name a revision that a write has returned", s.Message())
	}
	fields = slices.DeleteFunc(fields, func(text string) bool { return text == s.Message() })
	return errors.New(strings.Join(append([]string{s.Message()}, fields...), "\n  "))
}

// remedies say what to do about a connection that could not be made, by what is said of it.
var remedies = []struct{ problem, remedy string }{
	{"does not look like a TLS handshake", "it speaks plaintext, or another port is meant: leave out --tls, --tls-ca, --tls-cert and --tls-key, and their variables"},
	{"unknown authority", "name the file of the certificate authority that signed its certificate with --tls-ca"},
	{"certificate required", "show it a certificate with --tls-cert and --tls-key"},
	{"tls: ", "see --server, --tls-ca, --tls-cert and --tls-key"},
}

// remedy says what to do about a connection that could not be made.
func (f *serverFlags) remedy(problem string) string {
	secure := f.credentials().Transport != nil
	if !secure && strings.Contains(problem, "server preface") {
		return "if it speaks TLS, say --tls, or name the file of its certificate authority with --tls-ca"
	}
	for _, row := range remedies {
		if strings.Contains(problem, row.problem) {
			return row.remedy
		}
	}
	if secure && f.tls.files.Cert == "" && !strings.Contains(problem, "Error while dialing") {
		return "if it asks for a certificate, show one with --tls-cert and --tls-key" // its refusal may be lost with the connection
	}
	return "start one with: teishi serve, or say where it is with --server"
}

// plain is what the system said of a connection, without what gRPC wraps it in.
func plain(message string) string {
	for _, wrapping := range []string{"Error while dialing: ", "authentication handshake failed: ", `connection error: desc = "`} {
		if _, cause, ok := strings.Cut(message, wrapping); ok {
			return strings.TrimSuffix(cause, `"`)
		}
	}
	return message
}

// details returns the reason that a server of ours gives, and what it says of single fields.
func details(s *status.Status) (reason string, fields []string) {
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				fields = append(fields, v.GetField()+": "+v.GetDescription())
			}
		}
	}
	return reason, fields
}
