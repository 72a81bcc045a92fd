// Command mdm-bridge keeps a configuration profile of Apple devices in step with what Teishi restricts. It is an example to copy:
// what follows a stream and what fails closed is here; how your device manager installs a profile is yours to add.
//
//	Teishi ──WatchRestrictions──▶ mdm-bridge ──▶ restrictions.mobileconfig ──▶ your device manager installs it
//
//	go run ./examples/mdm-bridge --organization jp-mic --device government-issued
//
// Where Teishi speaks TLS, name the file of the certificate authority that signed its certificate (--tls-ca, or TEISHI_TLS_CA); where it asks who
// calls, the file of a bearer token (--token-file, or TEISHI_TOKEN_FILE).
//
// The file is written anew each time that what devices are to block changes: within milliseconds of a halt, and at the instant at
// which an exemption ends. It always has the same PayloadIdentifier, so installing it again replaces what was there, and lifts what
// is no longer blocked. While nobody can be asked it stays as it is: what is blocked stays blocked.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mdm-bridge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	b := &bridge{request: &teishiv1.WatchRestrictionsRequest{Platform: "ios"}}
	flags := flag.NewFlagSet("mdm-bridge", flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:50051", "where Teishi is: a decision point or an authority")
	ca := flags.String("tls-ca", os.Getenv("TEISHI_TLS_CA"), "speak TLS with who has a certificate of the certificate authority in this file; without one it is plaintext")
	token := flags.String("token-file", os.Getenv("TEISHI_TOKEN_FILE"), "show the bearer token in this file, by TLS only")
	flags.StringVar(&b.request.Organization, "organization", "", "whose devices they are, by id or alias")
	flags.StringVar(&b.request.Device, "device", "government-issued", "their class, a value of the attribute device")
	flags.StringVar(&b.file, "profile", "restrictions.mobileconfig", "the file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	conn, err := dial(*address, *ca, *token)
	if err != nil {
		return err
	}
	defer conn.Close()
	b.teishi = teishiv1.NewRestrictionServiceClient(conn)
	b.logger = log.New(os.Stderr, "", log.LstdFlags)
	return b.follow(ctx)
}

func dial(address, ca, token string) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if ca != "" {
		var err error
		if transport, err = credentials.NewClientTLSFromFile(ca, ""); err != nil {
			return nil, err
		}
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(token)))
	}
	return grpc.NewClient(address, options...)
}

// bearer is a file with the token that every call shows. It is read for each, since tokens are exchanged.
type bearer string

func (file bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(file))
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }
