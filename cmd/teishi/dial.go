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
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// maxAnswer bounds what is received at once, in bytes: a page of answers with all their texts can be large.
const maxAnswer = 64 << 20

// serverFlags say which server is asked, and how long it is waited for.
type serverFlags struct{ address, timeout string }

func (f *serverFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.address, "server", "127.0.0.1:50051", "ask the server at `HOST:PORT`")
	c.Flags().StringVar(&f.timeout, "timeout", "10s", "wait at most this `DURATION` for the answer")
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
	again := backoff.Config{BaseDelay: minBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff}
	connection, err := grpc.NewClient(f.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: maxBackoff}))
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
		return fmt.Errorf("no server answers at %s: %s\nstart one with: teishi serve, or say where it is with --server", f.address, plain(s.Message()))
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

// plain is what the system said of a connection, without what gRPC wraps it in.
func plain(message string) string {
	if _, cause, ok := strings.Cut(message, "Error while dialing: "); ok {
		return strings.TrimSuffix(cause, `"`)
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
