package policystore

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// wall returns what the wall clock shows. Spans are measured by time.Now, whose monotonic reading nobody can set.
func wall() time.Time { return failpoint.Shift(time.Now()).Round(0) }

const (
	// clockStep is by how much the wall clock may leave the monotonic one before it counts as set.
	clockStep = time.Second
	// doubtClock is for how long after a step both times are decided for.
	doubtClock = time.Minute
	// maxDoubted bounds the times that are decided for beside the clock's.
	maxDoubted = 4
)

// Clock is the wall clock, watched against the monotonic one: after somebody has set it, nobody knows for a while which
// of the times is right. The zero value is ready.
type Clock struct {
	anchor atomic.Pointer[anchor]
	mu     sync.Mutex // who may replace the anchor
	steps  atomic.Int64
}

// anchor is one reading of both clocks, and what is in doubt since.
type anchor struct {
	wall    time.Time // without monotonic reading
	mono    time.Time
	doubted []doubtedTime
}

// doubtedTime is another time that it may be: as far from the wall clock, until then.
type doubtedTime struct {
	off   time.Duration
	until time.Time // by the monotonic clock
}

// Now returns what the wall clock shows, and the times that it may be instead.
func (c *Clock) Now() (now time.Time, instead []time.Time) {
	mono, now := time.Now(), wall()
	a := c.anchor.Load()
	if a == nil || len(a.doubted) > 0 || a.strayed(mono, now) || mono.Sub(a.mono) > clockStep {
		a = c.look(mono, now)
	}
	if failpoint.Without("clock") {
		return now, nil
	}
	for _, d := range a.doubted {
		instead = append(instead, now.Add(d.off))
	}
	return now, instead
}

// Steps returns how often the clock was seen to be set.
func (c *Clock) Steps() int64 { return c.steps.Load() }

// strayed reports whether the clocks have gone apart since the anchor.
func (a *anchor) strayed(mono, now time.Time) bool { return a.gap(mono, now).Abs() > clockStep }

// gap returns by how much more the wall clock has gone on than the monotonic one.
func (a *anchor) gap(mono, now time.Time) time.Duration { return now.Sub(a.wall) - mono.Sub(a.mono) }

// look replaces the anchor by this reading.
func (c *Clock) look(mono, now time.Time) *anchor {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.anchor.Load()
	if before != nil && before.mono.After(mono) { // another reading came first
		return before
	}
	next := &anchor{wall: now, mono: mono}
	if before != nil {
		next.doubted = before.still(mono)
		if before.strayed(mono, now) {
			c.steps.Add(1)
			next.doubt(before.gap(mono, now))
		}
	}
	c.anchor.Store(next)
	return next
}

// still returns what is in doubt yet.
func (a *anchor) still(mono time.Time) []doubtedTime {
	return slices.DeleteFunc(slices.Clone(a.doubted), func(d doubtedTime) bool { return mono.After(d.until) })
}

// doubt takes note that the clock was set by a step: what it would show without is a time that it may be, and so are those
// that were in doubt before.
func (a *anchor) doubt(step time.Duration) {
	for i := range a.doubted {
		a.doubted[i].off -= step
	}
	a.doubted = append(a.doubted, doubtedTime{off: -step, until: a.mono.Add(doubtClock)})
	a.doubted = slices.DeleteFunc(a.doubted, func(d doubtedTime) bool { return d.off.Abs() <= clockStep })
	if drop := len(a.doubted) - maxDoubted; drop > 0 {
		a.doubted = a.doubted[drop:]
	}
}
