package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// An UndecidedError says that there is no answer. It is no denial: nothing is known of what was asked.
type UndecidedError struct {
	Code       codes.Code    // what sort of trouble it was
	Reason     string        // that of the server, as `TOO_STALE`: a teishi.v1.ErrorReason without its prefix; may be empty
	RetryAfter time.Duration // when the server said that it may go better; 0 if it did not
	Err        error         // the cause
}

func (e *UndecidedError) Error() string { return fmt.Sprintf("could not decide: %v", e.Err) }

// Unwrap returns the cause.
func (e *UndecidedError) Unwrap() error { return e.Err }

// Temporary reports whether the same question may well be decided later. Nothing that whoever asks has put into a question makes
// it so: [Allow] counts on that.
func (e *UndecidedError) Temporary() bool {
	switch e.Code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	case codes.ResourceExhausted:
		return e.Reason == "LIMIT_EXCEEDED"
	}
	return false
}

// errNothing is the cause of a Decision that nobody has made.
var errNothing = errors.New("nothing was asked")

// errClosed is the cause once the client is closed.
var errClosed = errors.New("the client is closed")

// undecided says of an error what a caller can act on.
func undecided(err error) *UndecidedError {
	if e, ok := errors.AsType[*UndecidedError](err); ok {
		return e
	}
	if s, ok := status.FromError(err); ok {
		e := &UndecidedError{Code: s.Code(), Err: err}
		e.read(s)
		return e
	}
	e := &UndecidedError{Code: codes.Internal, Err: err}
	for _, row := range troubles {
		if errors.Is(err, row.err) {
			e.Code, e.Reason = row.code, row.reason
			return e
		}
	}
	if _, ok := errors.AsType[*policy.InvalidError](err); ok {
		e.Code, e.Reason = codes.InvalidArgument, "INVALID_FIELD"
	}
	if _, ok := errors.AsType[*sizeError](err); ok {
		e.Code, e.Reason = codes.ResourceExhausted, "MESSAGE_TOO_LARGE"
	}
	return e
}

// troubles are what a local policy says, in words of the server.
var troubles = []struct {
	err    error
	code   codes.Code
	reason string
}{
	{policystore.ErrNotReached, codes.Unavailable, "REVISION_NOT_REACHED"},
	{policystore.ErrTooStale, codes.Unavailable, "TOO_STALE"},
	{policystore.ErrEpochMismatch, codes.FailedPrecondition, "EPOCH_MISMATCH"},
	{policystore.ErrUnavailable, codes.Unavailable, "STORE_UNAVAILABLE"},
	{context.DeadlineExceeded, codes.DeadlineExceeded, ""},
	{context.Canceled, codes.Canceled, ""},
	{errClosed, codes.Canceled, ""},
}

// domain is that of the reasons of our servers.
const domain = "teishi.v1"

// read takes what the details of a status say.
func (e *UndecidedError) read(s *status.Status) {
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.Domain == domain {
				e.Reason = d.Reason
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = max(0, d.GetRetryDelay().AsDuration())
		}
	}
}

// A DeniedError says that the answer does not permit it: DENIED, INDETERMINATE, or ALLOWED with obligations that nobody has
// honoured.
type DeniedError struct {
	Decision Decision
	// Unhonoured says why obligations were not honoured; nil if it is not about them.
	Unhonoured error
}

func (e *DeniedError) Error() string {
	if e.Unhonoured != nil {
		return fmt.Sprintf("refused: an obligation is not honoured: %v", e.Unhonoured)
	}
	d := e.Decision.Details()
	named := make([]string, 0, maxNamed)
	for _, c := range d.Citations[:min(len(d.Citations), maxNamed)] {
		named = append(named, c.String())
	}
	said := e.Decision.String()
	if len(named) > 0 {
		said += ": " + strings.Join(named, ", ")
	}
	if more := d.CitationsTotal - len(named); more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said
}

// maxNamed is how many citations an error names.
const maxNamed = 3

// Unwrap returns why obligations were not honoured.
func (e *DeniedError) Unwrap() error { return e.Unhonoured }
