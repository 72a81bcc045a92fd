//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ShimConfig says how a shim begins.
type ShimConfig struct {
	// Target is the HOST:PORT it passes connections on to. Default: none, until SetTarget says one.
	Target string
	// Seed of the dice by which packets are lost.
	Seed uint64
}

// Shim is a TCP proxy that is as good as a wire, until it is told otherwise. Its methods may be called at any time by
// several goroutines; what they change holds from then on for open connections too.
type Shim struct {
	address string
	traffic struct{ connections, up, down atomic.Int64 }
	work    sync.WaitGroup // the goroutines of the shim

	mu       sync.Mutex
	listener net.Listener // nil while it is cut or closed
	target   string
	latency  time.Duration
	loss     float64
	flow     flow
	changed  chan struct{} // closed and replaced when flow changes
	links    map[*link]struct{}
	dice     *rand.Rand
}

// flow says what becomes of bytes.
type flow int

const (
	flowing  flow = iota
	held          // they wait
	halfOpen      // connections die, and say nothing of it
	cut           // there are no connections
	closed        // nor will there be
)

// Traffic is what has passed through a shim.
type Traffic struct {
	Connections int64 // accepted
	Up, Down    int64 // bytes delivered to the target, and from it
}

// StartShim starts a shim on a free address of the loopback.
func (c *Cluster) StartShim(config ShimConfig) (*Shim, error) {
	s := &Shim{target: config.Target, flow: cut, changed: make(chan struct{}), links: map[*link]struct{}{}}
	s.dice = rand.New(rand.NewPCG(config.Seed, 0))
	err := onFreeAddress(func(address string) error {
		s.address = address
		return s.Heal()
	})
	if err != nil {
		return nil, err
	}
	return s, c.onClose(s.Close)
}

// Addr returns the HOST:PORT it listens on.
func (s *Shim) Addr() string { return s.address }

// Traffic returns what has passed so far.
func (s *Shim) Traffic() Traffic {
	return Traffic{s.traffic.connections.Load(), s.traffic.up.Load(), s.traffic.down.Load()}
}

// SetTarget passes new connections on to another HOST:PORT. Open ones stay where they are.
func (s *Shim) SetTarget(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = address
}

// Latency delays everything by a duration in each direction. It takes nothing from how much can be under way.
func (s *Shim) Latency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// Loss has packets lost with a probability, as TCP shows it: what is lost comes late, by the time after which it is sent
// again, which doubles each time it is lost again; what is behind it waits. So now and then a connection stalls for seconds.
func (s *Shim) Loss(p float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loss = p
}

// Hold keeps all bytes back, and the ends of connections too. Release delivers them, in order.
func (s *Shim) Hold() { s.setFlow(held) }

// Release delivers what was held back and lets everything flow.
func (s *Shim) Release() { s.setFlow(flowing) }

// HalfOpen is a wire that has silently lost its connections: those that are open, and those that are made from then on,
// pass nothing and are not closed. One may write to them until the buffers are full. They stay so for ever: what heals is
// for those who connect again.
func (s *Shim) HalfOpen() {
	s.setFlow(halfOpen)
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.links {
		k.dead = true
	}
}

// Cut resets all connections and refuses new ones.
func (s *Shim) Cut() { s.shut(cut) }

// Close ends the shim and returns when nothing of it is left. It cannot be healed.
func (s *Shim) Close() error {
	s.shut(closed)
	s.work.Wait()
	return nil
}

// Heal makes the shim as good as a wire again: no latency, no loss, and whoever connects is passed on.
func (s *Shim) Heal() error {
	if err := s.listen(); err != nil {
		return fmt.Errorf("heal the shim on %s: %w", s.address, err)
	}
	s.Latency(0)
	s.Loss(0)
	s.Release()
	return nil
}

// listen accepts connections, if it does not already.
func (s *Shim) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flow == closed {
		return net.ErrClosed
	}
	if s.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.listener = l
	s.work.Go(func() { s.accept(l) })
	return nil
}

// shut refuses connections and resets those that there are.
func (s *Shim) shut(f flow) {
	s.setFlow(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for k := range s.links {
		k.sever()
	}
}

// setFlow changes what becomes of bytes and wakes those who wait for it.
func (s *Shim) setFlow(f flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flow == closed {
		return
	}
	s.flow = f
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Shim) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // it is shut
		}
		s.traffic.connections.Add(1)
		ctx, over := context.WithCancel(context.Background())
		k := &link{shim: s, over: over, client: c.(*net.TCPConn)}
		if !s.admit(k) {
			k.sever()
			continue
		}
		s.work.Go(func() { k.run(ctx) })
	}
}

// admit puts a new connection among the open ones, unless it came too late.
func (s *Shim) admit(k *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flow >= cut {
		return false
	}
	k.dead = s.flow == halfOpen
	s.links[k] = struct{}{}
	return true
}

// forget takes a link out of the open ones.
func (s *Shim) forget(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.links, k)
}

// passes reports whether bytes may pass a link now, and returns what is closed when that may have changed.
func (s *Shim) passes(k *link) (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flow == flowing && !k.dead, s.changed
}

func (s *Shim) isDead(k *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.dead
}

// dial connects to the target.
func (s *Shim) dial(ctx context.Context) (*net.TCPConn, error) {
	s.mu.Lock()
	target := s.target
	s.mu.Unlock()
	if target == "" {
		return nil, errors.New("the shim has no target")
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// due returns when what is sent now arrives.
func (s *Shim) due() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.latency + s.retransmission())
}

// retransmission returns how long the loss of packets delays what is sent now. TCP waits 200 ms at least before it sends
// again.
func (s *Shim) retransmission() time.Duration {
	const first, most = 200 * time.Millisecond, 10 * time.Second
	var late time.Duration
	for wait := first; late < most && s.dice.Float64() < s.loss; wait *= 2 {
		late += wait
	}
	return late
}
