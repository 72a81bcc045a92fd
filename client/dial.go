package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/health" // asks servers whether they are healthy, where the service config says so
	"google.golang.org/grpc/keepalive"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// Remote asks servers.
type Remote struct {
	ledger
	conn      *grpc.ClientConn
	decisions teishiv1.DecisionServiceClient
	timeout   time.Duration
	answers   *answers // nil: none are kept
	watches   watches
	ctx       context.Context // ends with Close
	end       context.CancelFunc
}

var _ Client = (*Remote)(nil)

// serviceConfig is what gRPC does by itself: it spreads calls over all addresses of a name that are healthy, and asks anew,
// another if there is one, where a server that answers nothing but questions was not to be had.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"healthCheckConfig": {"serviceName": ""},
	"methodConfig": [{
		"name": [
			{"service": "teishi.v1.DecisionService", "method": "Check"},
			{"service": "teishi.v1.DecisionService", "method": "BatchCheck"}
		],
		"waitForReady": false,
		"retryPolicy": {
			"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}],
	"retryThrottling": {"maxTokens": 100, "tokenRatio": 0.5}
}`

const (
	maxMessage = 16 << 20         // of a server: a batch of answers
	pingAfter  = 10 * time.Second // of silence; servers take no pings sooner
	pingWithin = 2 * time.Second
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// errPlaintext says that whoever is on the network could forge answers.
var errPlaintext = errors.New("it is not on this machine: give Credentials, or say Insecure")

// Dial returns a client of the servers at a target of gRPC: `dns:///teishi.example:8443`, or just HOST:PORT. It does not connect
// before the first call.
func Dial(target string, c Config) (*Remote, error) {
	if c.Credentials == nil && !c.Insecure && !remote.Loopback(target) {
		return nil, fmt.Errorf("dial %s: %w", target, errPlaintext)
	}
	creds, err := c.credentials().Options(target)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	conn, err := grpc.NewClient(target, slices.Concat(creds, options(), c.DialOptions)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	r := &Remote{
		ledger:    ledger{logger: c.logger()},
		conn:      conn,
		decisions: teishiv1.NewDecisionServiceClient(conn),
		timeout:   c.timeout(),
		answers:   newAnswers(c.Cache),
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r, nil
}

func options() []grpc.DialOption {
	retry := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: pingWithin}
	retry.Backoff.BaseDelay, retry.Backoff.MaxDelay = minBackoff, maxBackoff
	return []grpc.DialOption{
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(retry),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingWithin, PermitWithoutStream: true}),
	}
}

// Close ends what is under way.
func (r *Remote) Close() error {
	r.end()
	return r.conn.Close()
}

// Stats returns what was counted.
func (r *Remote) Stats() Stats { return r.stats() }

// Decisions returns the generated client on the same connections, for what Client does not do: batches, lists, explanations, and
// other instants.
func (r *Remote) Decisions() teishiv1.DecisionServiceClient { return r.decisions }

// Check answers one question.
func (r *Remote) Check(ctx context.Context, q Query) (Decision, error) {
	if err := q.text(); err != nil {
		return r.fail(&q, err)
	}
	if d, ok := r.kept(&q); ok {
		r.cached.Add(1)
		return d, nil
	}
	ctx, cancel := within(ctx, r.timeout)
	defer cancel()
	sent := reading()
	resp, err := r.decisions.Check(ctx, q.request())
	if err != nil {
		return r.fail(&q, err)
	}
	r.answers.keep(&q, resp, sent)
	return DecisionOf(resp), nil
}

// kept returns an answer that needs nobody to be asked.
func (r *Remote) kept(q *Query) (Decision, bool) {
	if r.answers == nil || q.demanding() {
		return Decision{}, false
	}
	key, now := q.key(), reading()
	if m := r.watches.answer(key, now); m != nil {
		return DecisionOf(m), true
	}
	if m := r.answers.answer(key, now); m != nil {
		return DecisionOf(m), true
	}
	return Decision{}, false
}
