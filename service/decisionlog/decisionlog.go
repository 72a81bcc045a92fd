// Package decisionlog writes down what was answered: a line of JSON for each decision that was not ALLOWED, and for a share of
// those that were.
//
//	a call ─▶ its Entries ─▶ the batch that is filled ─▶ the batch that is written ─▶ Sink
//
// The lines of a call go into a batch together, and a batch is written at once: the more is decided, the fewer writes there are for it.
// Each line has a number, without a gap over all that was to be written, so that what is missing shows.
//
// A Log drops what there is no room for, and says how much that was; or it blocks: then Commit returns when the sink has the lines,
// or an error, upon which there is to be no answer.
package decisionlog

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// Config says what a Log writes. Sink and Replica are required.
type Config struct {
	Sink     Sink                  // closed by the Log
	Replica  string                // who decides, as the fleet knows it
	Block    bool                  // no answer without its line; otherwise what there is no room for is dropped
	Allowed  float64               // the share of ALLOWED that is written, 0 to 1
	Masked   []string              // attributes whose values are not written
	Registry prometheus.Registerer // nil counts for nobody
	Logger   *slog.Logger          // nil discards
}

// ErrNotLogged says that what was decided could not be written down.
var ErrNotLogged = errors.New("the decision could not be logged")

// Why lines are not written.
var (
	errFull   = errors.New("more is decided than can be written")
	errSlow   = errors.New("it is not written in time")
	errClosed = errors.New("the log is closed")
)

// maxQueued bounds the bytes of lines that wait; as many may be under way to the sink.
const maxQueued = 4 << 20

// alarmEvery is how often the program's log says that decisions are not logged.
const alarmEvery = time.Minute

// Log is a decision log. Its methods may be called at the same time.
type Log struct {
	sink    Sink
	block   bool
	allowed float64
	masked  []string
	origin  []byte // the fields that say where a line is from
	metrics *metrics
	logger  *slog.Logger

	mu       sync.Mutex
	closed   bool      // guarded by mu
	filling  *batch    // guarded by mu
	spare    []byte    // guarded by mu: the memory of the batch that was written last
	sequence int64     // guarded by mu: of the last line
	dropped  int64     // guarded by mu: lines that the log has not yet said are missing
	lost     int64     // guarded by mu: all of them
	alarmed  time.Time // guarded by mu

	more    chan struct{} // holds one when there is something to write
	closing chan struct{}
	done    chan struct{} // closed when all is written
}

// batch are lines that are written at once.
type batch struct {
	text    []byte
	lines   int64
	taken   chan struct{} // closed when there is another to fill
	written chan struct{} // closed when err says how it went
	err     error
}

func newBatch(memory []byte) *batch {
	return &batch{text: memory[:0], taken: make(chan struct{}), written: make(chan struct{})}
}

