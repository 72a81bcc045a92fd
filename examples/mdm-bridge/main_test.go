//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

// TestBridge has a bridge follow a server, which asks who calls, through a halt, a restart of the server, a partial lift and the last one, and a list of what
// alone is allowed.
func TestBridge(t *testing.T) {
	c := cluster.Test(t)
	binary, err := c.Build(t.Context(), cluster.Build{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := c.StartTeishi(t.Context(), cluster.TeishiConfig{Binary: binary, Name: "authority",
		Args: []string{"serve", "--lame-duck", "0s", "--store", "sqlite:" + filepath.Join(t.TempDir(), "teishi.db")}})
	if err == nil {
		err = server.Ready(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	registry, directives := teishiv1.NewRegistryServiceClient(server.Conn()), teishiv1.NewDirectiveServiceClient(server.Conn())
	if err := run(t.Context(), []string{"--address", server.Addr(), "--organization", "mic"}); status.Code(err) != codes.NotFound {
		t.Errorf("of an organization that there is not: %v", err)
	}
	call(t, registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, "organization { id: 'mic' } reason: 'it is there'")
	call(t, registry.PutApp, &teishiv1.PutAppRequest{}, "app { id: 'line' identifiers: 'ios:jp.naver.line' } reason: 'it is used'")
	call(t, registry.PutApp, &teishiv1.PutAppRequest{}, "app { id: 'mail' identifiers: 'ios:com.example.mail' } reason: 'it is used'")
	front, ca, token := guard(t, c, server)
	if err := run(t.Context(), []string{"--address", front, "--organization", "mic", "--tls-ca", ca}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	if err := run(t.Context(), []string{"--address", server.Addr(), "--organization", "mic", "--token-file", token}); err == nil {
		t.Error("a token is shown in plaintext")
	}
	file := filepath.Join(t.TempDir(), "restrictions.mobileconfig")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--address", front, "--organization", "mic", "--profile", file, "--tls-ca", ca, "--token-file", token})
	}()
	await(t, file, "blockedAppBundleIDs</key>\n\t\t\t<array></array>")

	call(t, directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "halt" authority: "mic" device_action: DEVICE_ACTION_BLOCK provisions { id: "all" force: FORCE_BINDING
		selector { organizations { in: "mic" } targets { in { app: "line" } } } } } reason: "halt"`)
	await(t, file, "blockedAppBundleIDs</key>\n\t\t\t<array><string>jp.naver.line</string></array>")

	if err := errors.Join(server.Stop(), server.Start(t.Context()), server.Ready(t.Context())); err != nil {
		t.Fatal(err)
	}
	call(t, directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" selector { purposes { in: "public" } } reason: "in part, but devices are to block"`)
	call(t, directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "the last"`)
	await(t, file, "blockedAppBundleIDs</key>\n\t\t\t<array></array>")

	call(t, directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "list" authority: "mic" provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "mic" } targets { all: true } } }
		carve_outs { id: "mail" selector { targets { in { app: "mail" } } } } } reason: "a list"`)
	await(t, file, "allowListedAppBundleIDs</key>\n\t\t\t<array><string>com.example.mail</string></array>")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// guard has who reaches the server by the address speak TLS and show a token, and returns the files of both.
func guard(t *testing.T, c *cluster.Cluster, server *cluster.Teishi) (address, ca, token string) {
	t.Helper()
	authority, err := c.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	front, err := c.StartFront(cluster.FrontConfig{Target: server.Addr(), CA: authority, Token: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	token = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("bridge\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return front.Addr(), authority.File, token
}

// await waits until the file has the text.
func await(t *testing.T, file, text string) {
	t.Helper()
	err := cluster.Wait(t.Context(), text, func(context.Context) error {
		b, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(b), text) {
			err = fmt.Errorf("it has\n%s", b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// call calls a method with a request in text format.
func call[Q, R proto.Message](t *testing.T, method func(context.Context, Q, ...grpc.CallOption) (R, error), req Q, text string) {
	t.Helper()
	err := prototext.Unmarshal([]byte(text), req)
	if err == nil {
		_, err = method(t.Context(), req)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
