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
	"github.com/teishi-dev/teishi/service/identity"
)

// serve answers until ctx ends, then drains. It listens before there is anything to answer from: whoever looks after the
// process sees that it lives, and by its health that it is not ready.
func (p *program) serve(ctx context.Context, c serveConfig) (err error) {
	listener, err := listen("listen", c.listen)
	if err != nil {
		return err
	}
	registry := newRegistry()
	c.identity.Registry, c.identity.Logger = registry, c.logger
	known, err := identity.New(c.identity)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	measuring, err := serveMetrics(c.metrics, registry, known.HTTPS())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, measuring.close()) }()
	n, err := c.newNode(ctx, nodeID(c.id, listener.Addr()), registry)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.writeDecisions(p, &c, registry); err != nil {
		return errors.Join(err, listener.Close())
	}
	n.identity, n.reflection, n.limits, n.registry = known, c.reflection, c.limits, registry
	n.start()
	server := n.server()
	measuring.ask(server)
	return p.serveUntil(ctx, n, server, listener, c)
}

func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		err = failed.Err // the rest of it says the address again
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with %s", address, err, named(flag))
	}
	return l, nil
}

// serveUntil answers calls to the listener until ctx ends, then drains.
func (p *program) serveUntil(ctx context.Context, n *node, server *service.Server, listener net.Listener, c serveConfig) (err error) {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	ready, cancel := context.WithCancel(ctx)
	began := make(chan error, 1)
	go func() { began <- p.beginServing(ready, c, n, listener.Addr()) }()
	var settling sync.WaitGroup
	defer settling.Wait()
	defer cancel()
	for {
		select {
		case err := <-failed:
			cancel()
			<-began
			return err
		case err := <-began:
			if began = nil; err != nil && ctx.Err() == nil {
				server.Drain(0, c.grace)
				return errors.Join(err, <-failed)
			}
			settling.Go(func() { p.settle(ready) }) // beside the first answers
		case <-ctx.Done():
			server.Drain(c.lameDuck, c.grace)
			if began != nil {
				<-began
			}
			return <-failed
		}
	}
}

// beginServing waits until there is something to answer from, loads the example if there is one, and announces it.
func (p *program) beginServing(ctx context.Context, c serveConfig, n *node, address net.Addr) error {
	if n.record == nil {
		if err := n.replica.WaitServing(ctx); err != nil {
			return err
		}
	} else if err := n.ready(ctx); err != nil {
		return err
	}
	question, err := c.loadExample(ctx, n)
	if err != nil {
		return err
	}
	if err := n.bootstrap(ctx, c.bootstrap); err != nil {
		return err
	}
	return p.announce(ctx, c, n, address, question)
}

// ready waits until the policy of an authority is FRESH. A file that does not verify is not served; a database that does not
// is for its operators to mend, while the process says what is wrong.
func (n *node) ready(ctx context.Context) error {
	for {
		changed := n.replica.Changed()
		err := n.replica.WaitReady(ctx)
		if err == nil {
			return n.settled(ctx)
		}
		if ctx.Err() != nil || n.begin == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// loadExample loads the example that the settings name and returns its first question.
func (c *serveConfig) loadExample(ctx context.Context, n *node) (*scenario, error) {
	if c.example == "" {
		return nil, nil
	}
	w, err := readWorld(examples.FS(), c.example)
	if err != nil {
		return nil, err
	}
	err = n.load(ctx, w)
	if errors.Is(err, policystore.ErrNotEmpty) {
		return nil, fmt.Errorf("load the example %s into %s: %w; serve it without --example, or name a record that is not there yet with --store",
			c.example, n.source, err)
	}
	if err != nil {
		return nil, fmt.Errorf("load the example %s: %w", c.example, err)
	}
	return &w.scenarios[0], nil
}

// announce says in one line what is served, from where, and what to try.
func (p *program) announce(ctx context.Context, c serveConfig, n *node, address net.Addr, question *scenario) error {
	view, err := n.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return err
	}
	what, where := "the record "+c.domain, n.source
	switch {
	case c.store == nil:
		what = "decisions of the record " + c.domain
	case c.example != "":
		what = "the example " + c.example
	}
	if c.store != nil && c.store.temporary() {
		where += " (temporary: removed at the end; keep one with --store)"
	}
	try := fmt.Sprintf("%s %s list", calling(&c.identity), address)
	if question != nil {
		try = fmt.Sprintf("%s -d %s %s teishi.v1.DecisionService/Check", calling(&c.identity), quote(question.asked), address)
	}
	_, err = fmt.Fprintf(p.stdout, "serving %s from %s at revision %d on %s; try: %s\n", what, where, view.Position.Revision, address, try)
	return err
}

// quote writes a word so that a shell reads it as one.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
