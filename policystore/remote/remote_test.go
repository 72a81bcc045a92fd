package remote_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/remote"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
	"github.com/teishi-dev/teishi/service"
)

// authority is an authority that is served on the loopback.
type authority struct {
	log     *sqlite.Log
	fleet   *policystore.Fleet
	address string
}

// serve serves a new record of the domain until the test ends.
func serve(t *testing.T, domain string) *authority {
	t.Helper()
	log, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "teishi.db"), Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: log, Record: true}}, Domain: domain, Logger: logger})
	a := policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: replica, Name: "authority-0", Logger: logger})
	served := &authority{log: log, fleet: policystore.NewFleet(log, a)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{replica.Run, a.Run, served.fleet.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("an authority stopped: %v", err)
			}
		})
	}
	server := service.New(service.Config{Replica: replica, Domain: domain, Logger: logger,
		Record: &service.Record{Authority: a, History: policystore.NewHistory(log, domain), Log: log, Fleet: served.fleet}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served.address = listener.Addr().String()
	running.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	t.Cleanup(func() {
		server.Drain(0, time.Second)
		cancel()
		running.Wait()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return served
}

func dial(t *testing.T, address, domain string) *remote.Authority {
	t.Helper()
	a, err := remote.New(remote.Config{URL: "grpc://" + address, Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestSource(t *testing.T) {
	storetest.RunSource(t, func(t *testing.T) storetest.Followed {
		a := serve(t, storetest.Domain)
		return storetest.Followed{Log: a.log, Source: dial(t, a.address, storetest.Domain)}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "localhost:50051", "http://localhost:50051", "grpc://localhost", "grpc://:50051", "grpc://user@localhost:50051", "grpc://localhost:50051/x", "grpc://localhost:50051?a=b"} {
		if a, err := remote.New(remote.Config{URL: url}); err == nil || !strings.Contains(err.Error(), "grpc://HOST:PORT") {
			t.Errorf("New(%q) = %v, %v, want what it must be", url, a, err)
		}
	}
}

// A checkpoint comes whole, in however many pieces.
func TestCheckpoint(t *testing.T) {
	a := serve(t, storetest.Domain)
	r := dial(t, a.address, storetest.Domain)
	if _, err := r.Checkpoint(t.Context()); !errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Checkpoint where there is none = %v, want ErrNotFound", err)
	}
	want := storeLarge(t, a.log)
	got, err := r.Checkpoint(t.Context())
	if err != nil || got.Position != want.Position || got.StateHash != want.StateHash || got.Time != want.Time || !slices.Equal(got.Body, want.Body) || !slices.Equal(got.Signature, want.Signature) {
		t.Errorf("Checkpoint = %s of %d bytes, %v, want %s of %d bytes", got.Position, len(got.Body), err, want.Position, len(want.Body))
	}
	if len(want.Body) < 3<<20 {
		t.Errorf("the checkpoint has only %d bytes", len(want.Body))
	}
}

// What an authority of another record says is told as that, and names the setting.
func TestAnotherDomain(t *testing.T) {
	a := serve(t, "other")
	r := dial(t, a.address, storetest.Domain)
	for _, err := range r.Tail(t.Context(), policystore.Position{}) {
		if policystore.TroubleOf(err) != policystore.Foreign || !strings.Contains(err.Error(), "--domain") || !strings.Contains(err.Error(), "other") {
			t.Errorf("Tail yields %v, want trouble of a foreign record that names --domain", err)
		}
	}
	if _, err := r.Report(t.Context(), policystore.Member{ID: "a"}); policystore.TroubleOf(err) != policystore.Foreign {
		t.Errorf("Report = %v, want trouble of a foreign record", err)
	}
}

// Where nobody answers, that is what is said, at once.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r := dial(t, address, storetest.Domain)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	yielded := 0
	for _, err := range r.Tail(ctx, policystore.Position{}) {
		yielded++
		if policystore.TroubleOf(err) != policystore.Unreachable || !strings.Contains(err.Error(), address) {
			t.Errorf("Tail yields %v, want that %s is unreachable", err, address)
		}
	}
	if yielded != 1 {
		t.Errorf("Tail yields %d times", yielded)
	}
}

// What answers there and is no authority is told as that.
func TestNoAuthority(t *testing.T) {
	replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "none", Source: dial(t, "127.0.0.1:1", "d")}}, Domain: "d"})
	server := service.New(service.Config{Replica: replica, Domain: "d"})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Drain(0, time.Second)
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	r := dial(t, listener.Addr().String(), "d")
	if _, err := r.Checkpoint(t.Context()); policystore.TroubleOf(err) != policystore.Misconfigured || !strings.Contains(err.Error(), "no authority") {
		t.Errorf("Checkpoint of a decision point = %v, want that it is no authority", err)
	}
}

// What a replica reports is what the fleet knows of it, and the answer proves the head.
func TestReport(t *testing.T) {
	a := serve(t, storetest.Domain)
	if err := policystore.Initialize(t.Context(), a.log, storetest.Domain, nil); err != nil {
		t.Fatal(err)
	}
	head, err := a.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := dial(t, a.address, storetest.Domain)
	m := policystore.Member{ID: "decision-0", Position: head, StateHash: policystore.Hash{1}, Version: "v1",
		Freshness: policystore.Freshness{State: policystore.Stale, Age: 7 * time.Second, Source: "redis"}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var h *policystore.HeadProof
	for h == nil || h.Position != head {
		if h, err = r.Report(ctx, m); err != nil {
			t.Fatalf("Report = %v", err)
		}
	}
	if h.Domain != storetest.Domain || h.Authority != "authority-0" || time.Since(h.IssuedTime) > time.Minute {
		t.Errorf("Report is answered by %+v", h)
	}
	for {
		members, err := a.fleet.Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(members) == 0 {
			continue
		}
		got := members[0]
		got.Reported, got.Silence = time.Time{}, 0
		if want := m; got.Authority != "authority-0" || got.ID != want.ID || got.Position != want.Position || got.StateHash != want.StateHash || got.Freshness != want.Freshness || got.Version != want.Version {
			t.Errorf("the fleet knows %+v, want %+v", got, want)
		}
		break
	}
	if err := r.Goodbye(ctx, "decision-0"); err != nil {
		t.Errorf("Goodbye = %v", err)
	}
	if members, err := a.fleet.Members(ctx); err != nil || len(members) != 0 {
		t.Errorf("after goodbye the fleet is %+v, %v", members, err)
	}
}
