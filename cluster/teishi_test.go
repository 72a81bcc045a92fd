//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/teishi-dev/teishi/cluster"
)

func TestTeishiComesBack(t *testing.T) {
	root := cluster.Test(t)
	binary := must[string](t)(root.Build(t.Context(), cluster.Build{}))
	c := root.Test(t)
	if again := must[string](t)(c.Build(t.Context(), cluster.Build{})); again != binary {
		t.Errorf("a part has built %s, want what the whole has, %s", again, binary)
	}
	s := must[*cluster.Teishi](t)(c.StartTeishi(t.Context(), cluster.TeishiConfig{
		Binary: binary, Name: "authority", Args: []string{"serve", "--example", "line-2021"}, Env: []string{"TEISHI_LOG_FORMAT=json"},
	}))
	check(t, s.Ready(t.Context()))
	checkLoopback(t, s.Name(), s.PID())
	check(t, cluster.Wait(t.Context(), "what is printed to be in the log", func(context.Context) error {
		if log := s.Log(); !strings.Contains(log, "serving the example line-2021") {
			return errors.New(log)
		}
		return nil
	}))
	for _, end := range []func() error{s.Stop, s.Kill} {
		address, pid := s.Addr(), s.PID()
		check(t, end())
		if err := gone([]int{pid}); err != nil {
			t.Error(err)
		}
		check(t, s.Restart(t.Context()))
		check(t, s.Ready(t.Context()))
		if s.Addr() != address || s.PID() == pid {
			t.Errorf("restarted at %s as %d, want %s and another than %d", s.Addr(), s.PID(), address, pid)
		}
	}
	check(t, s.Pause())
	check(t, s.Resume())
	resp, err := grpc_health_v1.NewHealthClient(s.Conn()).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health of a resumed server = %v, %v", resp, err)
	}
}

func TestTeishiThatEndsIsTold(t *testing.T) {
	c := cluster.Test(t)
	binary := must[string](t)(c.Build(t.Context(), cluster.Build{}))
	address := must[string](t)(cluster.FreeAddress())
	s := must[*cluster.Teishi](t)(c.StartTeishi(t.Context(), cluster.TeishiConfig{
		Binary: binary, Args: []string{"serve", "--listen", address}, Env: []string{"TEISHI_STORE=nonsense"},
	}))
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "TEISHI_STORE") {
		t.Errorf("Ready = %v, want how it ended, and its log", err)
	}
	config := s.Config()
	config.Env = nil
	s.Configure(config)
	check(t, s.Start(t.Context()))
	check(t, s.Ready(t.Context()))
	if s.Addr() != address {
		t.Errorf("Addr = %s, want what it was told, %s", s.Addr(), address)
	}
	if out := must[string](t)(c.RunTeishi(t.Context(), cluster.TeishiConfig{Binary: binary, Args: []string{"version"}})); !strings.HasPrefix(out, "teishi") {
		t.Errorf("teishi version prints %q", out)
	}
	if _, err := c.RunTeishi(t.Context(), cluster.TeishiConfig{Binary: binary, Args: []string{"nonsense"}}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("teishi nonsense: %v", err)
	}
}
