package service

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// errorDomain is the domain of every google.rpc.ErrorInfo of ours.
const errorDomain = "teishi.v1"

// fault is an error as a caller is told it.
type fault struct {
	code     codes.Code
	reason   teishiv1.ErrorReason // unspecified: none is told
	problem  string
	fields   []violation
	own      bool // the fields are those of the request, wherever it has its resource
	metadata map[string]string
	retry    time.Duration // after which it may go better; 0: not told
}

// violation is what is wrong with one field of a request, told by its path: directive.provisions[0].selector.targets.
type violation struct{ field, problem string }

// What is told is bounded, since it travels in trailers, which callers bound too.
const (
	maxViolations = 32
	maxTold       = 512 // bytes of a path or a problem
)

// place puts the fields of a fault where the caller wrote them.
func (f *fault) place(err error) {
	if l, ok := errors.AsType[*placed](err); ok && !f.own {
		f.fields = append([]violation(nil), f.fields...)
		for i := range f.fields {
			f.fields[i].field = l.place(f.fields[i].field)
		}
	}
	if m, ok := errors.AsType[*messageError](err); ok {
		data := map[string]string{"message": strconv.Itoa(m.n)}
		for k, v := range f.metadata {
			data[k] = v
		}
		f.metadata = data
	}
}

// status returns the fault with its details.
func (f *fault) status() *status.Status {
	text := clip(f.problem)
	if len(f.fields) > 0 && f.fields[0].field != "" {
		text = clip(f.fields[0].field) + ": " + text
	}
	st := status.New(f.code, text)
	detailed, err := st.WithDetails(f.details()...)
	if err != nil {
		return st // only an OK cannot have details
	}
	return detailed
}

func (f *fault) details() []protoadapt.MessageV1 {
	var details []protoadapt.MessageV1
	if f.reason != 0 {
		reason := strings.TrimPrefix(f.reason.String(), "ERROR_REASON_")
		data := make(map[string]string, len(f.metadata))
		for k, v := range f.metadata {
			data[k] = clip(v)
		}
		details = append(details, &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: data})
	}
	if len(f.fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range f.fields[:min(len(f.fields), maxViolations)] {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: clip(v.field), Description: clip(v.problem)})
		}
		details = append(details, bad)
	}
	if f.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.retry)})
	}
	return details
}

// withCall adds the id under which the log says more.
func withCall(st *status.Status, id string) *status.Status {
	if detailed, err := st.WithDetails(&errdetails.RequestInfo{RequestId: id}); err == nil {
		return detailed
	}
	return st
}

// clip returns the beginning of a text, if it is long.
func clip(s string) string {
	if len(s) <= maxTold {
		return s
	}
	end := maxTold
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// A placed error names fields of a resource; place says where in the request they are.
type placed struct {
	err   error
	place func(field string) string
}

func (e *placed) Error() string { return e.err.Error() }
func (e *placed) Unwrap() error { return e.err }

// beneath places the fields of a resource in the field of a request that holds it, which the commands know by its name.
func beneath(field string) func(string) string {
	return func(below string) string {
		if below == field {
			return field
		}
		return join(field, below)
	}
}

// asRelease places the fields of a release in a request that has them beside its own.
func asRelease(field string) string {
	if field == "id" {
		return "release"
	}
	return field
}

// asIs places fields where they are.
func asIs(field string) string { return field }

// A messageError is an error of the n-th message of a stream, counted from 1.
type messageError struct {
	n   int
	err error
}

func (e *messageError) Error() string { return fmt.Sprintf("message %d: %v", e.n, e.err) }
func (e *messageError) Unwrap() error { return e.err }

// An absentError says that what a field of a request names is not there.
type absentError struct{ Field, Problem string }

func (e *absentError) Error() string { return e.Field + ": " + e.Problem }

// errNoRecord says that what is asked needs the record itself.
var errNoRecord = errors.New("this server only follows the record, and what is asked needs the record itself: ask an authority")

// absentIn says of what a store does not have that a field of the request names it.
func absentIn(field, problem string, err error) error {
	if errors.Is(err, policystore.ErrNotFound) {
		return &absentError{field, problem}
	}
	return err
}

// A mismatchError says that what is written has changed since the caller looked.
type mismatchError struct {
	What              string
	Expected, Current policy.Revision // 0: it does not exist
}

func (e *mismatchError) Error() string {
	switch {
	case e.Current == 0:
		return fmt.Sprintf("%s does not exist, and revision %d was expected", e.What, e.Expected)
	case e.Expected == 0:
		return fmt.Sprintf("%s exists, at revision %d, and was not to", e.What, e.Current)
	}
	return fmt.Sprintf("%s is at revision %d, and %d was expected", e.What, e.Current, e.Expected)
}

// converted is what the codec returns, its errors placed in the field that was converted.
func converted[M, T any](field string, m M, from func(M) (T, error)) (T, error) {
	r, err := from(m)
	e, ok := errors.AsType[*policystore.FormatError](err)
	switch {
	case !ok:
		return r, err
	case e.Unknown:
		return r, &unknownError{join(field, e.Where), e.Problem}
	}
	return r, &policy.InvalidError{Field: join(field, e.Where), Problem: e.Problem}
}
