package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// told is a status in short: its code, and the reason, metadata and fields of its details.
func told(st *status.Status) string {
	parts := []string{st.Code().String()}
	infos := 0
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			infos++
			parts = append(parts, d.Reason)
			for _, key := range []string{"kind", "id", "retired", "revision", "current_revision", "current_epoch", "referrers", "directive", "directives", "proposal",
				"size", "class", "limit", "fit", "domain", "request_id", "applied_revision", "known_revision", "applied_epoch", "known_epoch", "message"} {
				if v, ok := d.Metadata[key]; ok {
					parts = append(parts, key+"="+v)
				}
			}
			if d.Domain != "teishi.v1" {
				parts = append(parts, "of domain "+d.Domain)
			}
		case *errdetails.BadRequest:
			for _, v := range d.FieldViolations {
				parts = append(parts, "at "+v.Field)
			}
		case *errdetails.RetryInfo:
			parts = append(parts, "retry "+d.RetryDelay.AsDuration().String())
		}
	}
	if infos > 1 {
		parts = append(parts, "with two infos")
	}
	return strings.Join(parts, " ")
}

func rejected(t *testing.T) error {
	err := protovalidate.Validate(&teishiv1.GetAppRequest{Id: "LINE"})
	if err == nil {
		t.Fatal("a bad id is valid")
	}
	return err
}

