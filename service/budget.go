package service

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

const (
	// forgetAfter is for how long a budget is kept that nobody uses: by then it is whole again.
	forgetAfter = time.Minute
	// tellEvery is how often the log says that one holder is refused.
	tellEvery = time.Minute
	// busyRetry is after what time a caller may try again that has too much under way. When some of it ends is not known.
	busyRetry = 100 * time.Millisecond
	// parts is in how many parts budgets are kept, so that calls of many holders do not wait for each other.
	parts = 16
	// mostHeld bounds the budgets of a part.
	mostHeld = 2048
)

// allowance is what each holder has.
type allowance struct {
	pace   rate.Limit // a second
	burst  int        // that may come at once after a pause
	atOnce int64      // that may be under way
	holder string     // what one is
}

// budgets are those of one class, by who holds them.
type budgets struct {
	allowance
	class   string
	refused prometheus.Counter
	logger  *slog.Logger
	seed    maphash.Seed
	parts   [parts]part
}

type part struct {
	mu    sync.Mutex
	of    map[string]*budget
	swept time.Time // guarded by mu, when what is idle was forgotten
}

// budget is what one holder has left.
type budget struct {
	pace *rate.Limiter
	busy atomic.Int64 // how much is under way
	told atomic.Int64 // in Unix nanoseconds, when the log said last that something was refused
	used time.Time    // guarded by its part
}

func newBudgets(class string, a allowance, refused prometheus.Counter, logger *slog.Logger) *budgets {
	b := &budgets{allowance: a, class: class, refused: refused, logger: logger, seed: maphash.MakeSeed()}
	for i := range b.parts {
		b.parts[i].of = make(map[string]*budget)
	}
	return b
}

// begin takes n of what a holder has, and a place among what is under way, until its end.
func (b *budgets) begin(holder string, n int) (*budget, error) {
	if b == nil || holder == "" {
		return nil, nil
	}
	now := time.Now()
	own := b.of(holder, now)
	if own.busy.Add(1) > b.atOnce {
		own.end()
		return nil, b.refuse(holder, own, now, &limitedError{class: b.class, holder: b.holder, limit: int(b.atOnce), per: "at once", retry: busyRetry})
	}
	if err := b.take(holder, own, n, now); err != nil {
		own.end()
		return nil, err
	}
	return own, nil
}

// end gives a place back.
func (own *budget) end() {
	if own != nil {
		own.busy.Add(-1)
	}
}

// spend takes n of what a holder has.
func (b *budgets) spend(holder string, n int) error {
	if b == nil || holder == "" {
		return nil
	}
	now := time.Now()
	return b.take(holder, b.of(holder, now), n, now)
}

// left refuses a holder who has nothing left, and takes nothing.
func (b *budgets) left(holder string) error {
	if b == nil || holder == "" {
		return nil
	}
	now := time.Now()
	own := b.of(holder, now)
	if own.pace.TokensAt(now) >= 1 {
		return nil
	}
	return b.refuse(holder, own, now, b.wait(own, 1, now))
}

// take takes n, of which nobody needs more than there ever is. What is refused costs nothing: a reservation that is cancelled would,
// if another was made meanwhile.
func (b *budgets) take(holder string, own *budget, n int, now time.Time) error {
	n = min(n, b.burst)
	if own.pace.AllowN(now, n) {
		return nil
	}
	return b.refuse(holder, own, now, b.wait(own, n, now))
}

// wait says for how long a holder has to wait for n.
func (b *budgets) wait(own *budget, n int, now time.Time) *limitedError {
	missing := max(0, float64(n)-own.pace.TokensAt(now))
	retry := time.Duration(missing/float64(b.pace)*float64(time.Second)) + time.Microsecond // at which it has come, however that is rounded
	return &limitedError{class: b.class, holder: b.holder, limit: int(b.pace), per: "a second", retry: retry}
}

// refuse counts a refusal, and logs it now and then: a flood must not flood the log.
func (b *budgets) refuse(holder string, own *budget, now time.Time, err *limitedError) error {
	b.refused.Inc()
	if told := own.told.Load(); now.UnixNano()-told >= int64(tellEvery) && own.told.CompareAndSwap(told, now.UnixNano()) {
		b.logger.LogAttrs(context.Background(), slog.LevelWarn, "limited", slog.String(b.holder, holder), slog.Any("error", err))
	}
	return err
}

// of returns what a holder has.
func (b *budgets) of(holder string, now time.Time) *budget {
	p := &b.parts[maphash.String(b.seed, holder)%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.of[holder]
	if own == nil {
		p.makeRoom(now)
		own = &budget{pace: rate.NewLimiter(b.pace, b.burst)}
		p.of[holder] = own
	}
	own.used = now
	return own
}

// makeRoom forgets what nobody uses, and of too many holders any.
func (p *part) makeRoom(now time.Time) {
	if now.Sub(p.swept) >= forgetAfter {
		p.swept = now
		for holder, own := range p.of {
			if own.busy.Load() == 0 && now.Sub(own.used) >= forgetAfter {
				delete(p.of, holder)
			}
		}
	}
	for holder := range p.of {
		if len(p.of) < mostHeld {
			return
		}
		delete(p.of, holder)
	}
}

// A limitedError says that a caller asked for more than there is for one.
type limitedError struct {
	class, holder, per string
	limit              int
	retry              time.Duration
}

func (e *limitedError) Error() string {
	return fmt.Sprintf("%s of one %s are limited to %d %s: try again later", e.class, e.holder, e.limit, e.per)
}
