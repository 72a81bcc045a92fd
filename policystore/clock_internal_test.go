package policystore

import (
	"slices"
	"testing"
	"time"
)

// dial is a clock whose hands a test sets.
type dial struct {
	Clock
	mono, wall time.Time
}

// turn lets time pass by the monotonic clock, and so much more by the wall clock, and returns the offs in doubt.
func (d *dial) turn(passed, step time.Duration) []time.Duration {
	d.mono, d.wall = d.mono.Add(passed), d.wall.Add(passed+step)
	var offs []time.Duration
	for _, o := range d.look(d.mono, d.wall).doubted {
		offs = append(offs, o.off)
	}
	return offs
}

// After the wall clock was set, what it would show without is in doubt for a minute, and no longer.
func TestClockSteps(t *testing.T) {
	for name, c := range map[string]struct {
		turns []time.Duration // in turn: what passes, and by how much the clock is set
		want  []time.Duration
		steps int64
	}{
		"nobody sets it":               {[]time.Duration{time.Second, 0, time.Hour, 0}, nil, 0},
		"it runs a little fast":        {[]time.Duration{time.Second, 900 * time.Millisecond, time.Second, 900 * time.Millisecond}, nil, 0},
		"forward":                      {[]time.Duration{time.Second, time.Hour}, []time.Duration{-time.Hour}, 1},
		"back":                         {[]time.Duration{time.Second, -time.Hour}, []time.Duration{time.Hour}, 1},
		"a minute ago":                 {[]time.Duration{time.Second, time.Hour, time.Minute, 0}, []time.Duration{-time.Hour}, 1},
		"more than a minute ago":       {[]time.Duration{time.Second, time.Hour, time.Minute + 1, 0}, nil, 1},
		"forward and back":             {[]time.Duration{time.Second, time.Hour, time.Second, -time.Hour}, []time.Duration{time.Hour}, 2},
		"forward twice":                {[]time.Duration{time.Second, time.Hour, time.Second, time.Hour}, []time.Duration{-2 * time.Hour, -time.Hour}, 2},
		"forward, and half of it back": {[]time.Duration{time.Second, 2 * time.Hour, time.Second, -time.Hour}, []time.Duration{-time.Hour, time.Hour}, 2},
	} {
		d := dial{mono: time.Unix(1000, 0), wall: time.Unix(1_000_000_000, 0)}
		got := d.turn(0, 0)
		for i := 0; i < len(c.turns); i += 2 {
			got = d.turn(c.turns[i], c.turns[i+1])
		}
		if !slices.Equal(got, c.want) || d.Steps() != c.steps {
			t.Errorf("%s: in doubt are %v after %d steps, want %v after %d", name, got, d.Steps(), c.want, c.steps)
		}
	}
}

// However often it is set, what is in doubt is bounded.
func TestClockStepsAreBounded(t *testing.T) {
	d := dial{mono: time.Unix(1000, 0), wall: time.Unix(1_000_000_000, 0)}
	var got []time.Duration
	for i := range 10 {
		got = d.turn(time.Second, time.Duration(i+1)*time.Hour)
	}
	if len(got) != maxDoubted || got[maxDoubted-1] != -10*time.Hour {
		t.Errorf("in doubt are %v, want %d, the last step last", got, maxDoubted)
	}
}

// Now shows what the system does, and nothing is in doubt where nobody has set it.
func TestClockNow(t *testing.T) {
	var c Clock
	before := time.Now()
	now, instead := c.Now()
	if now.Before(before.Add(-time.Millisecond)) || time.Since(now) > time.Minute || len(instead) > 0 {
		t.Errorf("Now = %s, %v at %s", now, instead, before)
	}
	c.anchor.Store(&anchor{wall: now.Add(-time.Hour), mono: time.Now()}) // as if it had been set forward by an hour
	now, instead = c.Now()
	if len(instead) != 1 || now.Sub(instead[0]).Round(time.Second) != time.Hour {
		t.Errorf("after a step Now = %s or %v, want another an hour earlier", now, instead)
	}
}
