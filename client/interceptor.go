package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// QueryOfCall says what a call asks for. [ErrUnguarded] lets it through; any other error refuses it, with its own status if it
// has one and INVALID_ARGUMENT if not.
type QueryOfCall func(ctx context.Context, req any, info *grpc.UnaryServerInfo) (Query, error)

// UnaryServerInterceptor guards every unary method of a server: it is called if the answer is ALLOWED without obligations. A
// denial is PERMISSION_DENIED with its reason, and where there is no answer it is UNAVAILABLE. Streams are another interceptor's:
// guard them in their handlers, by Check.
func UnaryServerInterceptor(c Checker, query QueryOfCall) grpc.UnaryServerInterceptor {
	return Gate{Checker: c}.UnaryServerInterceptor(query)
}

// UnaryServerInterceptor guards every unary method of a server.
func (g Gate) UnaryServerInterceptor(query QueryOfCall) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		q, err := query(ctx, req, info)
		switch {
		case errors.Is(err, ErrUnguarded):
			return handler(ctx, req)
		case err != nil:
			g.complain(ctx, info.FullMethod, err)
			return nil, unasked(err)
		}
		if err := g.open(ctx, q); err != nil {
			return nil, g.status(ctx, info.FullMethod, err)
		}
		return handler(ctx, req)
	}
}

// unasked is told of a call that does not say what to ask.
func unasked(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		return s.Err()
	}
	return status.Error(codes.InvalidArgument, "the call does not say what to decide about")
}

// status is told of a call that is not let through. Why there is no answer is for our log.
func (g Gate) status(ctx context.Context, method string, err error) error {
	denied, ok := errors.AsType[*DeniedError](err)
	if ok && denied.Unhonoured == nil {
		return forbidden(denied, denied.Error())
	}
	g.complain(ctx, method, err)
	if ok {
		return forbidden(denied, unhonoured)
	}
	after := time.Duration(retryAfter(err)) * time.Second
	return with(codes.Unavailable, undecidable, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
}

func forbidden(denied *DeniedError, message string) error {
	info := &errdetails.ErrorInfo{
		Domain:   domain,
		Reason:   string(denied.Decision.Reason()),
		Metadata: map[string]string{"outcome": string(denied.Decision.Outcome())},
	}
	return with(codes.PermissionDenied, message, info)
}

// with returns a status with a detail.
func with(code codes.Code, message string, detail protoadapt.MessageV1) error {
	s := status.New(code, message)
	if detailed, err := s.WithDetails(detail); err == nil {
		s = detailed
	}
	return s.Err()
}
