package client

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// Client asks, wherever the answer is made: [Remote] by a server, [Local] in this process. It may be used by any number of
// goroutines.
type Client interface {
	Checker
	// Watch tells the answer to each question, by its number, and then each answer that changes: by a directive, by the passing of
	// time, or because it can no longer be known. It goes on by itself where a server ends, without repeating what it has told,
	// until ctx ends or the loop is left. An error is the last pair: an *UndecidedError that says why it cannot go on.
	Watch(ctx context.Context, queries ...Query) iter.Seq2[Change, error]
	// Close ends what is under way. Questions are then no longer decided, and watches end with an error.
	Close() error
}

// Checker answers questions.
type Checker interface {
	// Check answers one question. Denied is an answer, not an error: the error is an *UndecidedError, and says that there is no
	// answer. A Decision that comes with an error is not Allowed.
	Check(ctx context.Context, q Query) (Decision, error)
}

// Change is the answer to one question of a watch, from now on.
type Change struct {
	Index    int   // of the question among those that were given
	Query    Query // the question
	Decision Decision
}

// Config says how to ask. The zero value is good for either kind of client.
type Config struct {
	// Timeout is that of a Check whose context has no deadline; 0 is 2 s.
	Timeout time.Duration
	// Logger gets a line for each answer that was allowed without a decision, and for what befalls a watch. Nil discards.
	Logger *slog.Logger

	// Credentials are those of connections. Nil is plaintext, which is refused unless the server is on this machine or Insecure is said.
	Credentials credentials.TransportCredentials
	// Token returns the bearer token that a call shows, and is asked for every call, so it should keep one while that is good. Nil
	// shows none. An error that is a status of gRPC is what the call comes to; any other is UNAUTHENTICATED. In plaintext no token
	// leaves this machine, whatever Insecure says.
	Token func(context.Context) (string, error)
	// Insecure permits plaintext over a network: whoever is on it can then forge answers.
	Insecure bool
	// Cache is how many answers Dial may keep, each for as long as the server permits; 0 is none.
	Cache int
	// DialOptions are given to gRPC by Dial after our own: interceptors.
	DialOptions []grpc.DialOption

	// Replica says what Follow follows, and how. Without Origins that is the authority at the target; an empty Domain is teishi.
	Replica policystore.ReplicaConfig
	// Clock is that of Follow: what it shows, and what it may be instead after it was set. Nil is the system's.
	Clock func() (now time.Time, instead []time.Time)
}

const defaultTimeout = 2 * time.Second

func (c *Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
}

func (c *Config) credentials() remote.Credentials {
	return remote.Credentials{Transport: c.Credentials, Token: c.Token}
}

func (c *Config) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.New(slog.DiscardHandler)
}

// within bounds a context that has no deadline.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// Stats are what a client has counted since it was made. They only grow, so a metric may be made of each.
type Stats struct {
	Undecided  int64 // questions that could not be decided, of watches too
	Overridden int64 // of those, which were answered ALLOWED because IfUndecided said so
	Cached     int64 // questions that were answered from what was kept
	Resumed    int64 // times that a watch went on by another stream
}

// ledger counts, and answers where nothing could be decided.
type ledger struct {
	logger                                 *slog.Logger
	undecided, overridden, cached, resumed atomic.Int64
}

func (l *ledger) stats() Stats {
	return Stats{
		Undecided:  l.undecided.Load(),
		Overridden: l.overridden.Load(),
		Cached:     l.cached.Load(),
		Resumed:    l.resumed.Load(),
	}
}

// fail answers a question that could not be decided.
func (l *ledger) fail(q *Query, err error) (Decision, error) {
	e := undecided(err)
	l.undecided.Add(1)
	if q.IfUndecided != Allow || !e.Temporary() {
		return Decision{cause: e}, e
	}
	l.overridden.Add(1)
	l.logger.Warn("allowed without a decision", slog.String("organization", q.Organization), slog.String("app", q.App),
		slog.String("purpose", q.Purpose), slog.Any("error", e))
	return Decision{cause: e, overridden: true}, nil
}
