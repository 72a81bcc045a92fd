//go:build linux

package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is a connection through a shim: one from the client, one to the target, and a lane between them in each direction.
type link struct {
	shim *Shim
	over context.CancelFunc // ends what works for the link

	mu     sync.Mutex
	cut    bool         // both connections are reset
	client *net.TCPConn // from the client
	target *net.TCPConn // to the target; nil until it is connected

	dead bool // it passes nothing more, and says nothing of it; guarded by the shim's lock
}

// lane carries bytes one way, in order. What waits in it is bounded; beyond that the sender waits, as on any wire.
type lane struct {
	from, to  *net.TCPConn
	chunks    chan chunk
	broken    bool // the sender is gone without a good-bye; set before chunks is closed
	delivered *atomic.Int64
}

// chunk is what one read has brought.
type chunk struct {
	bytes []byte
	due   time.Time
}

const (
	chunkSize   = 32 << 10
	laneChunks  = 512
	dialTimeout = 10 * time.Second
)

// run connects to the target and carries bytes until both ends have closed, or one has broken.
func (k *link) run(ctx context.Context) {
	defer k.end()
	if !k.pass(ctx, k.shim.due()) {
		return
	}
	if err := k.connect(ctx); err != nil {
		return
	}
	up := &lane{from: k.client, to: k.target, chunks: make(chan chunk, laneChunks), delivered: &k.shim.traffic.up}
	down := &lane{from: k.target, to: k.client, chunks: make(chan chunk, laneChunks), delivered: &k.shim.traffic.down}
	var both sync.WaitGroup
	for _, l := range []*lane{up, down} {
		both.Go(func() { k.take(ctx, l) })
		both.Go(func() { k.deliver(ctx, l) })
	}
	both.Wait()
}

// connect connects to the target.
func (k *link) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := k.shim.dial(ctx)
	if err != nil {
		k.sever()
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cut {
		return errors.Join(net.ErrClosed, c.Close())
	}
	k.target = c
	return nil
}

// take takes from the sender until it ends, or the link is dead: then nobody reads any more.
func (k *link) take(ctx context.Context, l *lane) {
	defer close(l.chunks)
	buffer := make([]byte, chunkSize)
	var due time.Time
	for {
		n, err := l.from.Read(buffer)
		if n > 0 {
			if next := k.shim.due(); next.After(due) { // what is behind something late is late too
				due = next
			}
			select {
			case l.chunks <- chunk{append([]byte(nil), buffer[:n]...), due}:
			case <-ctx.Done():
			}
		}
		if err != nil {
			l.broken = !errors.Is(err, io.EOF)
			return
		}
		if k.shim.isDead(k) {
			<-ctx.Done()
			return
		}
	}
}

// deliver gives the receiver what is due, and at last the end that the sender made.
func (k *link) deliver(ctx context.Context, l *lane) {
	for c := range l.chunks {
		if !k.pass(ctx, c.due) {
			return
		}
		n, err := l.to.Write(c.bytes)
		l.delivered.Add(int64(n))
		if err != nil {
			k.pass(ctx, time.Now()) // a dead link does not tell
			k.sever()
			return
		}
	}
	if !k.pass(ctx, k.shim.due()) {
		return
	}
	if l.broken {
		k.sever()
		return
	}
	_ = l.to.CloseWrite() // it may be closed already
}

// pass returns when something that is due at an instant may pass, and whether the link is still there then.
func (k *link) pass(ctx context.Context, due time.Time) bool {
	for {
		may, changed := k.shim.passes(k)
		left := time.Until(due)
		if may && left <= 0 {
			return ctx.Err() == nil
		}
		var arrives <-chan time.Time // never
		if may {
			arrives = time.After(left)
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		case <-arrives:
		}
	}
}

// sever resets the connections of the link, as a crash of either side does.
func (k *link) sever() {
	k.over()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cut {
		return
	}
	k.cut = true
	for _, c := range []*net.TCPConn{k.client, k.target} {
		if c != nil {
			_ = c.SetLinger(0) // it may be closed already
			c.Close()
		}
	}
}

// end takes the link out of the shim. Both sides have closed by then, unless it was severed.
func (k *link) end() {
	k.over()
	k.shim.forget(k)
	k.client.Close()
	if k.target != nil {
		k.target.Close()
	}
}
