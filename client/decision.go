package client

import (
	"strings"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// Outcome is what was decided.
type Outcome string

// The outcomes, least strict first. Only ALLOWED permits anything.
const (
	Allowed       Outcome = "ALLOWED"
	Indeterminate Outcome = "INDETERMINATE"
	Denied        Outcome = "DENIED"
	Undecided     Outcome = "UNDECIDED" // there is no answer
)

var outcomes = [...]Outcome{Undecided, Allowed, Indeterminate, Denied} // by policy.Outcome

// Reason says why, by the name of a teishi.v1.Reason without its prefix. More may be added: act on Allowed.
type Reason string

// The reasons that there are.
const (
	UnknownOrganization Reason = "UNKNOWN_ORGANIZATION"
	UnknownApp          Reason = "UNKNOWN_APP"
	UnknownPurpose      Reason = "UNKNOWN_PURPOSE"
	Suspended           Reason = "SUSPENDED"
	StalePolicy         Reason = "STALE_POLICY"
	ClockUncertain      Reason = "CLOCK_UNCERTAIN"
	DependsOnPurpose    Reason = "DEPENDS_ON_PURPOSE"
	MissingAttribute    Reason = "MISSING_ATTRIBUTE"
	Released            Reason = "RELEASED"
	UnregisteredApp     Reason = "UNREGISTERED_APP"
	NoDirective         Reason = "NO_DIRECTIVE"
)

// Decision is an answer. The zero value is not Allowed. One that Follow has made keeps the whole policy that it was made from:
// keep its Details instead.
type Decision struct {
	outcome    policy.Outcome // 0: there is none
	reason     teishiv1.Reason
	overridden bool
	cause      *UndecidedError // why there is no outcome
	response   *teishiv1.CheckResponse
	local      answer // unless there is a response
}

// DecisionOf returns what an answer that came over gRPC decides: for whoever calls the service by its generated client, and for
// tests. An outcome that is not known here is DENIED, and what is hypothetical permits nothing.
func DecisionOf(m *teishiv1.CheckResponse) Decision {
	if m == nil {
		return Decision{}
	}
	d := Decision{outcome: policy.Denied, reason: m.GetReason(), response: m}
	switch m.GetOutcome() {
	case teishiv1.Outcome_OUTCOME_ALLOWED:
		d.outcome = policy.Allowed
	case teishiv1.Outcome_OUTCOME_INDETERMINATE:
		d.outcome = policy.Indeterminate
	}
	return d
}

// Allowed reports whether the caller may act, provided that it honours every one of Obligations: if it cannot, it may not act.
func (d Decision) Allowed() bool {
	return d.overridden || d.outcome == policy.Allowed && !d.response.GetHypothetical()
}

// Obligations returns what the caller must honour, or it may not act. There are none unless the answer is Allowed.
func (d Decision) Obligations() []Obligation {
	if d.response != nil {
		return obligationsOf(d.response.Obligations)
	}
	return d.local.obligations()
}

// Err returns nil if the answer is Allowed, a *DeniedError if it is not, and an *UndecidedError if there is none.
func (d Decision) Err() error {
	switch {
	case d.Allowed():
		return nil
	case d.outcome == 0:
		return d.why()
	}
	return &DeniedError{Decision: d}
}

func (d Decision) why() error {
	if d.cause == nil {
		return undecided(errNothing)
	}
	return d.cause
}

// Overridden reports whether it is Allowed only because IfUndecided said so. It has no obligations then, and no details.
func (d Decision) Overridden() bool { return d.overridden }

// Cause returns why there is no answer, nil if there is one.
func (d Decision) Cause() error {
	if d.outcome != 0 {
		return nil
	}
	return d.why()
}

// Outcome returns what was decided: UNDECIDED if nothing was, even if that is Allowed.
func (d Decision) Outcome() Outcome { return outcomes[d.outcome] }

// Reason returns why; it is empty where nothing was decided.
func (d Decision) Reason() Reason {
	if d.reason == 0 {
		return ""
	}
	return Reason(strings.TrimPrefix(d.reason.String(), "REASON_"))
}

// String returns the outcome and the reason.
func (d Decision) String() string {
	if d.reason == 0 {
		return string(d.Outcome())
	}
	return string(d.Outcome()) + ": " + string(d.Reason())
}

// Details returns everything that the answer says.
func (d Decision) Details() Details {
	switch {
	case d.response != nil:
		return detailsOf(d.response)
	case d.outcome != 0:
		return d.local.details()
	}
	return Details{}
}
