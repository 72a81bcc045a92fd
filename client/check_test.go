package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/teishi-dev/teishi/client"
)

// both runs a test with a client that asks and one that decides itself.
func both(t *testing.T, h *house, test func(*testing.T, client.Client)) {
	t.Helper()
	t.Run("remote", func(t *testing.T) { test(t, remote(t, h.address, client.Config{})) })
	t.Run("local", func(t *testing.T) { test(t, local(t, h.address, client.Config{})) })
}

func TestCheck(t *testing.T) {
	h := open(t)
	h.settle()
	h.suspend()
	both(t, h, func(t *testing.T, c client.Client) {
		for _, want := range []struct {
			query       client.Query
			outcome     client.Outcome
			reason      client.Reason
			obligations int
		}{
			{mic, client.Denied, client.Suspended, 0},
			{public, client.Allowed, client.Released, 1},
			{vague, client.Indeterminate, client.MissingAttribute, 0},
			{city, client.Allowed, client.NoDirective, 0},
			{nobody, client.Denied, client.UnknownOrganization, 0},
		} {
			want.query.MinRevision = h.written
			d, err := c.Check(t.Context(), want.query)
			if err != nil || d.Outcome() != want.outcome || d.Reason() != want.reason || len(d.Obligations()) != want.obligations {
				t.Errorf("Check(%v) = %v with %d obligations, %v, want %s: %s with %d", want.query, d, len(d.Obligations()), err, want.outcome, want.reason, want.obligations)
			}
			if d.Allowed() != (want.outcome == client.Allowed) || (d.Err() == nil) != d.Allowed() || d.Overridden() || d.Cause() != nil {
				t.Errorf("Check(%v): Allowed() = %v, Err() = %v, Cause() = %v", want.query, d.Allowed(), d.Err(), d.Cause())
			}
		}
	})
}

// TestDenied is told by an error with its grounds, which is not that of what could not be decided.
func TestDenied(t *testing.T) {
	h := open(t)
	h.settle()
	h.suspend()
	both(t, h, func(t *testing.T, c client.Client) {
		h.caughtUp(c)
		d, err := c.Check(t.Context(), mic)
		if err != nil {
			t.Fatal(err)
		}
		denied, ok := errors.AsType[*client.DeniedError](d.Err())
		if !ok || !strings.Contains(denied.Error(), "DENIED: SUSPENDED: halt/all of mic (Halt)") {
			t.Errorf("Err() = %v, want the directive named", d.Err())
		}
		if _, ok := errors.AsType[*client.UndecidedError](d.Err()); ok {
			t.Errorf("%v is said to be undecided", d.Err())
		}
	})
}

// TestUndecided is an error that is no denial, of a code and a reason.
func TestUndecided(t *testing.T) {
	h := open(t)
	h.settle()
	both(t, h, func(t *testing.T, c client.Client) {
		for _, want := range []struct {
			query  client.Query
			code   codes.Code
			reason string
			within time.Duration
		}{
			{client.Query{App: "line"}, codes.InvalidArgument, "INVALID_FIELD", time.Minute},
			{client.Query{Organization: "mic"}, codes.InvalidArgument, "INVALID_FIELD", time.Minute},
			{client.Query{Organization: "mic", App: strings.Repeat("a", 256)}, codes.InvalidArgument, "INVALID_FIELD", time.Minute},
			{client.Query{Organization: "mic", App: "line", Purpose: "\xff"}, codes.InvalidArgument, "INVALID_FIELD", time.Minute},
			{client.Query{Organization: "mic", App: "line", Attributes: map[string]string{"a": strings.Repeat("a", 64<<10)}}, codes.ResourceExhausted, "MESSAGE_TOO_LARGE", time.Minute},
			{client.Query{Organization: "mic", App: "line", MinRevision: -1}, codes.InvalidArgument, "INVALID_FIELD", time.Minute},
			{client.Query{Organization: "mic", App: "line", MinRevision: 1000}, codes.Unavailable, "REVISION_NOT_REACHED", 300 * time.Millisecond},
			{client.Query{Organization: "mic", App: "line", Epoch: 2}, codes.Unavailable, "REVISION_NOT_REACHED", 300 * time.Millisecond},
			{client.Query{Organization: "mic", App: "line", MaxStaleness: 1}, codes.Unavailable, "TOO_STALE", time.Minute},
			{client.Query{Organization: "mic", App: "line", MaxStaleness: -1}, codes.InvalidArgument, "INVALID_FIELD", time.Minute},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), want.within)
			d, err := c.Check(ctx, want.query)
			cancel()
			e, ok := errors.AsType[*client.UndecidedError](err)
			if ok && e.Code == codes.DeadlineExceeded && want.reason == "REVISION_NOT_REACHED" {
				e.Code, e.Reason = want.code, want.reason // gRPC asked again, until there was no time left
			}
			if !ok || e.Code != want.code || e.Reason != want.reason {
				t.Errorf("Check(%.60v) = %v, want %s, %s", want.query, err, want.code, want.reason)
			}
			if d.Allowed() || d.Outcome() != client.Undecided || d.Err() == nil || d.Cause() == nil || len(d.Obligations()) != 0 {
				t.Errorf("Check(%.60v) is %v, and fails as %v", want.query, d, err)
			}
			if _, ok := errors.AsType[*client.DeniedError](d.Err()); ok {
				t.Errorf("Check(%.60v) says it is denied", want.query)
			}
		}
	})
}

// TestZero is not allowed.
func TestZero(t *testing.T) {
	var d client.Decision
	if d.Allowed() || d.Err() == nil || d.Outcome() != client.Undecided || d.Reason() != "" || len(d.Obligations()) != 0 || d.Overridden() || d.String() != "UNDECIDED" {
		t.Errorf("the zero Decision is %v, Allowed() = %v, Err() = %v", d, d.Allowed(), d.Err())
	}
}
