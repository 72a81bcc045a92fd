package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/policystore/credential"
)

// Ask a server. In production it wants to know who asks: see Config.
func ExampleDial() {
	h, end := example()
	defer end()

	c, err := client.Dial(h.address, client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	d, err := c.Check(context.Background(), client.Query{
		Organization: "mic",
		App:          "line",
		Purpose:      "feedback.opinion",
		Attributes:   map[string]string{"data-sensitivity": "confidential"},
	})
	if err != nil {
		fmt.Println(err) // could not decide: do not act
		return
	}
	if !d.Allowed() {
		fmt.Println(d.Err()) // a *DeniedError, with its grounds: do not act
		return
	}
	for _, o := range d.Obligations() {
		fmt.Println("honour", o.Text) // or do not act
	}
	// Output: DENIED: SUSPENDED: halt/all of mic (Halt)
}

// Show who asks, to a server that is known by a certificate authority of the system. The file is read for every call, since tokens are exchanged.
func ExampleConfig() {
	c, err := client.Dial("dns:///teishi.example:8443", client.Config{
		Credentials: credentials.NewTLS(nil),
		Token: func(context.Context) (string, error) {
			return credential.Token("/var/run/secrets/teishi/token")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Close()) // nothing was asked, so nothing was connected to
	// Output: <nil>
}

// Decide in this process, from a record that it follows.
func ExampleFollow() {
	h, end := example()
	defer end()

	c, err := client.Follow(h.address, client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	d, err := c.Check(context.Background(), client.Query{
		Organization: "mic",
		App:          "line",
		Purpose:      "feedback.opinion",
		Attributes:   map[string]string{"data-sensitivity": "public"},
		MinRevision:  h.written, // of the halt, to be sure that it is seen
	})
	fmt.Println(d, err)
	for _, o := range d.Obligations() {
		fmt.Println("honour:", o.Text)
	}
	// Output:
	// ALLOWED: RELEASED <nil>
	// honour: Keep a log
}

// Be told when an answer changes.
func ExampleRemote_Watch() {
	h, end := example()
	defer end()

	c, err := client.Dial(h.address, client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	q := client.Query{Organization: "mic", App: "line", Attributes: map[string]string{"data-sensitivity": "secret"}}
	for change, err := range c.Watch(context.Background(), q) {
		if err != nil {
			fmt.Println(err) // it cannot go on
			return
		}
		fmt.Println(change.Query.Organization, change.Decision)
		if change.Decision.Allowed() {
			break
		}
		h.lift() // somebody lifts the halt
	}
	// Output:
	// mic DENIED: SUSPENDED
	// mic ALLOWED: RELEASED
}

// Guard an HTTP endpoint with one line.
func ExampleGuard() {
	h, end := example()
	defer end()
	c, err := client.Dial(h.address, client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	opinions := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "thank you") })

	guarded := client.Guard(c, func(r *http.Request) (client.Query, error) {
		return client.Query{Organization: r.PathValue("ministry"), App: "line", Purpose: "feedback.opinion"}, nil
	})(opinions)

	mux := http.NewServeMux()
	mux.Handle("POST /{ministry}/opinions", guarded)
	for _, path := range []string{"/mic/opinions", "/city/opinions"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		fmt.Println(path, w.Code)
	}
	// Output:
	// /mic/opinions 403
	// /city/opinions 200
}

// Guard the methods of a gRPC server with one line.
func ExampleUnaryServerInterceptor() {
	h, end := example()
	defer end()
	c, err := client.Dial(h.address, client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	guard := client.UnaryServerInterceptor(c, func(_ context.Context, _ any, info *grpc.UnaryServerInfo) (client.Query, error) {
		if info.FullMethod == "/grpc.health.v1.Health/Check" {
			return client.Query{}, client.ErrUnguarded
		}
		return client.Query{Organization: "mic", App: "line", Attributes: map[string]string{"data-sensitivity": "secret"}}, nil
	})

	server := grpc.NewServer(grpc.ChainUnaryInterceptor(guard))
	defer server.Stop()
	_, err = guard(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/mail.Mail/Send"}, nil)
	fmt.Println(err)
	// Output: rpc error: code = PermissionDenied desc = DENIED: SUSPENDED: halt/all of mic (Halt)
}

// Guard an endpoint that honours obligations.
func ExampleGate() {
	h, end := example()
	defer end()
	c, err := client.Dial(h.address, client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	gate := client.Gate{Checker: c, Honour: func(_ context.Context, _ client.Query, obligations []client.Obligation) error {
		for _, o := range obligations {
			if o.ID != "log" {
				return errors.New(o.ID) // which is not known here
			}
			fmt.Println("kept a log")
		}
		return nil
	}}

	guarded := gate.Guard(func(*http.Request) (client.Query, error) {
		return client.Query{Organization: "mic", App: "line", Attributes: map[string]string{"data-sensitivity": "public"}}, nil
	})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w := httptest.NewRecorder()
	guarded.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	fmt.Println(w.Code)
	// Output:
	// kept a log
	// 200
}