// New returns a log that writes until Close.
func New(c Config) *Log {
	l := &Log{
		sink:    c.Sink,
		block:   c.Block,
		allowed: c.Allowed,
		masked:  slices.Clone(c.Masked),
		metrics: newMetrics(c.Registry),
		logger:  c.Logger,
		filling: newBatch(nil),
		more:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	l.origin = appendString(append(l.origin, `,"replica":`...), c.Replica)
	l.origin = appendString(append(l.origin, `,"run":`...), crand.Text())
	go l.run()
	return l
}

// Blocks reports whether nothing is to be answered without its line.
func (l *Log) Blocks() bool { return l.block }

// Chooses reports whether an answer of that outcome is to be written: for ALLOWED it is a matter of chance.
func (l *Log) Chooses(o teishiv1.Outcome) bool {
	return o != teishiv1.Outcome_OUTCOME_ALLOWED || l.allowed > 0 && rand.Float64() < l.allowed
}

// put takes the lines of a call into the batch that is filled. Where there is no room it drops them, or waits for some until ctx ends.
func (l *Log) put(ctx context.Context, e *Entries) (*batch, error) {
	for {
		b, taken, err := l.place(e)
		if taken == nil {
			return b, err
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, l.late(ctx)
		}
	}
}

// place takes the lines into the batch that is filled, which it returns, or drops them. Where neither may be, it returns what to wait for.
func (l *Log) place(e *Entries) (b *batch, taken chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b = l.filling
	switch {
	case !l.closed && (b.lines == 0 || len(b.text)+len(e.text) <= maxQueued):
		l.number(b, e)
		select {
		case l.more <- struct{}{}:
		default:
		}
		return b, nil, nil
	case l.closed && l.block:
		return nil, nil, fmt.Errorf("%w: %w", ErrNotLogged, errClosed)
	case l.block:
		return nil, b.taken, nil
	}
	l.sequence += int64(len(e.ends))
	l.miss(int64(len(e.ends)), errFull)
	return nil, nil, nil
}

// number adds the lines to a batch, each with its number. The caller holds mu.
func (l *Log) number(b *batch, e *Entries) {
	start := 0
	for _, end := range e.ends {
		l.sequence++
		b.text = strconv.AppendInt(append(b.text, `{"sequence":`...), l.sequence, 10)
		b.text = append(append(b.text, e.text[start:end]...), '\n')
		start = end
	}
	b.lines += int64(len(e.ends))
}

// run writes until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	for {
		select {
		case <-l.more:
			runtime.Gosched() // whoever is about to add lines does so first: they are written at once
			l.flush()
		case <-l.closing:
			l.flush()
			return
		}
	}
}

// flush writes the batch that was filled, and before it how much is missing.
func (l *Log) flush() {
	b, dropped := l.take()
	if dropped > 0 && !l.confess(dropped) {
		l.mu.Lock()
		l.dropped += dropped
		l.mu.Unlock()
	}
	if b.lines > 0 {
		written, err := l.sink.Write(b.text)
		l.metrics.written.Add(float64(written))
		if err != nil {
			b.err = fmt.Errorf("%w: %v", ErrNotLogged, err) // what a sink says of itself is no status of the call
			l.mu.Lock()
			l.miss(b.lines-written, err)
			l.mu.Unlock()
		}
	}
	close(b.written)
	if cap(b.text) <= 2*maxQueued {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.spare = b.text
	}
}

// take returns the batch that was filled, in whose place is another, and how many lines the log does not yet say are missing.
func (l *Log) take() (b *batch, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, dropped = l.filling, l.dropped
	l.filling, l.spare, l.dropped = newBatch(l.spare), nil, 0
	close(b.taken)
	return b, dropped
}

// confess writes a line that says how many are missing, and reports whether it is written.
func (l *Log) confess(dropped int64) bool {
	line := strconv.AppendInt([]byte(`{"dropped":`), dropped, 10)
	line = append(appendTime(append(line, `,"time":`...), time.Now()), l.origin...)
	written, _ := l.sink.Write(append(line, '}', '\n')) // of trouble, the lines after it tell
	return written == 1
}

// miss notes lines that are not written. The caller holds mu.
func (l *Log) miss(lines int64, cause error) {
	l.dropped += lines
	l.lost += lines
	l.metrics.dropped.Add(float64(lines))
	l.alarm(cause)
}

// late returns why a call no longer waits for its lines.
func (l *Log) late(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.alarm(errSlow)
	}
	return fmt.Errorf("%w: %w", ErrNotLogged, cause)
}

// alarm tells the program's log that something is amiss, once in a while. The caller holds mu.
func (l *Log) alarm(cause error) {
	now := time.Now()
	if !l.alarmed.IsZero() && now.Sub(l.alarmed) < alarmEvery {
		return
	}
	l.alarmed = now
	what := "decisions are answered that the decision log lacks"
	if l.block {
		what = "decisions are refused, since the decision log does not take them"
	}
	l.logger.Error(what, slog.Int64("lacking", l.lost), slog.Any("error", cause))
}

// Close writes what waits, no longer than ctx lasts, and closes the sink. What comes after it is dropped or refused.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return errClosed
	}
	close(l.closing)
	select {
	case <-l.done:
		return l.sink.Close()
	case <-ctx.Done():
		return fmt.Errorf("write the last of the decision log: %w", context.Cause(ctx))
	}
}
