package service

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/tap"
)

const (
	// mostStrangers bounds the calls of callers who are not known yet: each may have us hold a message for it.
	mostStrangers = 64
	// strangerFor is how long such a call may take until it is known whose it is.
	strangerFor = 10 * time.Second
)

// errStrangers says that too many calls are under way of which it is not known whose they are.
var errStrangers = errors.New("too many calls are under way of callers who are not known")

// stranger is a call of a caller who is not known yet.
type stranger struct {
	late   *time.Timer
	gone   atomic.Bool
	judged atomic.Bool // what he shows is looked at again, and counted there
}

type strangerKey struct{}

// arrive looks who calls before anything of a message is received, and without waiting for anything: the whole connection waits
// meanwhile. For whoever is not known at this glance there is little room and little time.
func (s *Server) arrive(ctx context.Context, info *tap.Info) (context.Context, error) {
	if s.manner(info.FullMethodName).may.anybody {
		return ctx, nil
	}
	if caller, ok := s.glimpsed(ctx); ok {
		return withCaller(ctx, &caller), nil
	}
	if s.strangers.Add(1) > mostStrangers {
		s.strangers.Add(-1)
		s.glanced(ctx)
		return ctx, statusOf(errStrangers).Err()
	}
	return s.meet(ctx), nil
}

// glimpsed says who calls, if that can be said without waiting. Nothing is looked at from an address where too many were not known.
func (s *Server) glimpsed(ctx context.Context) (Caller, bool) {
	caller, err := s.looked(glance(ctx))
	return caller, err == nil
}

// glance is a context of the call that is over: what would have to be waited for is not.
func glance(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// glanced counts a glance in vain of which nothing else comes: it may have cost as much as a look, and whoever leaves at once would have
// any number for nothing.
func (s *Server) glanced(ctx context.Context) {
	if s.good.sum(ctx) != 0 {
		_ = s.limits[failing].spend(addressOf(ctx), 1) // the next is refused
	}
}

// meet gives a place to a call until it is known whose it is, or it ends.
func (s *Server) meet(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	met := &stranger{late: time.AfterFunc(strangerFor, func() { cancel(context.DeadlineExceeded) })}
	context.AfterFunc(ctx, func() {
		if s.part(met); !met.judged.Load() {
			s.glanced(ctx)
		}
	})
	return context.WithValue(ctx, strangerKey{}, met)
}

// part gives the place of a call to another.
func (s *Server) part(met *stranger) {
	if !met.gone.Swap(true) {
		met.late.Stop()
		s.strangers.Add(-1)
	}
}

// judging says that it is looked at again whose call it is.
func judging(ctx context.Context) {
	if met, ok := ctx.Value(strangerKey{}).(*stranger); ok {
		met.judged.Store(true)
	}
}

// known gives the place of a call to another, now that it is known whose it is.
func (s *Server) known(ctx context.Context) {
	if met, ok := ctx.Value(strangerKey{}).(*stranger); ok {
		s.part(met)
	}
}
