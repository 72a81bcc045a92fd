package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/teishi-dev/teishi/examples"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
)

// serve answers from the record until ctx ends, then drains.
func (p *program) serve(ctx context.Context, c serveConfig) (err error) {
	r, closeRecord, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRecord()) }()
	question, err := c.loadExample(ctx, r)
	if err != nil {
		return err
	}
	listener, err := listen(c.listen)
	if err != nil {
		return err
	}
	if err := p.announce(ctx, c, r, listener.Addr(), question); err != nil {
		return errors.Join(err, listener.Close())
	}
	var settling sync.WaitGroup
	settling.Go(p.settle) // beside the first answers
	defer settling.Wait()
	return serveUntil(ctx, r.server(), listener, c)
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		err = failed.Err // the rest of it says the address again
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --listen", address, err)
	}
	return l, nil
}

// serveUntil answers calls to the listener until ctx ends, then drains.
func serveUntil(ctx context.Context, server *service.Server, listener net.Listener, c serveConfig) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		server.Drain(c.lameDuck, c.grace)
		return <-failed
	}
}

// open opens the record that the settings name.
func (c *serveConfig) open(ctx context.Context) (*record, func() error, error) {
	if c.file == "" {
		return openTemporary(ctx, c.domain, c.logger)
	}
	r, err := openRecord(ctx, c.file, c.domain, c.logger)
	if err != nil {
		return nil, nil, err
	}
	return r, r.Close, nil
}

// loadExample loads the example that the settings name and returns its first question.
func (c *serveConfig) loadExample(ctx context.Context, r *record) (*scenario, error) {
	if c.example == "" {
		return nil, nil
	}
	w, err := readWorld(examples.FS(), c.example)
	if err != nil {
		return nil, err
	}
	err = r.load(ctx, w)
	if errors.Is(err, policystore.ErrNotEmpty) {
		return nil, fmt.Errorf("load the example %s into %s: %w; serve it without --example, or name a file that is not there yet with --store",
			c.example, r.log.Path(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("load the example %s: %w", c.example, err)
	}
	return &w.scenarios[0], nil
}

// announce says in one line what is served, from where, and what to try.
func (p *program) announce(ctx context.Context, c serveConfig, r *record, address net.Addr, question *scenario) error {
	view, err := r.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return err
	}
	what, where := "the record "+c.domain, r.log.Path()
	if c.example != "" {
		what = "the example " + c.example
	}
	if c.file == "" {
		where += " (temporary: removed at the end; keep one with --store)"
	}
	try := fmt.Sprintf("grpcurl -plaintext %s list", address)
	if question != nil {
		try = fmt.Sprintf("grpcurl -plaintext -d %s %s teishi.v1.DecisionService/Check", quote(question.asked), address)
	}
	_, err = fmt.Fprintf(p.stdout, "serving %s from %s at revision %d on %s; try: %s\n", what, where, view.Position.Revision, address, try)
	return err
}

// quote writes a word so that a shell reads it as one.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
