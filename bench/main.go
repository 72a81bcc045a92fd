//go:build linux

// Command bench measures what the benchmarks of packages cannot: the program as it is run.
//
//	go run ./bench
//	go run ./bench soak
//
// It builds teishi, serves the worlds W1 and W2 of policy/workload with it, and drives it over the loopback with one load
// generator, in turn with an empty gRPC server that is made with the same options. Then it has thousands watch both. Then it
// has suspensions reach decision points, in turn with bare Redis. Figures of one machine say little, so what counts are the
// ratios to what is beside them in the same run.
//
//	bench ──┬─▶ bench echo       the same messages, or as many bytes, answered without looking
//	        ├─▶ bench audience   ten thousand watchers of either
//	        ├─▶ teishi serve     SQLite, W1 or W2 ──▶ redis-server ──▶ decision points
//	        └─▶ bench crowd      five hundred readers of that Redis, and nothing else of a decision point
//
// All are child processes, so that what they use can be told from what the load generator uses. It ends by itself after
// some eight minutes, leaves nothing behind, and exits with 0 whether or not targets are met: it is no test. Without a
// redis-server it says what it skips.
//
// Soak has watchers come and go for ten minutes, and does fail, if the server grows by it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/teishi-dev/teishi/policy/workload"
)

// settings say how much is measured.
type settings struct {
	rounds      int           // each drives all servers
	span        time.Duration // of driving one of them
	callers     int           // at a time, for throughput
	connections int           // that they share
	starts      int           // of each server
	watchers    int           // of one server
	writes      int           // whose way to decision points is measured, for each way
	readers     int           // that follow one Redis
	identified  int           // rounds of servers that know callers and write decisions down
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case echoCommand:
			return serveEcho(ctx, args[1:], stdout)
		case crowdCommand:
			return followAll(ctx, args[1:], stdout)
		case audienceCommand:
			return watchAll(ctx, args[1:], stdout)
		case soakCommand:
			return soak(ctx, args[1:], stdout)
		}
	}
	var s settings
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.IntVar(&s.rounds, "rounds", 25, "drive each server so many times; 0 measures no calls")
	flags.DurationVar(&s.span, "span", 400*time.Millisecond, "drive a server for so long at a time")
	flags.IntVar(&s.callers, "callers", 32, "callers at a time, for throughput")
	flags.IntVar(&s.connections, "connections", 4, "connections that they share")
	flags.IntVar(&s.starts, "starts", 5, "start each server so many times; 0 measures no starts")
	flags.IntVar(&s.watchers, "watchers", 10_000, "have so many watchers on one server, at most 12,000; 0 has none")
	flags.IntVar(&s.writes, "writes", 500, "have so many suspensions reach decision points by each way; 0 measures no propagation")
	flags.IntVar(&s.readers, "readers", 500, "have so many readers follow one Redis; 0 has none")
	flags.IntVar(&s.identified, "identities", 25, "drive servers that know callers, and write down what they answer, so many times; 0 measures none of that")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return bench(ctx, s, stdout)
}

// build builds teishi in a temporary directory, which is the caller's to remove.
func build(ctx context.Context, s settings, stdout io.Writer) (*benchmark, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "teishi-bench-")
	if err != nil {
		return nil, err
	}
	teishi := filepath.Join(directory, "teishi")
	command := exec.CommandContext(ctx, "go", "build", "-o", teishi, "github.com/teishi-dev/teishi/cmd/teishi")
	if out, err := command.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("build teishi: %w\n%s", err, out), os.RemoveAll(directory))
	}
	return &benchmark{settings: s, directory: directory, teishi: teishi, self: self, out: stdout}, nil
}

// bench builds, measures and prints.
func bench(ctx context.Context, s settings, stdout io.Writer) error {
	b, err := build(ctx, s, stdout)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.directory)
	b.machine()
	w1, err := b.world(ctx, "W1", workload.W1(), false)
	if err != nil {
		return err
	}
	if s.rounds > 0 {
		if err := b.calls(ctx, w1); err != nil {
			return err
		}
	}
	if s.identified > 0 {
		if err := b.identifying(ctx); err != nil {
			return fmt.Errorf("servers that know callers: %w", err)
		}
	}
	b.redis = b.hasRedis()
	if s.starts > 0 {
		if err := b.starting(ctx, w1); err != nil {
			return err
		}
	}
	if s.watchers > 0 {
		if err := b.watching(ctx); err != nil {
			return fmt.Errorf("%d watchers: %w", s.watchers, err)
		}
	}
	if b.redis && (s.writes > 0 || s.readers > 0) {
		return b.following(ctx)
	}
	return nil
}
