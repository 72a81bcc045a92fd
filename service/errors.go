package service

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// A row of the table says what callers are told of one sort of error.
type row func(err error) (fault, bool)

// as makes the row of a type of error.
func as[E error](tell func(E) fault) row {
	return func(err error) (fault, bool) {
		if e, ok := errors.AsType[E](err); ok {
			return tell(e), true
		}
		return fault{}, false
	}
}

// is makes the row of an error that has no more to tell.
func is(target error, f fault) row {
	return func(err error) (fault, bool) { return f, errors.Is(err, target) }
}

// table is the only place that knows which code and reason an error has. The first row that matches holds: one that says
// what is known stands before those of its causes.
var table = []row{
	as(func(e *policystore.OutcomeUnknownError) fault {
		return unavailable(teishiv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN,
			"whether the write is stored is not known: repeat it with request id "+e.RequestID, "request_id", e.RequestID)
	}),

	as(func(e *UnauthenticatedError) fault {
		return fault{code: codes.Unauthenticated, reason: teishiv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED, problem: e.Problem}
	}),
	as(func(*policy.NotGrantedError) fault { return notGranted }),
	is(errNotGranted, notGranted),
	as(func(e *takenError) fault {
		return fault{code: codes.PermissionDenied, reason: teishiv1.ErrorReason_ERROR_REASON_NOT_GRANTED, problem: e.Error(),
			fields: []violation{{"id", e.Problem}}}
	}),
	is(errStrangers, fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, problem: errStrangers.Error(),
		retry: time.Second, metadata: map[string]string{"limit": strconv.Itoa(mostStrangers)}}),
	as(func(e *approvalError) fault {
		return fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_APPROVAL_REQUIRED, problem: e.Error(),
			metadata: map[string]string{"directives": e.directives()}}
	}),
	is(policy.ErrLastAdministrator, fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_LAST_ADMINISTRATOR,
		problem: policy.ErrLastAdministrator.Error()}),
	as(func(e *policy.ProposalError) fault {
		return fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_NOT_APPROVABLE, problem: e.Error(),
			metadata: map[string]string{"proposal": e.ID}}
	}),

	as(unknownFault),
	as(func(e *policy.InvalidError) fault {
		return invalid(teishiv1.ErrorReason_ERROR_REASON_INVALID_FIELD, e.Field, e.Problem)
	}),
	as(violationFault),
	as(referenceFault),

	as(func(e *absentError) fault {
		return fault{code: codes.NotFound, reason: teishiv1.ErrorReason_ERROR_REASON_RESOURCE_NOT_FOUND, problem: e.Problem,
			fields: []violation{{e.Field, e.Problem}}}
	}),
	as(func(e *policy.NotFoundError) fault {
		return fault{code: codes.NotFound, reason: teishiv1.ErrorReason_ERROR_REASON_RESOURCE_NOT_FOUND, problem: e.Error(),
			metadata: keyData(e.Key)}
	}),

	as(func(e *policy.ExistsError) fault {
		return fault{code: codes.AlreadyExists, reason: teishiv1.ErrorReason_ERROR_REASON_RESOURCE_EXISTS, problem: e.Error(),
			metadata: keyData(e.Key)}
	}),
	as(heldFault),
	as(func(e *policystore.RequestReusedError) fault {
		return fault{code: codes.AlreadyExists, reason: teishiv1.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED, problem: e.Error(),
			fields: []violation{{"request_id", e.Error()}}, own: true, metadata: map[string]string{"revision": number(e.Revision)}}
	}),

	as(mismatchFault),
	is(policystore.ErrContention, fault{code: codes.Aborted, reason: teishiv1.ErrorReason_ERROR_REASON_WRITE_CONTENTION,
		problem: "others wrote first every time: try again with the same request id", retry: 100 * time.Millisecond}),

	as(referencedFault),
	as(epochFault),
	is(policystore.ErrRewound, fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_RECORD_REWOUND,
		problem: "the record lacks entries that were acknowledged: nothing is written until `teishi store repair` brings them back, or `teishi store rewind` gives them up"}),
	is(policystore.ErrDiverged, fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_RECORD_DIVERGED,
		problem: "the record has another history at that position"}),
	is(policystore.ErrEpoch, fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_EPOCH_MISMATCH,
		problem: "the record was rewound since: take a checkpoint"}),
	as(func(e *domainError) fault {
		return fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_DOMAIN_MISMATCH, problem: e.Error(),
			fields: []violation{{"domain", e.Error()}}, own: true, metadata: map[string]string{"domain": e.Domain}}
	}),
	is(errNoRecord, fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_NO_RECORD, problem: errNoRecord.Error()}),
	as(ruleFault),

	as(entrySizeFault),
	as(messageSizeFault),
	is(errFull, fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE, problem: errFull.Error()}),
	as(func(e *policy.LimitError) fault {
		return fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, problem: e.Error(),
			metadata: map[string]string{"limit": strconv.Itoa(e.Limit)}}
	}),
	as(func(e *limitedError) fault {
		return fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, problem: e.Error(), retry: e.retry,
			metadata: map[string]string{"limit": strconv.Itoa(e.limit), "class": e.class}}
	}),
	is(errVerifying, fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
		problem: "the log is being verified for another caller, one at a time: try again later", retry: verifyRetry,
		metadata: map[string]string{"limit": "1"}}),

	is(policystore.ErrFull, fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_STORE_FULL,
		problem: "the store is full: nothing was written"}),
	as(func(e *policystore.NotReachedError) fault {
		return unavailable(teishiv1.ErrorReason_ERROR_REASON_REVISION_NOT_REACHED, e.Error(),
			"applied_revision", number(e.Applied.Revision), "known_revision", number(e.Head.Revision),
			"applied_epoch", strconv.FormatInt(e.Applied.Epoch, 10), "known_epoch", strconv.FormatInt(e.Head.Epoch, 10))
	}),
	is(policystore.ErrTooStale, unavailable(teishiv1.ErrorReason_ERROR_REASON_TOO_STALE, "the policy at hand may be older than max_staleness")),
	as(func(e *endedError) fault {
		f := unavailable(e.reason(), e.Error())
		if f.retry = e.retry; e.place != nil {
			f.metadata = placeData(e.place.Epoch, e.place.Revision)
		}
		return f
	}),
	is(errAged, unavailable(teishiv1.ErrorReason_ERROR_REASON_STREAM_ENDED, "the stream has lasted long enough: call again")),
	is(errDraining, fault{code: codes.Unavailable, reason: teishiv1.ErrorReason_ERROR_REASON_DRAINING,
		problem: "the server is shutting down: ask another"}),
	as(func(e *policystore.TroubleError) fault {
		if e.Trouble == policystore.Behind {
			return unavailable(teishiv1.ErrorReason_ERROR_REASON_REVISION_NOT_REACHED, e.Error())
		}
		return noStore
	}),
	is(policystore.ErrUnsigned, unavailable(teishiv1.ErrorReason_ERROR_REASON_STORE_UNAVAILABLE,
		"the record is signed, and this authority has no key: nothing was written")),
	is(policystore.ErrUnavailable, noStore),
	is(policystore.ErrFrozen, noStore),
	is(policystore.ErrClosed, noStore),

	as(func(e *compactedError) fault {
		return fault{code: codes.OutOfRange, reason: teishiv1.ErrorReason_ERROR_REASON_COMPACTED, problem: e.Error(),
			metadata: placeData(e.now.Epoch, int64(e.now.Revision))}
	}),
	is(policystore.ErrCompacted, fault{code: codes.OutOfRange, reason: teishiv1.ErrorReason_ERROR_REASON_COMPACTED,
		problem: "that part of the past is no longer kept"}),

	is(decisionlog.ErrNotLogged, unavailable(teishiv1.ErrorReason_ERROR_REASON_DECISION_NOT_LOGGED,
		"what was decided could not be written down, and without that nothing is answered here")),

	is(errSlowReader, fault{code: codes.DeadlineExceeded, problem: errSlowReader.Error(), retry: time.Second}),
	is(context.DeadlineExceeded, fault{code: codes.DeadlineExceeded, problem: "the deadline passed"}),
	is(context.Canceled, fault{code: codes.Canceled, problem: "the caller went away"}),
}

