package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// call is one call on its way through the chain.
type call struct {
	method   string
	manner   manner
	received any // the first message of the caller
	sent     any // the last message of ours
	answer   grpc.UnaryHandler
	converse func(context.Context) error // of a stream, in place of answer
	caller   *Caller                     // nil until it is known
	granting granting                    // by which it is permitted
}

// step is what is left of the chain from some place on.
type step func(ctx context.Context, c *call) error

// link puts one part of the chain before the rest.
type link func(rest step) step

// check judges one message of a caller.
type check func(c *call, m proto.Message) error

// chained makes the chain of the links. The last step answers.
func (s *Server) chained(links ...link) step {
	chain := step(s.perform)
	for _, put := range slices.Backward(links) {
		chain = put(chain)
	}
	return chain
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	c := &call{method: info.FullMethod, manner: manners[info.FullMethod], received: req, answer: handler}
	err := s.chain(ctx, c)
	return c.sent, err
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := &call{method: info.FullMethod, manner: s.manner(info.FullMethod)}
	c.converse = func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		if c.manner.endless && !failpoint.Without("drain") {
			defer context.AfterFunc(s.ending, func() { cancel(errDraining) })()
		}
		if c.manner.endless && c.caller != nil && !c.caller.Expires.IsZero() {
			defer time.AfterFunc(time.Until(c.caller.Expires), func() { cancel(errAged) }).Stop()
		}
		converse := func() error {
			return handler(srv, &stream{ServerStream: ss, ctx: ctx, server: s, call: c, apart: info.IsClientStream})
		}
		if c.manner.endless && info.IsClientStream {
			return s.apart(ctx, converse)
		}
		return converse()
	}
	return s.chain(ss.Context(), c)
}

// apart has a handler answer many messages of a caller, and leaves it when ctx ends: what it receives and sends ends with the stream.
func (s *Server) apart(ctx context.Context, converse func() error) error {
	s.handlers.Add(1)
	return abandoning(ctx, func() error {
		defer s.handlers.Done()
		return safely(converse)
	})
}

// abandoning does something, and leaves it to itself when ctx ends. What it receives or sends is to end with its stream.
func abandoning(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// perform is the last step.
func (s *Server) perform(ctx context.Context, c *call) (err error) {
	if c.converse != nil {
		return c.converse(ctx)
	}
	if err := s.admit(c, c.received); err != nil {
		return err
	}
	c.sent, err = c.answer(ctx, c.received)
	return err
}

// admit judges a message of the caller by every check.
func (s *Server) admit(c *call, req any) error {
	if c.received == nil {
		c.received = req
	}
	m, ok := req.(proto.Message)
	if !ok {
		return fmt.Errorf("a message of %s is a %T", c.method, req)
	}
	for _, check := range s.checks {
		if err := check(c, m); err != nil {
			return err
		}
	}
	return nil
}

// stream judges the messages of a stream one by one, and ends an endless one when the server drains.
type stream struct {
	grpc.ServerStream
	ctx    context.Context
	server *Server
	call   *call
	apart  bool // nobody waits for the handler
}

// Context ends with the stream, and if it is endless when the server drains.
func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg receives a message that every check allows.
func (s *stream) RecvMsg(m any) error {
	if err := s.receive(m); err != nil {
		return err
	}
	return s.server.admit(s.call, m)
}

func (s *stream) receive(m any) error {
	if !s.call.manner.endless || s.apart {
		return s.ServerStream.RecvMsg(m)
	}
	return abandoning(s.ctx, func() error { return s.ServerStream.RecvMsg(m) })
}

// SendMsg remembers what was sent last, unless there is no end of it: then it sees to it that the caller still may receive it.
func (s *stream) SendMsg(m any) error {
	if !s.call.manner.endless {
		s.call.sent = m
		return s.ServerStream.SendMsg(m)
	}
	if err := s.server.still(s.ctx, s.call); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// recovered makes an error of a panic, which is our own bug.
func recovered(rest step) step {
	return func(ctx context.Context, c *call) error {
		return safely(func() error { return rest(ctx, c) })
	}
}

// safely does something whose panic is an error.
func safely(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return do()
}

// A panicError is a panic with where it happened.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// concluded makes a status of an error, and logs how the call ended: every one that is administrative, unless it is made all
// the time, and every one that failed by our own fault.
func (s *Server) concluded(rest step) step {
	return func(ctx context.Context, c *call) error {
		if !c.manner.plain && !c.manner.quiet {
			return s.conclude(ctx, c, rest)
		}
		if err := rest(ctx, c); err != nil {
			return s.refuse(ctx, c, err)
		}
		return nil
	}
}

func (s *Server) conclude(ctx context.Context, c *call, rest step) error {
	began := time.Now()
	err := rest(ctx, c)
	id := callID(ctx)
	_ = grpc.SetTrailer(ctx, metadata.Pairs(callIDKey, id)) // fails only where no call is to be answered
	attrs := append(c.attrs(), slog.String("call", id), slog.Duration("took", time.Since(began)))
	if err == nil {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "answered", attrs...)
		return nil
	}
	st := statusOf(err)
	if st.Code() == codes.Internal {
		return s.failed(ctx, st, err, id, attrs)
	}
	if _, ok := errors.AsType[*limitedError](err); ok && c.manner.class != writing {
		return st.Err() // the log says so now and then: a flood must not flood it
	}
	attrs = append(attrs, slog.String("peer", peerOf(ctx)), slog.String("code", st.Code().String()), slog.Any("error", err))
	s.logger.LogAttrs(ctx, slog.LevelWarn, "refused", attrs...)
	return st.Err()
}

// peerOf returns the address that the call comes from: where somebody is refused who is not known, it is all there is of him.
func peerOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	return p.Addr.String()
}

