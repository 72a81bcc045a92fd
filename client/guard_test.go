package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
)

// fixed answers every question so.
type fixed struct {
	decision client.Decision
	err      error
}

func (f fixed) Check(context.Context, client.Query) (client.Decision, error) {
	return f.decision, f.err
}

func decided(m *teishiv1.CheckResponse) fixed { return fixed{decision: client.DecisionOf(m)} }

// obliged is ALLOWED with an obligation.
func obliged() *teishiv1.CheckResponse {
	m := answered(teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Reason_REASON_RELEASED)
	m.Obligations = []*teishiv1.Obligation{{Id: "log", Text: "Keep a log", Directive: "halt", Release: "public"}}
	return m
}

// suspended is DENIED on an authority.
func suspended() *teishiv1.CheckResponse {
	m := no()
	m.Citations = []*teishiv1.Citation{{Directive: "halt", Provision: "all", Authority: "mic", Title: "Halt"}}
	m.CitationsTotal = 1
	m.Alternatives = []*teishiv1.Alternative{{Id: "phone", Text: "Telephone"}}
	return m
}

func failed(code codes.Code, retry time.Duration) fixed {
	return fixed{err: &client.UndecidedError{Code: code, RetryAfter: retry, Err: errors.New("10.0.0.1: secret")}}
}

func honouring(err error) func(context.Context, client.Query, []client.Obligation) error {
	return func(context.Context, client.Query, []client.Obligation) error { return err }
}

// gates are what a gate does in every case.
var gates = map[string]struct {
	checker client.Checker
	honour  func(context.Context, client.Query, []client.Obligation) error
	query   error
	status  int
	code    codes.Code
	says    string // in the body
	reason  string // in the details of the status
	retry   string // Retry-After
}{
	"allowed":              {checker: decided(yes()), status: 200, code: codes.OK},
	"denied":               {checker: decided(suspended()), status: 403, code: codes.PermissionDenied, says: `"reason":"SUSPENDED","citations":[{"directive":"halt"`, reason: "SUSPENDED"},
	"indeterminate":        {checker: decided(answered(3, teishiv1.Reason_REASON_MISSING_ATTRIBUTE)), status: 403, code: codes.PermissionDenied, says: `"outcome":"INDETERMINATE"`, reason: "MISSING_ATTRIBUTE"},
	"zero":                 {checker: fixed{}, status: 503, code: codes.Unavailable, says: `"outcome":"UNDECIDED"`, retry: "1"},
	"undecided":            {checker: failed(codes.Unavailable, 1500*time.Millisecond), status: 503, code: codes.Unavailable, says: `"outcome":"UNDECIDED"`, retry: "2"},
	"undecided for good":   {checker: failed(codes.InvalidArgument, 0), status: 503, code: codes.Unavailable, retry: "1"},
	"foreign error":        {checker: fixed{err: errors.New("secret")}, status: 503, code: codes.Unavailable, retry: "1"},
	"allowed and an error": {checker: fixed{client.DecisionOf(yes()), errors.New("secret")}, status: 503, code: codes.Unavailable, retry: "1"},
	"obligation":           {checker: decided(obliged()), status: 403, code: codes.PermissionDenied, says: `"obligations":[{"id":"log"`, reason: "RELEASED"},
	"honoured":             {checker: decided(obliged()), honour: honouring(nil), status: 200, code: codes.OK},
	"not honoured":         {checker: decided(obliged()), honour: honouring(errors.New("secret")), status: 403, code: codes.PermissionDenied, says: `"outcome":"ALLOWED"`, reason: "RELEASED"},
	"denied and honoured":  {checker: decided(suspended()), honour: honouring(nil), status: 403, code: codes.PermissionDenied, reason: "SUSPENDED"},
	"unguarded":            {checker: decided(no()), query: client.ErrUnguarded, status: 200, code: codes.OK},
	"unasked":              {checker: decided(yes()), query: errors.New("secret"), status: 400, code: codes.InvalidArgument},
}

func TestGuard(t *testing.T) {
	for name, c := range gates {
		t.Run(name, func(t *testing.T) {
			passed := false
			next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })
			gate := client.Gate{Checker: c.checker, Honour: c.honour, Logger: logger(t)}
			guarded := gate.Guard(func(*http.Request) (client.Query, error) { return city, c.query })(next)
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/feedback", nil))
			if w.Code != c.status || passed != (c.status == 200) || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Retry-After") != c.retry {
				t.Errorf("%d %v, passed %v: %s; want %d", w.Code, w.Header(), passed, w.Body, c.status)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("the body tells a stranger too much: %s", w.Body)
			}
			if passed {
				return
			}
			var body struct{ Status int }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Status != c.status || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("the body is no problem: %v, %s: %s", err, w.Header(), w.Body)
			}
		})
	}
}

func TestUnaryServerInterceptor(t *testing.T) {
	for name, c := range gates {
		t.Run(name, func(t *testing.T) {
			passed := false
			gate := client.Gate{Checker: c.checker, Honour: c.honour, Logger: logger(t)}
			intercept := gate.UnaryServerInterceptor(func(context.Context, any, *grpc.UnaryServerInfo) (client.Query, error) { return city, c.query })
			_, err := intercept(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/x.Y/Z"}, func(context.Context, any) (any, error) {
				passed = true
				return nil, nil
			})
			s := status.Convert(err)
			if s.Code() != c.code || passed != (c.code == codes.OK) || strings.Contains(s.Message(), "secret") {
				t.Errorf("%v, passed %v, want %s", err, passed, c.code)
			}
			reason, retry := "", time.Duration(0)
			for _, d := range s.Details() {
				switch d := d.(type) {
				case *errdetails.ErrorInfo:
					reason = d.Reason
				case *errdetails.RetryInfo:
					retry = d.RetryDelay.AsDuration()
				}
			}
			if reason != c.reason || (retry > 0) != (c.retry != "") {
				t.Errorf("the details are %v, want %s", s.Details(), c.reason)
			}
		})
	}
}

// TestUnaskedStatus is told as the query function says it.
func TestUnaskedStatus(t *testing.T) {
	intercept := client.UnaryServerInterceptor(decided(yes()), func(context.Context, any, *grpc.UnaryServerInfo) (client.Query, error) {
		return client.Query{}, status.Error(codes.Unauthenticated, "who are you?")
	})
	_, err := intercept(t.Context(), nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, nil })
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a caller who is not known is told %v", err)
	}
}
