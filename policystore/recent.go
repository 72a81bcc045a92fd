package policystore

import "sync"

// What of the applied entries is kept at hand for those who follow an authority.
const (
	recentEntries = 4096
	recentBytes   = 8 << 20 // of payload, but for the last entry
)

// recent are the entries applied last, so that however many follow, the record is read once.
type recent struct {
	mu      sync.RWMutex
	entries []*Entry // contiguous
	bytes   int
}

// add keeps an entry that was applied, and no longer the oldest. A nil recent keeps nothing.
func (r *recent) add(e *Entry) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.entries); n > 0 && r.entries[n-1].Position().Hash != e.PreviousHash {
		r.entries, r.bytes = nil, 0
	}
	r.entries = append(r.entries, e)
	r.bytes += len(e.Payload)
	for len(r.entries) > 1 && (len(r.entries) > recentEntries || r.bytes > recentBytes) {
		r.bytes -= len(r.entries[0].Payload)
		r.entries = r.entries[1:]
	}
}

// clear forgets what was applied: another history is folded.
func (r *recent) clear() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries, r.bytes = nil, 0
}

// after returns up to n entries that follow p, and whether p is near enough to tell.
func (r *recent) after(p Position, n int) (entries []*Entry, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.entries) == 0 {
		return nil, false
	}
	i := int(p.Revision - r.entries[0].Revision + 1)
	switch {
	case i < 0 || i > len(r.entries):
		return nil, false
	case i == 0 && r.entries[0].PreviousHash != p.Hash, i > 0 && r.entries[i-1].Position() != p:
		return nil, false
	}
	return r.entries[i:min(i+n, len(r.entries)):min(i+n, len(r.entries))], true
}
