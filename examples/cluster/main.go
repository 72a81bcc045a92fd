//go:build linux

// Command cluster runs a whole Teishi on the loopback of this machine, to be tried and to be broken:
//
//	go run ./examples/cluster
//
// PostgreSQL keeps the record, two authorities write it, Redis carries it, and three decision points answer from it, with the
// authorities as their second source. Every server is known by the user and password it needs, and by no other.
//
//	authority-1 ─┬─▶ PostgreSQL            the record
//	authority-2 ─┤
//	             └─▶ Redis ──▶ decision-1, decision-2, decision-3
//	                           which fall back to the authorities
//
// It prints where they are and what to try, and takes commands: kill redis, start redis. Ctrl-C ends everything and removes
// what was written, but with -keep. It needs: apt install redis-server postgresql pgbouncer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/teishi-dev/teishi/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who asks twice does not want to wait: the servers end with us
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run runs a site until ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	keep := flags.String("keep", "", "keep what the servers write in this new `directory` (default: a temporary one, removed at the end)")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			err = nil
		}
		return err
	}
	c, err := cluster.New(cluster.Config{Directory: *keep})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s := &site{cluster: c, out: stdout}
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was told to stop meanwhile
		}
		return err
	}
	s.explain()
	go s.obey(ctx, stdin) // ends with the process: nothing ends a read from a terminal
	<-ctx.Done()
	return s.stop()
}
