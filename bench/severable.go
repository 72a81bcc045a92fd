//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// severable is a connection that can be cut, as when a network breaks.
type severable struct {
	client *grpc.ClientConn

	mu    sync.Mutex
	wires []*net.TCPConn
	cut   bool
}

func dialSeverable(address string) (s *severable, err error) {
	s = &severable{}
	s.client, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(s.dial))
	return s, err
}

func (s *severable) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return nil, errors.Join(errors.New("it was cut"), c.Close())
	}
	s.wires = append(s.wires, c.(*net.TCPConn))
	return c, nil
}

// sever cuts the connection in the middle of whatever it carries: the server is sent a reset, and nothing before.
func (s *severable) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for _, w := range s.wires {
		_ = w.SetLinger(0) // it may have ended by itself
		_ = w.Close()
	}
}

func (s *severable) severed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

// watch watches until the connection is cut.
func (s *severable) watch(ctx context.Context, a *audience, i int) error {
	err := a.watch(ctx, s.client, i)
	if s.severed() && gone(err) {
		return nil
	}
	return err
}

func (s *severable) close() { _ = s.client.Close() } // fails only if it is closed
