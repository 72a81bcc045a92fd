package client_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
)

// gone returns an address at which nobody is.
func gone(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestFailsClosed where there is no server, and opens, and counts that, only where the question says so.
func TestFailsClosed(t *testing.T) {
	address := gone(t)
	for name, c := range map[string]interface {
		client.Client
		Stats() client.Stats
	}{"remote": remote(t, address, client.Config{}), "local": local(t, address, client.Config{Timeout: 200 * time.Millisecond})} {
		t.Run(name, func(t *testing.T) {
			d, err := c.Check(t.Context(), city)
			e, ok := errors.AsType[*client.UndecidedError](err)
			if !ok || e.Code != codes.Unavailable || !e.Temporary() || d.Allowed() || d.Overridden() {
				t.Errorf("Check = %v, %v, want it undecided for now", d, err)
			}
			open := city
			open.IfUndecided = client.Allow
			d, err = c.Check(t.Context(), open)
			if err != nil || !d.Allowed() || !d.Overridden() || d.Outcome() != client.Undecided || d.Err() != nil || len(d.Obligations()) != 0 {
				t.Errorf("Check that opens = %v, Overridden() = %v, %v", d, d.Overridden(), err)
			}
			if e, ok := errors.AsType[*client.UndecidedError](d.Cause()); !ok || e.Code != codes.Unavailable {
				t.Errorf("Cause() = %v", d.Cause())
			}
			if got, want := c.Stats(), (client.Stats{Undecided: 2, Overridden: 1}); got != want {
				t.Errorf("stats = %+v, want %+v", got, want)
			}
		})
	}
}

// TestOverride opens nothing by what whoever asks has put into the question, or may not ask.
func TestOverride(t *testing.T) {
	for _, c := range []struct {
		code   codes.Code
		reason string
		allows bool
	}{
		{codes.Unavailable, "DRAINING", true},
		{codes.Unavailable, "TOO_STALE", true},
		{codes.DeadlineExceeded, "", true},
		{codes.ResourceExhausted, "LIMIT_EXCEEDED", true},
		{codes.ResourceExhausted, "MESSAGE_TOO_LARGE", false},
		{codes.ResourceExhausted, "", false},
		{codes.InvalidArgument, "INVALID_FIELD", false},
		{codes.Internal, "", false},
		{codes.Unknown, "", false},
		{codes.Canceled, "", false},
		{codes.PermissionDenied, "", false},
		{codes.Unauthenticated, "", false},
		{codes.Unimplemented, "", false},
		{codes.FailedPrecondition, "EPOCH_MISMATCH", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &actor{check: func(context.Context, int, *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
				return nil, trouble(c.code, c.reason, 3*time.Second)
			}}
			r, end := a.perform(t, client.Config{})
			defer end()
			open := city
			open.IfUndecided = client.Allow
			d, err := r.Check(t.Context(), open)
			if d.Allowed() != c.allows || (err == nil) != c.allows {
				t.Errorf("%s %s: Check = %v, %v, want it allowed: %v", c.code, c.reason, d, err, c.allows)
			}
			e, ok := errors.AsType[*client.UndecidedError](d.Cause())
			if !ok || e.Code != c.code || e.Reason != c.reason || e.RetryAfter != 3*time.Second {
				t.Errorf("%s %s: the cause is %+v", c.code, c.reason, e)
			}
		})
	}
	h := open(t)
	both(t, h, func(t *testing.T, c client.Client) {
		for _, q := range []client.Query{{App: "line"}, {Organization: "mic", App: "\xff"}, {Organization: "mic", App: "line", Epoch: -1}} {
			q.IfUndecided = client.Allow
			if d, err := c.Check(t.Context(), q); err == nil || d.Allowed() {
				t.Errorf("Check(%+v) = %v, %v", q, d, err)
			}
		}
		if d, err := c.Check(t.Context(), client.Query{Organization: "nobody", App: "line", IfUndecided: client.Allow}); err != nil || d.Allowed() {
			t.Errorf("what is DENIED is %v, %v where the undecided is allowed", d, err)
		}
	})
}

// TestSlow waits no longer than 2 s where nobody said how long, and as long as somebody did.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &actor{check: func(ctx context.Context, _ int, _ *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		c, end := a.perform(t, client.Config{})
		defer end()
		for said, want := range map[time.Duration]time.Duration{0: 2 * time.Second, 7 * time.Second: 7 * time.Second} {
			ctx, cancel := t.Context(), func() {}
			if said > 0 {
				ctx, cancel = context.WithTimeout(ctx, said)
			}
			began := time.Now()
			d, err := c.Check(ctx, city)
			cancel()
			if time.Since(began) != want || d.Allowed() {
				t.Errorf("Check = %v, %v after %s, want %s", d, err, time.Since(began), want)
			}
			if e, ok := errors.AsType[*client.UndecidedError](err); !ok || e.Code != codes.DeadlineExceeded {
				t.Errorf("Check = %v", err)
			}
		}
	})
}

// TestAsksAgain where a server could not be had, up to four times.
func TestAsksAgain(t *testing.T) {
	for failures, want := range map[int]bool{0: true, 1: true, 3: true, 4: false} {
		synctest.Test(t, func(t *testing.T) {
			a := &actor{check: func(_ context.Context, n int, _ *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
				if n <= failures {
					return nil, trouble(codes.Unavailable, "DRAINING", 0)
				}
				return yes(), nil
			}}
			c, end := a.perform(t, client.Config{})
			defer end()
			d, err := c.Check(t.Context(), city)
			if d.Allowed() != want || (err == nil) != want || a.checks.Load() != int64(min(failures+1, 4)) {
				t.Errorf("after %d failures Check = %v, %v, asked %d times", failures, d, err, a.checks.Load())
			}
		})
	}
}

