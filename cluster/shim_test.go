//go:build linux

package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/cluster"
)

// echo is a server that sends back what it is sent, and closes when the client has.
type echo struct {
	net.Listener
	work sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	e := &echo{Listener: must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))}
	e.work.Go(func() {
		for {
			c, err := e.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns = append(e.conns, c)
			e.mu.Unlock()
			e.work.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
	t.Cleanup(e.crash)
	return e
}

// crash ends the server and its connections.
func (e *echo) crash() {
	e.Close()
	e.mu.Lock()
	for _, c := range e.conns {
		c.Close()
	}
	e.mu.Unlock()
	e.work.Wait()
}

func (e *echo) address() string { return e.Addr().String() }

func startShim(t *testing.T, target string) *cluster.Shim {
	t.Helper()
	return must[*cluster.Shim](t)(cluster.Test(t).StartShim(cluster.ShimConfig{Target: target, Seed: 1}))
}

func connect(t *testing.T, s *cluster.Shim) *net.TCPConn {
	t.Helper()
	c := must[net.Conn](t)(net.Dial("tcp", s.Addr()))
	check(t, c.SetDeadline(time.Now().Add(cluster.Watchdog)))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// exchange sends a message and sees that it comes back. It returns how long that took.
func exchange(t *testing.T, c net.Conn, message string) time.Duration {
	t.Helper()
	began := time.Now()
	must[int](t)(c.Write([]byte(message)))
	back := make([]byte, len(message))
	must[int](t)(io.ReadFull(c, back))
	if string(back) != message {
		t.Fatalf("%q came back as %q", message, back)
	}
	return time.Since(began)
}

// checkSilence sees that for a while nothing arrives at a connection, and that it is not closed.
func checkSilence(t *testing.T, c net.Conn) {
	t.Helper()
	check(t, c.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %d, %v, want silence", n, err)
	}
	check(t, c.SetReadDeadline(time.Now().Add(cluster.Watchdog)))
}

func TestShimIsAWire(t *testing.T) {
	s := startShim(t, startEcho(t).address())
	c := connect(t, s)
	message := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than all buffers hold
	go func() {
		c.Write(message)
		c.CloseWrite()
	}()
	back := must[[]byte](t)(io.ReadAll(c)) // the end comes through too
	if !bytes.Equal(back, message) {
		t.Errorf("%d bytes came back, want the %d that were sent", len(back), len(message))
	}
	n := int64(len(message))
	if got, want := s.Traffic(), (cluster.Traffic{Connections: 1, Up: n, Down: n}); got != want {
		t.Errorf("Traffic = %+v, want %+v", got, want)
	}
}

func TestShimTellsThatTheTargetIsGone(t *testing.T) {
	e := startEcho(t)
	s := startShim(t, e.address())
	c := connect(t, s)
	exchange(t, c, "hello")
	e.crash()
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read from a target that is gone = %d, %v, want an end", n, err)
	}
	late, err := net.Dial("tcp", s.Addr())
	if err == nil {
		t.Cleanup(func() { late.Close() })
		_, err = late.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connecting to a target that is not there: %v, want a reset", err)
	}
	s.SetTarget(startEcho(t).address())
	exchange(t, connect(t, s), "hello")
}

func TestShimLatency(t *testing.T) {
	s := startShim(t, startEcho(t).address())
	c := connect(t, s)
	exchange(t, c, "hello")
	const latency = 50 * time.Millisecond
	s.Latency(latency)
	if took := exchange(t, c, "hello"); took < 2*latency {
		t.Errorf("there and back took %v, want at least %v", took, 2*latency)
	}
	check(t, s.Heal())
	check(t, cluster.Wait(t.Context(), "latency to be gone", func(context.Context) error {
		if took := exchange(t, c, "hello"); took >= 2*latency {
			return fmt.Errorf("there and back took %v", took)
		}
		return nil
	}))
}

// TestShimLoss sees that what is lost comes late, whole and in order.
func TestShimLoss(t *testing.T) {
	s := startShim(t, startEcho(t).address())
	c := connect(t, s)
	s.Loss(0.3)
	const retransmission = 200 * time.Millisecond
	for n := 0; exchange(t, c, fmt.Sprint("message ", n)) < retransmission; n++ {
	}
}

func TestShimHolds(t *testing.T) {
	s := startShim(t, startEcho(t).address())
	c := connect(t, s)
	exchange(t, c, "hello")
	s.Hold()
	must[int](t)(c.Write([]byte("one ")))
	checkSilence(t, c)
	must[int](t)(c.Write([]byte("two")))
	check(t, c.CloseWrite())
	late := connect(t, s)
	must[int](t)(late.Write([]byte("late")))
	checkSilence(t, late)
	s.Release()
	if back := must[[]byte](t)(io.ReadAll(c)); string(back) != "one two" {
		t.Errorf("released %q, want all in order", back)
	}
	back := make([]byte, 4)
	if _, err := io.ReadFull(late, back); err != nil || string(back) != "late" {
		t.Errorf("released %q, %v for a connection that was made meanwhile", back, err)
	}
}

func TestShimHalfOpen(t *testing.T) {
	e := startEcho(t)
	s := startShim(t, e.address())
	old := connect(t, s)
	exchange(t, old, "hello")
	s.HalfOpen()
	young := connect(t, s)
	for _, c := range []net.Conn{old, young} {
		must[int](t)(c.Write([]byte("hello")))
		checkSilence(t, c)
	}
	e.crash()
	checkSilence(t, old) // not even that is told
	s.SetTarget(startEcho(t).address())
	check(t, s.Heal())
	exchange(t, connect(t, s), "hello")
	for _, c := range []net.Conn{old, young} {
		checkSilence(t, c) // who does not connect again is lost
	}
}

func TestShimCuts(t *testing.T) {
	s := startShim(t, startEcho(t).address())
	c := connect(t, s)
	exchange(t, c, "hello")
	s.Cut()
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read from what was cut = %d, %v, want a reset", n, err)
	}
	if c, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial of what is cut = %v, %v, want that it is refused", c, err)
	}
	check(t, s.Heal())
	exchange(t, connect(t, s), "hello")
}

// TestShimCloses sees that whatever the state of its connections, nothing is left of a shim.
func TestShimCloses(t *testing.T) {
	before := runtime.NumGoroutine()
	e := startEcho(t)
	s := must[*cluster.Shim](t)(cluster.Test(t).StartShim(cluster.ShimConfig{Target: e.address()}))
	exchange(t, connect(t, s), "open")
	s.Hold()
	must[int](t)(connect(t, s).Write([]byte("held")))
	s.HalfOpen()
	must[int](t)(connect(t, s).Write([]byte("dead")))
	s.Release()
	s.Latency(time.Hour)
	must[int](t)(connect(t, s).Write([]byte("under way")))
	check(t, s.Close())
	check(t, s.Close())
	if err := s.Heal(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Heal of a closed shim = %v, want %v", err, net.ErrClosed)
	}
	e.crash()
	const spawner = 1 // of the cluster
	check(t, cluster.Wait(t.Context(), "goroutines to end", func(context.Context) error {
		if after := runtime.NumGoroutine(); after > before+spawner {
			stacks := make([]byte, 1<<16)
			return fmt.Errorf("%d, want %d:\n%s", after, before+spawner, stacks[:runtime.Stack(stacks, true)])
		}
		return nil
	}))
}
