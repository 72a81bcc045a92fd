// Package postgres keeps a record in a PostgreSQL database, for any number of processes: the shared record.
//
// Whoever appends compares and stores in one statement, and the primary key on the revision lets one of them through. The
// commit is synchronous, whatever the session says, so that an entry that was acknowledged is there after a crash; after a
// failover it is there if the standby is a synchronous one. Nothing is kept in a session, so a pooler that lends
// connections by the transaction may stand in between.
//
//	meta         domain                                   fixed when the record is made
//	entries      revision │ epoch … hash │ payload        the log; request ids are unique for their principals
//	checkpoints  revision │ epoch, hash … │ body          the newest two, and older ones 20,000 entries apart
//	replicas     id │ revision, freshness …               who follows the record, as it last reported itself
//	migrations   version                                  of the tables, which teishi migrate makes
//
// The tables are in the schema teishi. One database holds one record.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Config says which record to use.
type Config struct {
	DSN          string       // a URL or keywords, as libpq has it: sslmode, sslrootcert, sslcert and sslkey too, and several hosts
	PasswordFile string       // is read anew for every connection; if empty, what the DSN, PGPASSWORD or the pass file says
	Domain       string       // of the record: a slug; "teishi" if empty
	Authority    string       // who proves its head; the host's name if empty
	ReadOnly     bool         // writes nothing, not even to find out how durable an entry is, so that a role that may only read will do
	Logger       *slog.Logger // nil discards
}

// DefaultDomain is the domain of a record that names none.
const DefaultDomain = "teishi"

// How long the server is waited for. The other end of a link that is only half open answers never.
const (
	answerWithin = 5 * time.Second  // one statement
	batchWithin  = 10 * time.Second // up to 4 MiB of entries
	bodyWithin   = 30 * time.Second // a checkpoint
)

// pollEvery is how often the head is read while somebody follows.
const pollEvery = 50 * time.Millisecond

// Log is a record in a PostgreSQL database. It is a policystore.Log, a policystore.Archive, a policystore.Roll and a
// policystore.Waker.
type Log struct {
	domain     string
	authority  string
	readOnly   bool
	logger     *slog.Logger
	following  *pgxpool.Pool // for Tail, Head and the roll: however many others read, policy is proven FRESH
	writing    *pgxpool.Pool // for Append and Request: however many others read, a suspension is written
	reading    *pgxpool.Pool // for all else
	migrations fs.FS
	known      int64                         // the version of the tables that the last of them makes
	every      time.Duration                 // pollEvery, but in a test
	durable    atomic.Int64                  // the last revision known to be as durable as one that was acknowledged
	changed    atomic.Pointer[chan struct{}] // closed and replaced by Wake
	closed     chan struct{}
	closing    sync.Once

	mu          sync.Mutex // guards what follows
	followers   int
	stopPolling context.CancelFunc // nil if nobody follows
	polling     sync.WaitGroup
}

var (
	_ policystore.Log     = (*Log)(nil)
	_ policystore.Archive = (*Log)(nil)
	_ policystore.Roll    = (*Log)(nil)
	_ policystore.Waker   = (*Log)(nil)
	_ policystore.Tailed  = (*Log)(nil)
)

// New returns the log of a record. It connects when it is first used: Check tells whether the record is there.
func New(c Config) (*Log, error) {
	l, err := newLog(c)
	if err != nil {
		return nil, &policystore.TroubleError{Trouble: policystore.Misconfigured, Err: err}
	}
	return l, nil
}

func newLog(c Config) (*Log, error) {
	l := &Log{domain: c.Domain, authority: c.Authority, readOnly: c.ReadOnly, logger: c.Logger, every: pollEvery, closed: make(chan struct{})}
	if l.domain == "" {
		l.domain = DefaultDomain
	}
	if l.authority == "" {
		l.authority, _ = os.Hostname()
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if !policy.IsSlug(l.domain) {
		return nil, fmt.Errorf("the domain %q is not a slug: 1 to 63 of a-z, 0-9 and hyphen, neither first nor last a hyphen", l.domain)
	}
	migrations, err := fs.Sub(embedded, "migrations")
	if err == nil {
		err = l.use(migrations)
	}
	if err != nil {
		return nil, err
	}
	if err := l.connect(c); err != nil {
		return nil, err
	}
	changed := make(chan struct{})
	l.changed.Store(&changed)
	return l, nil
}

// connect makes the pools, which have no connection yet.
func (l *Log) connect(c Config) error {
	config, err := l.connections(c.DSN, c.PasswordFile)
	if err != nil {
		return err
	}
	for pool, size := range map[**pgxpool.Pool]int32{&l.following: 8, &l.writing: 4, &l.reading: 4} {
		own := config.Copy()
		own.MaxConns = size
		if *pool, err = pgxpool.NewWithConfig(context.Background(), own); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	return nil
}

func (l *Log) pools() []*pgxpool.Pool { return []*pgxpool.Pool{l.following, l.writing, l.reading} }

// Close ends what follows the log and closes its connections. Whoever calls the log must have returned.
func (l *Log) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		close(l.closed)
		if l.stopPolling != nil {
			l.stopPolling()
		}
		l.mu.Unlock()
		l.polling.Wait()
		var ended sync.WaitGroup
		for _, pool := range l.pools() {
			if pool != nil {
				ended.Go(pool.Close)
			}
		}
		ended.Wait()
	})
	return nil
}