// TestDrain asks two servers while one of them drains: not one question fails.
func TestDrain(t *testing.T) {
	h := open(t)
	h.settle()
	second := service.New(service.Config{Replica: h.replica, Domain: domain})
	addresses := manual.NewBuilderWithScheme("servers")
	addresses.InitialState(resolver.State{Endpoints: []resolver.Endpoint{
		{Addresses: []resolver.Address{{Addr: h.address}}},
		{Addresses: []resolver.Address{{Addr: serve(t, second)}}},
	}})
	c := remote(t, "servers:///x", client.Config{Insecure: true, DialOptions: []grpc.DialOption{grpc.WithResolvers(addresses)}})
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				if d, err := c.Check(t.Context(), city); err != nil || !d.Allowed() {
					t.Errorf("while a server drains Check = %v, %v", d, err)
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	second.Drain(50*time.Millisecond, time.Second)
	time.Sleep(50 * time.Millisecond)
	cancel()
	asking.Wait()
}

// TestPlaintext is refused where it would leave this machine, unless it is asked for.
func TestPlaintext(t *testing.T) {
	for target, here := range map[string]bool{
		"dns:///teishi.example:8443": false, "teishi.example:8443": false, "10.0.0.1:1": false, "dns:///localhost.example:1": false,
		"[2001:db8::1]:1": false, "dns://8.8.8.8/localhost:1": false, "passthrough:///teishi.example:1": false, "": false, "127.0.0.1.example:1": false,
		"localhost:1": true, "dns:///localhost:1": true, "127.0.0.1:1": true, "[::1]:1": true, "unix:/x": true, "127.1.2.3": true,
	} {
		c, err := client.Dial(target, client.Config{})
		if (err == nil) != here {
			t.Errorf("Dial(%q) in plaintext: %v", target, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	token := func(context.Context) (string, error) { return "token", nil }
	for _, row := range []struct {
		config client.Config
		good   bool
	}{
		{client.Config{}, false},
		{client.Config{Insecure: true}, true},
		{client.Config{Insecure: true, Token: token}, false},
		{client.Config{Credentials: insecure.NewCredentials(), Token: token}, false},
		{client.Config{Credentials: credentials.NewTLS(nil)}, true},
		{client.Config{Credentials: credentials.NewTLS(nil), Token: token}, true},
	} {
		c, err := client.Dial("dns:///teishi.example:8443", row.config)
		if (err == nil) != row.good {
			t.Errorf("Dial with %+v: %v", row.config, err)
		}
		if err == nil {
			_ = c.Close()
		}
		l, err := client.Follow("teishi.example:8443", row.config)
		if (err == nil) != row.good {
			t.Errorf("Follow with %+v: %v", row.config, err)
		}
		if err == nil {
			_ = l.Close()
		}
	}
}

// TestClosed decides nothing.
func TestClosed(t *testing.T) {
	h := open(t)
	both(t, h, func(t *testing.T, c client.Client) {
		if _, err := c.Check(t.Context(), nobody); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		open := nobody
		open.IfUndecided = client.Allow
		if d, err := c.Check(t.Context(), open); err == nil || d.Allowed() {
			t.Errorf("Check of a closed client = %v, %v", d, err)
		}
	})
}

// TestCanceled answers nobody.
func TestCanceled(t *testing.T) {
	h := open(t)
	both(t, h, func(t *testing.T, c client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Check(ctx, nobody)
		if e, ok := errors.AsType[*client.UndecidedError](err); !ok || e.Code != codes.Canceled {
			t.Errorf("Check of nobody = %v", err)
		}
	})
}

// TestUnknownOutcome of a later server permits nothing.
func TestUnknownOutcome(t *testing.T) {
	for _, m := range []*teishiv1.CheckResponse{nil, {}, {Outcome: 9}, {Outcome: teishiv1.Outcome_OUTCOME_ALLOWED, Hypothetical: true}} {
		if d := client.DecisionOf(m); d.Allowed() || d.Err() == nil {
			t.Errorf("DecisionOf(%v) = %v, Err() = %v", m, d, d.Err())
		}
	}
	later := client.DecisionOf(&teishiv1.CheckResponse{Outcome: teishiv1.Outcome_OUTCOME_DENIED, Reason: 99})
	if later.Reason() != "99" || later.Outcome() != client.Denied {
		t.Errorf("a reason of a later server is %q", later.Reason())
	}
}

// TestFollowsAnySource decides from a record in this process.
func TestFollowsAnySource(t *testing.T) {
	h := open(t)
	h.settle()
	l := local(t, "", client.Config{Replica: policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "record", Source: h.log, Record: true}}}})
	h.caughtUp(l)
	if d, err := l.Check(t.Context(), city); err != nil || !d.Allowed() || d.Details().Freshness.Source != "record" {
		t.Errorf("Check = %v, %v, from %+v", d, err, d.Details().Freshness)
	}
	q := mic
	q.MinRevision = h.suspend()
	if d, err := l.Check(t.Context(), q); err != nil || d.Outcome() != client.Denied {
		t.Errorf("after a halt Check = %v, %v", d, err)
	}
}