// refuse makes the status of an error of a plain call.
func (s *Server) refuse(ctx context.Context, c *call, err error) error {
	st := statusOf(err)
	if st.Code() == codes.Internal {
		return s.failed(ctx, st, err, callID(ctx), c.attrs())
	}
	return st.Err()
}

// failed logs what the caller is not told, under an id that it is told.
func (s *Server) failed(ctx context.Context, st *status.Status, cause error, id string, attrs []slog.Attr) error {
	attrs = append(attrs, slog.String("call", id), slog.Any("error", cause))
	s.logger.LogAttrs(ctx, slog.LevelError, "failed", attrs...)
	return withCall(st, id).Err()
}

// attrs returns what identifies the call in the log.
func (c *call) attrs() []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 8), slog.String("method", method(c.method)))
	if c.manner.plain || c.manner.quiet {
		return attrs
	}
	if c.caller != nil {
		attrs = append(attrs, slog.String("principal", c.caller.Principal))
	}
	id := ""
	if sent, ok := c.sent.(interface{ GetRequestId() string }); ok {
		id = sent.GetRequestId()
	}
	if received, ok := c.received.(interface{ GetRequestId() string }); ok && id == "" {
		id = received.GetRequestId()
	}
	if id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	if sent, ok := c.sent.(interface{ GetRevision() int64 }); ok && sent.GetRevision() != 0 {
		attrs = append(attrs, slog.Int64("revision", sent.GetRevision()))
	}
	return attrs
}

// callIDKey is the metadata in which a caller may name its call, and in which the name is told back.
const callIDKey = "x-request-id"

const maxCallID = 128

// callID returns the name that the caller gave the call, or a new one.
func callID(ctx context.Context) string {
	if given := givenID(ctx); given != "" {
		return given
	}
	return rand.Text()
}

// givenID returns the name that the caller gave the call, if that is one.
func givenID(ctx context.Context) string {
	given := metadata.ValueFromIncomingContext(ctx, callIDKey)
	if len(given) == 1 && len(given[0]) <= maxCallID && printable(given[0]) {
		return given[0]
	}
	return ""
}

// printable reports whether s is printable ASCII without space.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// errDraining says that the server is about to end.
var errDraining = errors.New("the server is shutting down")
