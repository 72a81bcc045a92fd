package client_test

import (
	"context"
	"io"
	"os"
	"slices"
	"testing"
)

// stage is what examples have in place of a test: a house opens on it, and closes with it.
type stage struct {
	testing.TB
	ctx      context.Context
	leave    context.CancelFunc
	cleanups []func()
}

// example opens a house for an example, with halt in force, and returns what closes it.
func example() (h *house, end func()) {
	s := &stage{}
	s.ctx, s.leave = context.WithCancel(context.Background())
	h = open(s)
	h.settle()
	h.suspend()
	return h, s.end
}

func (s *stage) end() {
	s.leave()
	for _, cleanup := range slices.Backward(s.cleanups) {
		cleanup()
	}
}

func (s *stage) Helper()                  {}
func (s *stage) Context() context.Context { return s.ctx }
func (s *stage) Cleanup(f func())         { s.cleanups = append(s.cleanups, f) }
func (s *stage) Output() io.Writer        { return io.Discard }
func (s *stage) Fatal(args ...any)        { panic(args) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
