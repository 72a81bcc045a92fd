package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/decisionlog"
	"github.com/teishi-dev/teishi/service/identity"
)

// node is what answers: an authority or a decision point, with all that follows, proves and publishes beneath it.
//
//	authority        store ──▶ Replica ──▶ service        decision point    redis, grpc … ──▶ Replica ──▶ service
//	                   ▲          │           │                                              │
//	                   └─ Authority ◀─────────┘                                              └─ reports ──▶ authority
//	                       │    └─ Publisher ──▶ Redis
//	                       └─ Fleet ──▶ store
type node struct {
	id      string
	domain  string
	source  string // what it is served from, for people
	logger  *slog.Logger
	metrics *policystore.Metrics
	clock   *policystore.Clock
	replica *policystore.Replica
	record  *service.Record // of an authority
	// decisions is where answers are written down; nil: nowhere.
	decisions *decisionlog.Log
	// identity says who calls; nil where there are no callers, or all are the same.
	identity   *identity.Identity
	reflection service.Reflection
	limits     service.Limits        // of each caller
	registry   prometheus.Registerer // of what is counted; nil: for nobody
	// begin returns when what has to be there before anything is followed is there.
	begin     func(context.Context) error
	known     policystore.Position // what the local checkpoint held at the start
	reporters []policystore.Reporter
	loops     []func(context.Context) error // what runs beside the replica until the end
	closers   []func() error                // in the order of opening

	stop    context.CancelFunc
	running sync.WaitGroup
}

// newNode makes what the settings ask for, of that id, and follows nothing yet.
func (c *serveConfig) newNode(ctx context.Context, id string, registry prometheus.Registerer) (n *node, err error) {
	n = &node{id: id, domain: c.domain, logger: c.logger, metrics: policystore.NewMetrics(registry), clock: &policystore.Clock{}}
	if c.store == nil {
		err = n.follow(c)
	} else {
		err = n.keep(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.metrics.Watch(n.replica, n.clock)
	if c.trust != nil {
		n.loops = append(n.loops, n.watchTrust(c.trust))
	}
	return n, nil
}

// replicate makes the replica of the origins.
func (n *node) replicate(c *serveConfig, origins []policystore.Origin) {
	n.replica = policystore.NewReplica(policystore.ReplicaConfig{
		Origins:       origins,
		Domain:        c.domain,
		Trust:         c.trust.trusted(),
		Local:         c.local,
		MaxClockSkew:  c.skew,
		ServeStaleFor: c.staleFor,
		Metrics:       n.metrics,
		Logger:        n.logger,
	})
}

// start begins to follow, in the background, once what has to be there is there. Until then it serves what it has kept.
func (n *node) start() {
	ctx, stop := context.WithCancel(context.Background()) // it is close that ends it, after all else
	n.stop = stop
	n.run(ctx, n.watchClock)
	if n.identity != nil {
		n.run(ctx, n.identity.Run)
	}
	n.running.Go(func() {
		n.known = n.replica.Begin()
		if n.begin != nil && n.begin(ctx) != nil {
			return // it ends only with ctx
		}
		n.run(ctx, n.replica.Run)
		for _, loop := range n.loops {
			n.run(ctx, loop)
		}
		n.run(ctx, func(ctx context.Context) error {
			return n.replica.Report(ctx, n.id, version(), n.reporters...)
		})
	})
}

func (n *node) run(ctx context.Context, loop func(context.Context) error) {
	n.running.Go(func() {
		if err := loop(ctx); err != nil && ctx.Err() == nil {
			n.logger.Error("stopped", slog.Any("error", err))
		}
	})
}

// close ends what runs and returns when it has ended and all is closed.
func (n *node) close() error {
	if n.stop != nil {
		n.stop()
	}
	n.running.Wait()
	var errs []error
	for i := range n.closers {
		errs = append(errs, n.closers[len(n.closers)-1-i]())
	}
	return errors.Join(errs...)
}

// server returns what answers.
func (n *node) server() *service.Server {
	c := service.Config{
		Replica: n.replica,
		Domain:  n.domain,
		Record:  n.record,
		Version: version(),
		Logger:  n.logger,
		Clock:   n.clock.Now,

		Decisions:  n.decisions,
		Reflection: n.reflection,
		Limits:     n.limits,
		Registry:   n.registry,
	}
	if n.identity != nil {
		c.Credentials = n.identity.Credentials()
	}
	if n.identity != nil && n.identity.Knows() {
		c.Identify = n.identity.Identify
	}
	return service.New(c)
}

// watchClock looks at the clock every second, and says when it was set.
func (n *node) watchClock(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for known := n.clock.Steps(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if n.clock.Now(); n.clock.Steps() != known {
			known = n.clock.Steps()
			n.logger.Error("the clock was set: for a minute, what is stricter of before and after is answered")
		}
	}
}

// trustEvery is how often the file of trusted keys is looked at.
const trustEvery = 5 * time.Second

// watchTrust reads the file of trusted keys again when it changes.
func (n *node) watchTrust(t *trustSetting) func(context.Context) error {
	return func(ctx context.Context) error {
		ticker := time.NewTicker(trustEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return nil
			}
			switch changed, err := t.reload(); {
			case err != nil:
				n.logger.Error("the trusted keys stay as they were: --trust-keys (TEISHI_TRUST_KEYS)", slog.Any("error", err))
			case changed:
				n.logger.Info("the trusted keys are read again", slog.String("file", t.file))
			}
		}
	}
}

// nodeID is what a node is known by that is given no name: the host's, and the port unless it is the usual one.
func nodeID(given string, address net.Addr) string {
	if given != "" {
		return given
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.Port != usualPort {
		return fmt.Sprintf("%s:%d", host, tcp.Port)
	}
	return host
}

const usualPort = 50051
