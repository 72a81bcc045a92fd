//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
)

func TestProcessSaysHowItEnded(t *testing.T) {
	c := cluster.Test(t)
	r := redis(t, c, cluster.RedisConfig{})
	if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("Start of what runs = %v", err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := r.Wait(ended); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("Wait for what runs = %v, want the end of the context", err)
	}
	check(t, r.Kill())
	if r.PID() != 0 {
		t.Errorf("PID after Kill = %d, want 0", r.PID())
	}
	for name, do := range map[string]func() error{
		"Kill": r.Kill, "Stop": r.Stop, "Pause": r.Pause, "Resume": r.Resume, "Wait": func() error { return r.Wait(t.Context()) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("%s after Kill = %v, want how it ended", name, err)
		}
	}
	check(t, r.Start(t.Context()))
	check(t, r.Stop())
	check(t, r.Wait(t.Context()))
	if got := strings.Count(r.Log(), "Redis is starting"); got != 2 {
		t.Errorf("the log tells of %d lives, want 2:\n%s", got, r.Log())
	}
}

func TestProcessIsPaused(t *testing.T) {
	c := cluster.Test(t)
	r := redis(t, c, cluster.RedisConfig{Persist: true})
	check(t, r.Pause())
	if got := state(t, r.PID()); got != "T" {
		t.Errorf("the paused server is %s, want T", got)
	}
	check(t, r.Resume())
	if got := cli(t, r, "PING"); got != "PONG" {
		t.Errorf("PING of a resumed server = %q", got)
	}
	check(t, r.Pause())
	pid := r.PID()
	check(t, r.Kill()) // a paused one dies too
	if err := gone([]int{pid}); err != nil {
		t.Error(err)
	}
}

func TestUsage(t *testing.T) {
	c := cluster.Test(t)
	r := redis(t, c, cluster.RedisConfig{})
	before := must[cluster.Usage](t)(r.Usage())
	if before.Resident <= 0 || before.Peak < before.Resident || before.Threads < 1 || before.Descriptors < 3 {
		t.Errorf("Usage = %+v", before)
	}
	cli(t, r, "EVAL", "local s = '' for i = 1, 1000000 do s = tostring(i) end", "0")
	if after := must[cluster.Usage](t)(r.Usage()); after.CPU <= before.CPU {
		t.Errorf("CPU time went from %v to %v", before.CPU, after.CPU)
	}
}
