package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastRoom is how many bytes of garbage may gather, at least, before it is collected. By the collector's own measure, as
	// many as are in use, a busy server would look through a small policy ten times a second.
	leastRoom = 24 << 20
	// measureEvery is how often it is looked how much is in use.
	measureEvery = time.Second
)

// settle gives back what only the start needed. From then on, until ctx ends, it makes room for what answers leave behind, unless
// GOGC says how much: the collector knows only a share of what is in use, which is another share as that grows.
func (p *program) settle(ctx context.Context) {
	debug.FreeOSMemory()
	if p.getenv("GOGC") != "" {
		return
	}
	looks := time.NewTicker(measureEvery)
	defer looks.Stop()
	for before := 0; ; {
		if percent := room(inUse()); percent < before-before/8 || percent > before+before/8 {
			debug.SetGCPercent(percent) // it stops all that runs for a moment
			before = percent
		}
		select {
		case <-looks.C:
		case <-ctx.Done():
			return
		}
	}
}

// inUse returns how many bytes were in use when garbage was last collected.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// room returns how many percent of what is in use may gather as garbage.
func room(inUse uint64) int { return max(100, int(leastRoom*100/max(1, inUse))) }