// placeData says where a caller can go on.
func placeData(epoch, revision int64) map[string]string {
	return map[string]string{"epoch": strconv.FormatInt(epoch, 10), "revision": strconv.FormatInt(revision, 10)}
}

// verifyRetry is after what time a caller may try again whose VerifyLog was refused: it takes minutes where the log is long.
const verifyRetry = 10 * time.Second

// notGranted is the same whatever is missing, and whether or not there is what was asked about.
var notGranted = fault{code: codes.PermissionDenied, reason: teishiv1.ErrorReason_ERROR_REASON_NOT_GRANTED, problem: errNotGranted.Error()}

var noStore = unavailable(teishiv1.ErrorReason_ERROR_REASON_STORE_UNAVAILABLE, "the record is not at hand; nothing was written")

// statusOf returns what callers are told of the error.
func statusOf(err error) *status.Status {
	if st, ok := errors.AsType[grpcError](err); ok {
		return st.GRPCStatus()
	}
	for _, match := range table {
		if f, ok := match(err); ok {
			f.place(err)
			return f.status()
		}
	}
	return status.New(codes.Internal, "the server failed; its log says why")
}

// grpcError is an error that grpc-go made.
type grpcError interface {
	error
	GRPCStatus() *status.Status
}

func unknownFault(e *unknownError) fault {
	return invalid(teishiv1.ErrorReason_ERROR_REASON_UNKNOWN_FIELD, e.Field, e.Problem)
}