// TestTable has an error of each row, wrapped, with a cause that other rows would take where it has one.
func TestTable(t *testing.T) {
	app := policy.Key{Kind: policy.KindApp, ID: "line"}
	lift := policy.Key{Kind: policy.KindRelease, Directive: "halt", ID: "l"}
	rows := []struct {
		err  error
		want string
	}{
		{&UnauthenticatedError{"no token"}, "Unauthenticated UNAUTHENTICATED"},
		{errNotGranted, "PermissionDenied NOT_GRANTED"},
		{&takenError{"point-0", "taken"}, "PermissionDenied NOT_GRANTED at id"},
		{errStrangers, "ResourceExhausted LIMIT_EXCEEDED limit=64 retry 1s"},
		{&policy.NotGrantedError{Role: policy.Issuer, Over: "mic"}, "PermissionDenied NOT_GRANTED"},
		{&approvalError{[]policy.ApprovalNeed{{Directive: "halt", Approvals: 2}, {Directive: "other", Approvals: 1}}}, "FailedPrecondition APPROVAL_REQUIRED directives=halt (2), other (1)"},
		{policy.ErrLastAdministrator, "FailedPrecondition LAST_ADMINISTRATOR"},
		{&policy.ProposalError{ID: "p", Problem: "it lapsed"}, "FailedPrecondition NOT_APPROVABLE proposal=p"},
		{errAged, "Unavailable STREAM_ENDED retry 1s"},
		{&unknownError{"a.b", "unknown"}, "InvalidArgument UNKNOWN_FIELD at a.b"},
		{&policy.InvalidError{Field: "a", Problem: "bad"}, "InvalidArgument INVALID_FIELD at a"},
		{rejected(t), "InvalidArgument INVALID_FIELD at id"},
		{&policy.ReferenceError{Field: "a", Key: app, Retired: true}, "InvalidArgument UNKNOWN_REFERENCE kind=app id=line retired=true at a"},
		{&absentError{"revision", "none"}, "NotFound RESOURCE_NOT_FOUND at revision"},
		{&policy.NotFoundError{Key: lift}, "NotFound RESOURCE_NOT_FOUND kind=release id=l directive=halt"},
		{&policy.ExistsError{Key: app}, "AlreadyExists RESOURCE_EXISTS kind=app id=line"},
		{&policy.HeldError{Field: "a", Name: "ios:x", Holder: app}, "AlreadyExists IDENTIFIER_HELD kind=app id=line at a"},
		{&policystore.RequestReusedError{RequestID: "r", Revision: 7}, "AlreadyExists REQUEST_ID_REUSED revision=7 at request_id"},
		{&mismatchError{What: "app line", Expected: 1, Current: 7}, "Aborted REVISION_MISMATCH current_revision=7 at expect_revision"},
		{policystore.ErrContention, "Aborted WRITE_CONTENTION retry 100ms"},
		{&policy.ReferencedError{Key: app, By: []policy.Key{lift, app}}, "FailedPrecondition REFERENCED kind=app id=line referrers=release halt/l, app line"},
		{&policystore.EpochError{Wanted: 1, Epoch: 2}, "FailedPrecondition EPOCH_MISMATCH current_epoch=2 at epoch"},
		{fmt.Errorf("%w: %w", policystore.ErrRewound, policystore.ErrDiverged), "FailedPrecondition RECORD_REWOUND"},
		{policystore.ErrDiverged, "FailedPrecondition RECORD_DIVERGED"},
		{policystore.ErrEpoch, "FailedPrecondition EPOCH_MISMATCH"},
		{&domainError{Wanted: "other", Domain: "teishi"}, "FailedPrecondition DOMAIN_MISMATCH domain=teishi at domain"},
		{errNoRecord, "FailedPrecondition NO_RECORD"},
		{&policystore.TroubleError{Trouble: policystore.Behind, Err: errors.New("not yet")}, "Unavailable REVISION_NOT_REACHED retry 1s"},
		{&policy.RuleError{Directive: "halt", Field: "ground", Problem: "no"}, "FailedPrecondition NOT_PERMITTED_BY_DIRECTIVE directive=halt at ground"},
		{&policystore.EntryTooLargeError{Size: 9, Fit: 3}, "ResourceExhausted ENTRY_TOO_LARGE size=9 limit=1048576 fit=3"},
		{&messageSizeError{9, 8}, "ResourceExhausted MESSAGE_TOO_LARGE size=9 limit=8"},
		{&policy.LimitError{What: "purposes", Limit: 256}, "ResourceExhausted LIMIT_EXCEEDED limit=256"},
		{&limitedError{class: "checks", holder: "principal", limit: 9, per: "a second", retry: time.Second}, "ResourceExhausted LIMIT_EXCEEDED class=checks limit=9 retry 1s"},
		{errVerifying, "ResourceExhausted LIMIT_EXCEEDED limit=1 retry 10s"},
		{&policystore.OutcomeUnknownError{RequestID: "r", Err: fmt.Errorf("%w: %w", policystore.ErrFull, context.DeadlineExceeded)}, "Unavailable OUTCOME_UNKNOWN request_id=r retry 1s"},
		{policystore.ErrFull, "ResourceExhausted STORE_FULL"},
		{&policystore.NotReachedError{Wanted: 9, Applied: policystore.Position{Revision: 7}, Head: policystore.Position{Revision: 8}}, "Unavailable REVISION_NOT_REACHED applied_revision=7 known_revision=8 applied_epoch=0 known_epoch=0 retry 1s"},
		{errFull, "ResourceExhausted MESSAGE_TOO_LARGE"},
		{policystore.ErrTooStale, "Unavailable TOO_STALE retry 1s"},
		{&endedError{cause: errLagged, place: &teishiv1.WatchPosition{Epoch: 1, Revision: 8}, retry: time.Second}, "Unavailable LAGGED revision=8 retry 1s"},
		{errDraining, "Unavailable DRAINING"},
		{fmt.Errorf("%w: %w", policystore.ErrUnavailable, policystore.ErrUnsigned), "Unavailable STORE_UNAVAILABLE retry 1s"},
		{fmt.Errorf("%w: %w", policystore.ErrUnavailable, context.Canceled), "Unavailable STORE_UNAVAILABLE retry 1s"},
		{policystore.ErrFrozen, "Unavailable STORE_UNAVAILABLE retry 1s"},
		{policystore.ErrClosed, "Unavailable STORE_UNAVAILABLE retry 1s"},
		{&compactedError{policystore.Position{Epoch: 2, Revision: 9}}, "OutOfRange COMPACTED revision=9"},
		{policystore.ErrCompacted, "OutOfRange COMPACTED"},
		{fmt.Errorf("%w: %w", decisionlog.ErrNotLogged, context.DeadlineExceeded), "Unavailable DECISION_NOT_LOGGED retry 1s"},
		{errSlowReader, "DeadlineExceeded retry 1s"},
		{context.DeadlineExceeded, "DeadlineExceeded"},
		{context.Canceled, "Canceled"},
	}
	for _, r := range rows {
		if got := told(statusOf(fmt.Errorf("in the house: %w", r.err))); got != r.want {
			t.Errorf("%v is told as %q, want %q", r.err, got, r.want)
		}
	}
	if len(rows) != len(table) {
		t.Errorf("%d rows are tested of %d", len(rows), len(table))
	}
}

