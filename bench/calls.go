//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/teishi-dev/teishi/policy/workload"
)

// benchmark is one run.
type benchmark struct {
	settings
	directory string // temporary
	teishi    string // the program
	self      string // this program
	redis     bool   // there is one to measure with
	out       io.Writer
}

// serve starts teishi on a record.
func (b *benchmark) serve(ctx context.Context, record string) (*process, error) {
	return b.start(ctx, "--store", "sqlite:"+record)
}

// follower returns what starts teishi as a decision point.
func (b *benchmark) follower(urls string) func(context.Context) (*process, error) {
	return func(ctx context.Context) (*process, error) { return b.start(ctx, "--follow", urls) }
}

func (b *benchmark) start(ctx context.Context, args ...string) (*process, error) {
	return start(ctx, b.teishi, append([]string{"serve", "--listen", "127.0.0.1:0", "--lame-duck", "0s", "--log-level", "error"}, args...)...)
}

// echo starts the empty server, with a file of fixed answers or without.
func (b *benchmark) echo(ctx context.Context, answers ...string) (*process, error) {
	return start(ctx, b.self, append([]string{echoCommand}, answers...)...)
}

// connect starts a server and connects to it.
func (b *benchmark) connect(ctx context.Context, start func(context.Context) (*process, error), options ...grpc.DialOption) (*served, error) {
	p, err := start(ctx)
	if err != nil {
		return nil, err
	}
	dials, err := dial(p.address, b.connections, options...)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return &served{p, dials}, nil
}

// world is a policy in a record, and what is asked of it.
type world struct {
	name   string
	record string // the file
	*questions
}

// world writes the record of a world.
func (b *benchmark) world(ctx context.Context, name string, w workload.World, checkpoint bool) (*world, error) {
	file := filepath.Join(b.directory, name+".db")
	s, err := writeRecord(ctx, file, w.Changes, checkpoint)
	if err != nil {
		return nil, fmt.Errorf("write the record of %s: %w", name, err)
	}
	return &world{name, file, newQuestions(s, w.Queries)}, nil
}

// calls measures calls of servers that are up.
func (b *benchmark) calls(ctx context.Context, w *world) (err error) {
	ours, err := b.connect(ctx, func(ctx context.Context) (*process, error) { return b.serve(ctx, w.record) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	t, err := w.verify(ctx, ours.dials[0])
	if err != nil {
		return err
	}
	b.describe(w, t)
	answers := filepath.Join(b.directory, "answers")
	if err := writeMessage(answers, t.answers); err != nil {
		return err
	}
	empty, err := b.connect(ctx, func(ctx context.Context) (*process, error) { return b.echo(ctx, answers) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, empty.stop()) }()
	if err := b.drives(ctx,
		sides{{ours, oneByOne(w.check)}, {empty, oneByOne(w.check)}, {empty, oneByOne(bytesOf(t.check))}},
		sides{{ours, oneByOne(w.batchCheck)}, {empty, oneByOne(w.batchCheck)}, {empty, oneByOne(bytesOf(t.batch))}},
		sides{{ours, w.stream()}, {empty, w.stream()}, {empty, bytesStream(t.streamed())}, {ours, oneByOne(w.check)}}); err != nil {
		return err
	}
	return b.printMemory(ours, empty)
}

func writeMessage(file string, m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// drives drives Check to saturation, then by one caller, then BatchCheck and StreamCheck to saturation.
func (b *benchmark) drives(ctx context.Context, check, batch, stream sides) error {
	many, err := b.compare(ctx, check, b.callers, b.rounds)
	if err != nil {
		return err
	}
	one, err := b.compare(ctx, check, 1, b.rounds)
	if err != nil {
		return err
	}
	hundred, err := b.compare(ctx, batch, b.callers, b.rounds)
	if err != nil {
		return err
	}
	streamed, err := b.compare(ctx, stream, b.callers, b.rounds)
	if err != nil {
		return err
	}
	b.printCalls(many, one, hundred)
	b.printStreams(streamed)
	return nil
}

// Whose figures stand where: ours, the empty server's with our messages, and with as many bytes; beside streams, our Check.
const (
	ofTeishi = iota
	ofEcho
	ofBytes
	ofCheck
)

type (
	sides []side
	round []sample // a drive of each
)

// compare drives all sides in turn, so many times, each round beginning with another, after a shorter round that is not counted.
func (b *benchmark) compare(ctx context.Context, all sides, callers, times int) ([]round, error) {
	rounds := make([]round, times+1)
	for r := range rounds {
		span := b.span
		if r == 0 {
			span = min(span, time.Second)
		}
		rounds[r] = make(round, len(all))
		for i := range all {
			which := (r + i) % len(all)
			var err error
			if rounds[r][which], err = all[which].drive(ctx, callers, span); err != nil {
				return nil, err
			}
		}
	}
	return rounds[1:], nil
}
