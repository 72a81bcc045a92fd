package client

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// Local decides in this process, from a record that it follows. Its answers are those of a server that follows the same.
type Local struct {
	ledger
	replica   *policystore.Replica
	clock     func() (now time.Time, instead []time.Time)
	timeout   time.Duration
	authority *remote.Authority // nil where other origins are followed
	serving   chan struct{}     // closed when there is policy that a server would answer from

	ctx       context.Context // ends with Close
	end       context.CancelFunc
	following sync.WaitGroup
}

var _ Client = (*Local)(nil)

// Follow returns a client that decides in this process. The target is HOST:PORT of an authority; it is not looked at where
// Config.Replica has Origins. Follow does not wait: the first Check does.
func Follow(target string, c Config) (*Local, error) {
	replica := c.Replica
	if replica.Domain == "" {
		replica.Domain = "teishi"
	}
	if replica.Logger == nil {
		replica.Logger = c.Logger
	}
	var authority *remote.Authority
	if len(replica.Origins) == 0 {
		var err error
		if authority, err = authorityAt(target, replica.Domain, &c); err != nil {
			return nil, fmt.Errorf("follow %s: %w", target, err)
		}
		replica.Origins = []policystore.Origin{{Name: "grpc", Source: authority}}
	}
	l := over(policystore.NewReplica(replica), &c)
	l.authority = authority
	l.following.Go(func() { _ = l.replica.Run(l.ctx) }) // it returns when the context ends, and nothing else
	return l, nil
}

// over returns a client that decides from a replica that somebody else runs.
func over(r *policystore.Replica, c *Config) *Local {
	l := &Local{ledger: ledger{logger: c.logger()}, replica: r, clock: c.Clock, timeout: c.timeout()}
	if l.clock == nil {
		l.clock = (&policystore.Clock{}).Now
	}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.serving = make(chan struct{})
	l.following.Go(l.await)
	return l
}

// await waits until there is policy to decide from. Until then what is applied may be half of it: no directive is in force yet,
// and everything would be ALLOWED.
func (l *Local) await() {
	if l.replica.WaitServing(l.ctx) == nil {
		close(l.serving)
	}
}

func authorityAt(target, domain string, c *Config) (*remote.Authority, error) {
	scheme := "grpcs://"
	if c.Credentials == nil {
		scheme = "grpc://"
	}
	address := strings.TrimPrefix(strings.TrimPrefix(target, scheme), "dns:///")
	if c.Credentials == nil && !c.Insecure && !remote.Loopback(address) {
		return nil, errPlaintext
	}
	return remote.New(remote.Config{URL: scheme + address, Domain: domain, Credentials: c.credentials()})
}

// Close stops to follow.
func (l *Local) Close() error {
	l.end()
	l.following.Wait()
	if l.authority == nil {
		return nil
	}
	return l.authority.Close()
}

// Stats returns what was counted.
func (l *Local) Stats() Stats { return l.stats() }

// Ready waits until there is policy to decide from.
func (l *Local) Ready(ctx context.Context) error {
	select {
	case <-l.serving:
		return nil
	case <-l.ctx.Done():
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", policystore.ErrUnavailable, context.Cause(ctx))
	}
}

// Check answers one question. It looks a few names up, and waits for nothing but the first policy, and what is demanded.
func (l *Local) Check(ctx context.Context, q Query) (d Decision, err error) {
	asked, err := q.local()
	if err != nil {
		return l.fail(&q, err)
	}
	if err := l.view(ctx, &q, &d.local.view); err != nil {
		return l.fail(&q, err)
	}
	now, instead := l.clock() // not before: by an entry something is in force from before it could be read
	d.local.language = q.Language
	d.decide(&asked, now, instead)
	return d, nil
}

// view sets v to the policy to decide from.
func (l *Local) view(ctx context.Context, q *Query, v *policystore.View) (err error) {
	switch {
	case l.ctx.Err() != nil:
		return errClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case q.MinRevision != 0 || q.Epoch != 0 || !l.ready():
		return l.awaited(ctx, q, v)
	}
	*v, err = l.replica.View(ctx, q.demand())
	return err
}

func (l *Local) ready() bool {
	select {
	case <-l.serving:
		return true
	default:
		return false
	}
}

// awaited sets v to policy that has to be waited for.
func (l *Local) awaited(ctx context.Context, q *Query, v *policystore.View) (err error) {
	ctx, cancel := within(ctx, l.timeout)
	defer cancel()
	ctx, ahead := inTime(ctx)
	defer ahead()
	if err := l.Ready(ctx); err != nil {
		return err
	}
	*v, err = l.replica.View(ctx, q.demand())
	return err
}

// maxSpare is how long before its deadline, at the most, waiting is given up, as a server does.
const maxSpare = 200 * time.Millisecond

// inTime gives up a tenth of the time early, so that it can still be said what was waited for.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/10, maxSpare)))
}