// TestNoRow is what callers may not know.
func TestNoRow(t *testing.T) {
	for _, err := range []error{
		errors.New("disk on fire at /var/lib"),
		&policystore.FormatError{Where: "changes[0]", Problem: "unknown"},
		fmt.Errorf("read entry 7: %w", policystore.ErrBroken),
		&panicError{value: "oops"},
	} {
		st := statusOf(fmt.Errorf("in the house: %w", err))
		if st.Code() != codes.Internal || st.Message() != "the server failed; its log says why" || len(st.Details()) != 0 {
			t.Errorf("%v is told as %v", err, st)
		}
	}
}

// TestStatusStays is one that grpc-go made.
func TestStatusStays(t *testing.T) {
	err := fmt.Errorf("receive: %w", status.Error(codes.ResourceExhausted, "too large"))
	if st := statusOf(err); st.Code() != codes.ResourceExhausted || !strings.Contains(st.Message(), "too large") {
		t.Errorf("told as %v", st)
	}
}

// TestPlaces puts fields where callers wrote them.
func TestPlaces(t *testing.T) {
	bad := func(field string) error {
		return &policy.ChangeError{Err: &policy.InvalidError{Field: field, Problem: "bad"}}
	}
	for want, err := range map[string]error{
		"InvalidArgument INVALID_FIELD at directive.provisions[0].id":                    &placed{bad("provisions[0].id"), beneath("directive")},
		"InvalidArgument INVALID_FIELD at directive":                                     &placed{bad("directive"), beneath("directive")},
		"InvalidArgument INVALID_FIELD at release":                                       &placed{bad("id"), asRelease},
		"InvalidArgument INVALID_FIELD at selector":                                      &placed{bad("selector"), asRelease},
		"InvalidArgument INVALID_FIELD message=3 at resource.app.id":                     &messageError{3, &placed{bad("id"), beneath("resource.app")}},
		"Aborted REVISION_MISMATCH current_revision=2 at expect_revision":                &placed{&mismatchError{Current: 2}, beneath("directive")},
		"AlreadyExists REQUEST_ID_REUSED revision=2 at request_id":                       &placed{&policystore.RequestReusedError{Revision: 2}, beneath("directive")},
		"FailedPrecondition NOT_PERMITTED_BY_DIRECTIVE directive=d at directive.p[0].id": &placed{&policy.RuleError{Directive: "d", Field: "p[0].id"}, beneath("directive")},
	} {
		if got := told(statusOf(err)); got != want {
			t.Errorf("told as %q, want %q", got, want)
		}
	}
}

// TestTellsNoMoreThanFits bounds what callers wrote and are told back.
func TestTellsNoMoreThanFits(t *testing.T) {
	long := strings.Repeat("停", 100_000)
	st := statusOf(&policy.InvalidError{Field: long, Problem: long})
	if n := len(st.Message()); n > 2*maxTold+10 {
		t.Errorf("a message of %d bytes", n)
	}
	bad := st.Details()[1].(*errdetails.BadRequest).FieldViolations[0]
	if len(bad.Field) > maxTold+3 || len(bad.Description) > maxTold+3 {
		t.Errorf("a violation of %d and %d bytes", len(bad.Field), len(bad.Description))
	}
}
