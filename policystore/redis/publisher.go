package redis

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// PublisherConfig says what is published, and where.
type PublisherConfig struct {
	Config
	// Record is what has to be in Redis: read for what is missing there, and to tell what is not of it. Required.
	Record policystore.Log
	// Source is followed for new entries, for head proofs, and for checkpoints: an authority of the record. Required.
	Source policystore.Source
	// Trust is by whose signatures the record's own entries are known. Nil: nothing is signed, and Redis is trusted.
	Trust *policystore.TrustedKeys
	// Doubt is told, by a policystore.ErrRewound, while Redis has what the record has lost; and nil when it has not. If Redis
	// cannot be asked it is nil two seconds after Run began, or, if Redis is reading its data, when that takes longer than a
	// minute. Nil tells nobody.
	Doubt func(error)
	// Observer is told what happens.
	Observer Observer
}

// Publisher puts into Redis what a record has. Any number of them may do so at once.
type Publisher struct {
	*server
	record  policystore.Log
	source  policystore.Source
	trust   *policystore.TrustedKeys
	observe Observer
	doubts  doubts
	loading atomic.Bool // Redis was reading its data when it was last asked
	scripts scripts
	limits  limits
	inbox   *inbox
	shown   shown
}

// limits say how much is kept and sent.
type limits struct {
	checkpointEntries policy.Revision // a checkpoint is published after so many entries
	checkpointBytes   int64           // or so many bytes of them
	keep              policy.Revision // so many entries are kept at least
	backfill          policy.Revision // a stream that is further behind is rather made anew
	look              time.Duration   // Redis is looked at so often
	loading           time.Duration   // a Redis that reads its data is waited for so long
}

// shown is what is known of Redis, by whichever goroutine has last looked.
type shown struct {
	top        atomic.Int64 // the revision up to which it has the record's entries
	checkpoint atomic.Int64 // that of the newest checkpoint
	bytes      atomic.Int64 // of entries since then
	missing    atomic.Bool  // the newest checkpoint is not where it is said to be
	foreign    atomic.Bool  // it has what the record has not, and that is to stay
}

// NewPublisher returns a publisher that reaches for Redis only when it runs. An error names what is wrong with the Config.
func NewPublisher(c PublisherConfig) (*Publisher, error) {
	if c.Record == nil || c.Source == nil {
		return nil, errors.New("a publisher of Redis needs a record and a source")
	}
	s, err := newServer(c.Config)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		server:  s,
		record:  c.Record,
		source:  c.Source,
		trust:   c.Trust,
		observe: c.Observer.whole(),
		scripts: newScripts(),
		limits:  limits{checkpointEntries: 5000, checkpointBytes: 16 << 20, keep: 10_000, backfill: 10_000, look: time.Second, loading: time.Minute},
		inbox:   newInbox(),
	}
	p.doubts.tell = c.Doubt
	return p, nil
}

const (
	minRetry  = 50 * time.Millisecond
	maxRetry  = time.Second
	undoubted = 2 * time.Second
)

// Run publishes until ctx ends; then it returns nil. Whatever is wrong with Redis is said once, counted, and tried again.
// Entries, proofs and checkpoints go by connections of their own: where one path is blocked the others go on. Run
// is called once.
func (p *Publisher) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, run := range []func(context.Context){p.undoubt, p.follow, p.publishEntries, p.publishProofs, p.publishCheckpoints} {
		running.Go(func() { run(ctx) })
	}
	running.Wait()
	return nil
}

// undoubt ends the doubt of a start when it has lasted long enough: an authority does not wait for a Redis that cannot be asked.
// One that reads its data will soon tell what it has.
func (p *Publisher) undoubt(ctx context.Context) {
	began, looks := time.Now(), time.NewTicker(minRetry)
	defer looks.Stop()
	for waited := time.Duration(0); waited < undoubted || p.loading.Load() && waited < p.limits.loading; waited = time.Since(began) {
		select {
		case <-looks.C:
		case <-ctx.Done():
			return
		}
	}
	p.doubts.unknown()
}

// follow takes what the source yields, and never waits for Redis.
func (p *Publisher) follow(ctx context.Context) {
	for retry := minRetry; ctx.Err() == nil; retry = min(2*retry, maxRetry) {
		err := p.followOnce(ctx, func() { retry = minRetry })
		if ctx.Err() == nil {
			p.logger.Debug("following what is to be published was interrupted", slog.Any("error", err))
			pause(ctx, retry)
		}
	}
}

// followOnce follows the source from the head of the record on: what is before is read from the record.
func (p *Publisher) followOnce(ctx context.Context, alive func()) error {
	head, err := p.head(ctx)
	if err != nil {
		return err
	}
	for event, err := range p.source.Tail(ctx, head) {
		if err != nil {
			return err
		}
		alive()
		p.lag(p.inbox.put(event))
	}
	return nil
}

// lag tells how far what is published is behind a revision.
func (p *Publisher) lag(head policy.Revision) {
	p.observe.Lag(max(0, int64(head)-p.shown.top.Load()))
}

// readWithin bounds what is asked of the record.
const readWithin = 10 * time.Second

func (p *Publisher) head(ctx context.Context) (policystore.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return p.record.Head(ctx)
}

func (p *Publisher) read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return p.record.Read(ctx, from, n)
}

// open returns a connection to a server that may be published to.
func (p *Publisher) open(ctx context.Context) (*session, error) {
	c, err := p.connect(ctx, "teishi-publisher")
	if err != nil {
		return nil, err
	}
	st, err := c.ask(ctx)
	if err == nil {
		err = st.publishable()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// pause waits for about the span, jittered, or until ctx ends.
func pause(ctx context.Context, span time.Duration) {
	timer := time.NewTimer(span/2 + rand.N(span))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// path is one of the ways by which something is published. It belongs to one goroutine.
type path struct {
	*Publisher
	name  string
	wrong policystore.Trouble // the last attempt failed so
}

// failed counts an error, and says it if it is of another sort than the last.
func (p *path) failed(err error) {
	err = p.troubled(err)
	sort := policystore.TroubleOf(err)
	p.observe.Trouble(sort)
	if sort != p.wrong {
		p.logger.Error("publishing is interrupted", slog.String("what", p.name), slog.String("trouble", string(sort)), slog.Any("error", err))
	}
	p.wrong = sort
}

// fine says that publishing goes on again, if it did not.
func (p *path) fine() {
	if p.wrong != "" {
		p.logger.Info("publishing goes on", slog.String("what", p.name))
	}
	p.wrong = ""
}
