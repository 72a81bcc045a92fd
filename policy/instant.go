package policy

import (
	"math"
	"time"
)

// Instant is a point in time: whole microseconds since 1970-01-01T00:00:00Z.
type Instant int64

const (
	// Beginning is before every instant anybody can name: the start of a window that names none.
	Beginning Instant = math.MinInt64
	// Forever is after every instant anybody can name: the end of a window that names none.
	Forever Instant = math.MaxInt64
)

// InstantOf returns t floored to the microsecond, as instants of queries are.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMicro()) }

// Time returns the instant in UTC. It must be neither Beginning nor Forever.
func (i Instant) Time() time.Time { return time.UnixMicro(int64(i)).UTC() }

// Finite reports whether the instant is neither Beginning nor Forever.
func (i Instant) Finite() bool { return i != Beginning && i != Forever }

// String returns the instant in RFC 3339, UTC.
func (i Instant) String() string {
	switch i {
	case Beginning:
		return "the beginning"
	case Forever:
		return "forever"
	}
	return i.Time().Format(time.RFC3339Nano)
}

// Window is the half-open span [Start, End). It is empty unless Start < End.
type Window struct{ Start, End Instant }

// Always is the window that holds every instant.
var Always = Window{Beginning, Forever}

// Contains reports whether t lies in w.
func (w Window) Contains(t Instant) bool { return w.Start <= t && t < w.End }

// Empty reports whether w holds no instant.
func (w Window) Empty() bool { return w.Start >= w.End }

// spans reports whether every instant of v lies in w too.
func (w Window) spans(v Window) bool { return w.Start <= v.Start && v.End <= w.End }

// Intersect returns the instants that lie in both windows.
func (w Window) Intersect(v Window) Window { return Window{max(w.Start, v.Start), min(w.End, v.End)} }
