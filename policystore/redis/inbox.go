package redis

import (
	"sync"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// What waits to be published is bounded: what is dropped is read from the record.
const (
	inboxEntries = 1024
	inboxBytes   = 4 << 20 // of payload
)

// inbox is what was followed and is not published yet, so that whoever follows never waits for Redis.
type inbox struct {
	arrived chan struct{} // holds one when there is something that was not seen
	proven  chan struct{} // likewise of proofs

	mu      sync.Mutex
	entries []policystore.Entry // contiguous
	bytes   int
	head    policy.Revision // the last heard of
	proof   *policystore.HeadProof
}

func newInbox() *inbox {
	return &inbox{arrived: make(chan struct{}, 1), proven: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put takes what a source yields, and returns the last revision heard of.
func (b *inbox) put(event policystore.Event) policy.Revision {
	b.mu.Lock()
	defer b.mu.Unlock()
	if event.Head != nil {
		b.head = event.Head.Position.Revision
		b.proof = event.Head
		signal(b.proven)
		return b.head
	}
	e := event.Entry
	if n := len(b.entries); n > 0 && b.entries[n-1].Hash != e.PreviousHash {
		b.entries, b.bytes = nil, 0
	}
	b.entries = append(b.entries, *e)
	b.bytes += len(e.Payload)
	for len(b.entries) > inboxEntries || b.bytes > inboxBytes {
		b.bytes -= len(b.entries[0].Payload)
		b.entries = b.entries[1:]
	}
	b.head = max(b.head, e.Revision)
	signal(b.arrived)
	return b.head
}

// after returns the entries at hand that follow p.
func (b *inbox) after(p policystore.Position) []policystore.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.entries {
		if b.entries[i].PreviousHash == p.Hash {
			b.drop(i)
			return append([]policystore.Entry(nil), b.entries...)
		}
	}
	return nil
}

// heard returns the last revision heard of.
func (b *inbox) heard() policy.Revision {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head
}

// drop forgets the first n entries: they are published.
func (b *inbox) drop(n int) {
	for _, e := range b.entries[:n] {
		b.bytes -= len(e.Payload)
	}
	b.entries = b.entries[n:]
}

// take returns the newest proof, once; nil if it was taken.
func (b *inbox) take() *policystore.HeadProof {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.proof
	b.proof = nil
	return h
}