func invalid(reason teishiv1.ErrorReason, field, problem string) fault {
	return fault{code: codes.InvalidArgument, reason: reason, problem: problem, fields: []violation{{field, problem}}}
}

func violationFault(e *protovalidate.ValidationError) fault {
	f := fault{code: codes.InvalidArgument, reason: teishiv1.ErrorReason_ERROR_REASON_INVALID_FIELD, fields: violationsOf(e)}
	if len(f.fields) > 0 {
		f.problem = f.fields[0].problem
	}
	return f
}

func referenceFault(e *policy.ReferenceError) fault {
	problem := e.Key.String() + " is not registered"
	if e.Retired {
		problem = e.Key.String() + " is retired and may not be named anew"
	}
	f := invalid(teishiv1.ErrorReason_ERROR_REASON_UNKNOWN_REFERENCE, e.Field, problem)
	f.metadata = keyData(e.Key)
	f.metadata["retired"] = strconv.FormatBool(e.Retired)
	return f
}

func heldFault(e *policy.HeldError) fault {
	problem := e.Name + " is held by " + e.Holder.String()
	return fault{code: codes.AlreadyExists, reason: teishiv1.ErrorReason_ERROR_REASON_IDENTIFIER_HELD, problem: problem,
		fields: []violation{{e.Field, problem}}, metadata: keyData(e.Holder)}
}

func mismatchFault(e *mismatchError) fault {
	return fault{code: codes.Aborted, reason: teishiv1.ErrorReason_ERROR_REASON_REVISION_MISMATCH, problem: e.Error(),
		fields: []violation{{"expect_revision", e.Error()}}, own: true, metadata: map[string]string{"current_revision": number(e.Current)}}
}

func referencedFault(e *policy.ReferencedError) fault {
	names := make([]string, len(e.By))
	for i, k := range e.By {
		names[i] = k.String()
	}
	f := fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_REFERENCED, problem: e.Error(),
		metadata: keyData(e.Key)}
	f.metadata["referrers"] = strings.Join(names, ", ")
	return f
}

func epochFault(e *policystore.EpochError) fault {
	return fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_EPOCH_MISMATCH, problem: e.Error(),
		fields: []violation{{"epoch", e.Error()}}, metadata: map[string]string{"current_epoch": strconv.FormatInt(e.Epoch, 10)}}
}

func ruleFault(e *policy.RuleError) fault {
	return fault{code: codes.FailedPrecondition, reason: teishiv1.ErrorReason_ERROR_REASON_NOT_PERMITTED_BY_DIRECTIVE,
		problem: e.Error(), fields: []violation{{e.Field, e.Error()}}, metadata: map[string]string{"directive": e.Directive}}
}

func entrySizeFault(e *policystore.EntryTooLargeError) fault {
	return fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_ENTRY_TOO_LARGE, problem: e.Error(),
		metadata: map[string]string{"size": strconv.Itoa(e.Size), "limit": strconv.Itoa(policystore.MaxEntrySize), "fit": strconv.Itoa(e.Fit)}}
}

func messageSizeFault(e *messageSizeError) fault {
	return fault{code: codes.ResourceExhausted, reason: teishiv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE, problem: e.Error(),
		metadata: map[string]string{"size": strconv.Itoa(e.size), "limit": strconv.Itoa(e.limit)}}
}

// unavailable is the fault of what may go better in a second. Metadata are keys and values in turn.
func unavailable(reason teishiv1.ErrorReason, problem string, metadata ...string) fault {
	f := fault{code: codes.Unavailable, reason: reason, problem: problem, retry: time.Second}
	for i := 0; i < len(metadata); i += 2 {
		if f.metadata == nil {
			f.metadata = make(map[string]string)
		}
		f.metadata[metadata[i]] = metadata[i+1]
	}
	return f
}

func keyData(k policy.Key) map[string]string {
	data := map[string]string{"kind": k.Kind.String(), "id": k.ID}
	if k.Directive != "" {
		data["directive"] = k.Directive
	}
	return data
}

func number(r policy.Revision) string { return strconv.FormatInt(int64(r), 10) }
