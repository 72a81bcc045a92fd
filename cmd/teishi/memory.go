package main

import (
	"runtime"
	"runtime/debug"
)

// leastRoom is how many bytes of garbage may gather, at least, before it is collected. By the collector's own measure, as
// many as are in use, a busy server would look through a small policy ten times a second.
const leastRoom = 24 << 20

// settle gives back what only the start needed and makes room for what answers leave behind, unless GOGC says how much.
func (p *program) settle() {
	debug.FreeOSMemory()
	if p.getenv("GOGC") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(max(100, int(leastRoom*100/m.HeapAlloc)))
}
