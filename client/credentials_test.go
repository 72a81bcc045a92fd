//go:build linux

package client_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/cluster"
)

// TestCredentials are shown by both kinds of client. A token is asked for every call; without one there is no answer, which IfUndecided
// makes no permission of.
func TestCredentials(t *testing.T) {
	h := open(t)
	c := cluster.Test(t)
	ca, err := c.NewCA()
	h.must(err)
	front, err := c.StartFront(cluster.FrontConfig{Target: h.address, CA: ca, Token: "first"})
	h.must(err)
	believed, err := credentials.NewClientTLSFromFile(ca.File, "")
	h.must(err)
	var token atomic.Value
	token.Store("first")
	config := client.Config{Credentials: believed, Timeout: 10 * time.Second, Token: func(context.Context) (string, error) { return token.Load().(string), nil }}
	ask := nobody
	ask.IfUndecided = client.Allow

	r, l := remote(t, front.Addr(), config), local(t, front.Addr(), config)
	for name, c := range map[string]client.Client{"remote": r, "local": l} {
		if _, err := c.Check(t.Context(), nobody); err != nil {
			t.Errorf("%s: Check = %v", name, err)
		}
	}
	front.Demand("second")
	wantCode(t, r, ask, codes.Unauthenticated)
	token.Store("second")
	if _, err := r.Check(t.Context(), nobody); err != nil {
		t.Errorf("Check with the new token = %v", err)
	}

	stranger := config
	stranger.Credentials = credentials.NewTLS(nil)
	wantCode(t, remote(t, front.Addr(), stranger), nobody, codes.Unavailable)
	lost := config
	lost.Token = func(context.Context) (string, error) { return "", errors.New("nobody issues tokens") }
	wantCode(t, remote(t, front.Addr(), lost), ask, codes.Unauthenticated)
	lost.Token = func(context.Context) (string, error) {
		return "", status.Error(codes.Unavailable, "nobody issues tokens now")
	}
	wantCode(t, remote(t, front.Addr(), lost), nobody, codes.Unavailable)
	lost.Token, lost.Timeout = nil, 200*time.Millisecond
	if _, err := local(t, front.Addr(), lost).Check(t.Context(), nobody); err == nil {
		t.Error("a record is followed without a token")
	}
}

// wantCode checks that there is no answer, and why.
func wantCode(t *testing.T, c client.Client, q client.Query, code codes.Code) {
	t.Helper()
	d, err := c.Check(t.Context(), q)
	if e, ok := errors.AsType[*client.UndecidedError](err); !ok || e.Code != code || d.Allowed() {
		t.Errorf("Check = %v, %v, want no answer, of %s", d, err, code)
	}
}
