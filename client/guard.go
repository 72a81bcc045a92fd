package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// QueryOf says what a request asks for. [ErrUnguarded] lets it through; any other error refuses it.
type QueryOf func(*http.Request) (Query, error)

// Guard returns what guards a handler: it is called if the answer is ALLOWED without obligations. A denial is 403 with its
// reason, as a problem of RFC 9457; where there is no answer it is 503 with Retry-After.
func Guard(c Checker, query QueryOf) func(http.Handler) http.Handler {
	return Gate{Checker: c}.Guard(query)
}

// Guard returns what guards a handler.
func (g Gate) Guard(query QueryOf) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := g.admit(r, query); err != nil {
				g.refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// admit returns nil if the request may pass.
func (g *Gate) admit(r *http.Request, query QueryOf) error {
	q, err := query(r)
	switch {
	case errors.Is(err, ErrUnguarded):
		return nil
	case err != nil:
		return &unaskedError{err}
	}
	return g.open(r.Context(), q)
}

// An unaskedError says that a request does not say what to ask.
type unaskedError struct{ err error }

func (e *unaskedError) Error() string { return e.err.Error() }
func (e *unaskedError) Unwrap() error { return e.err }

// problem is the body of what is refused (RFC 9457).
type problem struct {
	Type    string  `json:"type"`
	Title   string  `json:"title"`
	Status  int     `json:"status"`
	Detail  string  `json:"detail"`
	Outcome Outcome `json:"outcome,omitempty"`
	Reason  Reason  `json:"reason,omitempty"`
	*refusal
}

// refusal is what of the details concerns whoever was refused.
type refusal struct {
	Citations         []Citation    `json:"citations,omitempty"`
	Obligations       []Obligation  `json:"obligations,omitempty"` // that are not honoured
	Missing           Missing       `json:"missing,omitzero"`
	PermittedPurposes []string      `json:"permitted_purposes,omitempty"`
	Alternatives      []Alternative `json:"alternatives,omitempty"`
}

// refuse answers a request that is not let through. Why there is no answer is for our log.
func (g Gate) refuse(w http.ResponseWriter, r *http.Request, err error) {
	denied, ok := errors.AsType[*DeniedError](err)
	if ok && denied.Unhonoured == nil {
		forbid(w, denied)
		return
	}
	g.complain(r.Context(), r.URL.Path, err)
	if ok {
		forbid(w, denied)
		return
	}
	if _, ok := errors.AsType[*unaskedError](err); ok {
		write(w, problem{Status: http.StatusBadRequest, Detail: "the request does not say what to decide about"})
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter(err)))
	write(w, problem{Status: http.StatusServiceUnavailable, Outcome: Undecided, Detail: undecidable})
}

func forbid(w http.ResponseWriter, denied *DeniedError) {
	d := denied.Decision.Details()
	p := problem{
		Status:  http.StatusForbidden,
		Outcome: denied.Decision.Outcome(),
		Reason:  denied.Decision.Reason(),
		Detail:  "this is not permitted",
		refusal: &refusal{d.Citations, nil, d.Missing, d.PermittedPurposes, d.Alternatives},
	}
	if denied.Unhonoured != nil {
		p.Detail, p.Obligations = unhonoured, d.Obligations
	}
	write(w, p)
}

// retryAfter returns after how many seconds to try again.
func retryAfter(err error) int {
	e := undecided(err)
	return max(1, int((e.RetryAfter+time.Second-1)/time.Second))
}

func write(w http.ResponseWriter, p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // fails only where nobody reads it
}
