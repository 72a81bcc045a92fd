package policy_test

import (
	"slices"

	"github.com/teishi-dev/teishi/policy"
)

// This file is docs/semantics.md put into code as literally as it goes: every provision is looked at, at every purpose,
// and every part of the answer is worked out from nothing but the truths of the facets. It shares nothing with the engine but the vocabulary.
// reference_truth_test.go says when a facet is true, this file what follows for the outcome, reference_parts_test.go for the
// parts of the answer, reference_time_test.go for later instants and for what explain shows.

// answer is a complete decision in plain values, whoever made it. Nil and empty lists are the same.
type answer struct {
	Outcome        policy.Outcome
	Reason         policy.Reason
	Citations      []citation
	CitationsTotal int
	Obligations    []policy.CarriedObligation
	Advice         []advice
	Missing        []string
	MissingPurpose bool
	Permitted      []string
	Device         policy.DeviceAction
	Alternatives   []policy.Alternative
	Unrecognized   []string
	ValidUntil     policy.Instant
	Considered     []policy.Considered
	Upcoming       []policy.Upcoming
}

type citation struct {
	Directive, Provision, Release, Instrument string
	Window                                    policy.Window
}

type advice struct {
	Directive, Provision, Release string
	Met                           bool
}

// rule is a provision as it looks to one question: its clipped window, its facets and the releases that may open it.
type rule struct {
	directive *policy.Directive
	provision *policy.Provision
	window    policy.Window
	facets    facets
	holes     []*hole
}

// hole is a release as it looks to one question beside one provision.
type hole struct {
	release *policy.Release
	window  policy.Window
	facets  facets
}

// rel is the or over the releases.
func (r *rule) rel(x int) policy.Truth {
	truth := policy.False
	for _, h := range r.holes {
		truth = max(truth, h.facets.at(x))
	}
	return truth
}

// bites is sel(p,x) and not rel(p,x).
func (r *rule) bites(x int) policy.Truth { return min(r.facets.at(x), not(r.rel(x))) }

// bitesAnywhere reports whether the provision bites with one of these truths at one purpose at least.
func (r *rule) bitesAnywhere(truths ...policy.Truth) bool {
	for x := range r.facets.purposes {
		if slices.Contains(truths, r.bites(x)) {
			return true
		}
	}
	return false
}

// blocks reports whether the provision, of a directive that has devices block, bites or might at one purpose at least.
func (r *rule) blocks() bool {
	return r.provision.Force == policy.Binding && r.directive.DeviceAction == policy.DeviceBlock && r.bitesAnywhere(policy.True, policy.Unknown)
}

// releasedBy reports whether h releases the provision at one purpose at least.
func (r *rule) releasedBy(h *hole) bool {
	for x := range r.facets.purposes {
		if r.facets.at(x) != policy.False && h.facets.at(x) == policy.True {
			return true
		}
	}
	return false
}

// answer is the complete answer to q.
func (ref *reference) answer(q policy.Query) answer {
	fresh, _ := ref.answers(q)
	return fresh
}

// answers are the answer to q and what it becomes when policy has EXPIRED: ALLOWED is DENIED at each purpose, if the
// app says so.
func (ref *reference) answers(q policy.Query) (fresh, expired answer) {
	asked, reason := ref.ask(q)
	if asked == nil {
		unknown := answer{Outcome: policy.Denied, Reason: reason, Device: policy.DeviceBlock, Unrecognized: ref.unrecognized(q), ValidUntil: policy.Forever}
		return unknown, unknown
	}
	outcomes, common := asked.outcomes(), asked.common()
	fresh = asked.answerAs(common, overall(q.Purpose, outcomes), outcomes)
	if asked.app.OnStale != policy.StaleDeny {
		return fresh, fresh
	}
	for x, o := range outcomes {
		if o == policy.Allowed {
			outcomes[x] = policy.Denied
		}
	}
	expired = asked.answerAs(common, overall(q.Purpose, outcomes), outcomes)
	expired.Device = policy.DeviceBlock // nothing is permitted
	if fresh.Outcome != policy.Denied && expired.Outcome == policy.Denied {
		expired.Reason = policy.StalePolicy
	}
	return fresh, expired
}

// outcomes are the answers per purpose.
func (q *question) outcomes() []policy.Outcome {
	outcomes := make([]policy.Outcome, len(q.purposes))
	for x := range q.purposes {
		bites := policy.False
		for _, r := range q.rules {
			if r.provision.Force == policy.Binding {
				bites = max(bites, r.bites(x))
			}
		}
		outcomes[x] = [...]policy.Outcome{policy.False: policy.Allowed, policy.Unknown: policy.Indeterminate, policy.True: policy.Denied}[bites]
	}
	return outcomes
}

// overall is the answer over all of Q. The purpose asked, if one was, comes first.
func overall(asked string, outcomes []policy.Outcome) policy.Outcome {
	if asked != "" && outcomes[0] == policy.Denied {
		return policy.Denied
	}
	if differ(outcomes) {
		return policy.Indeterminate
	}
	return outcomes[0]
}

func differ(outcomes []policy.Outcome) bool {
	for _, o := range outcomes {
		if o != outcomes[0] {
			return true
		}
	}
	return false
}

// common are the parts that belong to every outcome.
func (q *question) common() answer {
	a := answer{Advice: q.advice(), Unrecognized: q.unrecognized(q.query), ValidUntil: policy.Forever, Considered: q.considered()}
	upcoming := q.upcoming()
	if len(upcoming) > 0 {
		a.ValidUntil = upcoming[0].Time
	}
	a.Upcoming = upcoming[:min(len(upcoming), policy.MaxConsidered)]
	return a
}

// answerAs adds the parts that belong to the outcome.
func (q *question) answerAs(a answer, outcome policy.Outcome, outcomes []policy.Outcome) answer {
	cited := q.cited(outcome)
	a.Outcome, a.CitationsTotal = outcome, len(cited)
	first := cited[:min(len(cited), policy.MaxCitations)]
	for _, pair := range first {
		a.Citations = append(a.Citations, q.citation(pair))
	}
	switch outcome {
	case policy.Denied:
		a.Reason = policy.Suspended
		a.Device = policy.DeviceBlock
		a.Alternatives = alternatives(first)
	case policy.Indeterminate:
		a.Reason = policy.MissingAttribute
		if differ(outcomes) {
			a.Reason = policy.DependsOnPurpose
			a.MissingPurpose = true
		}
		if slices.ContainsFunc(q.rules, (*rule).blocks) {
			a.Device = policy.DeviceBlock
		}
		a.Missing = q.missing()
		a.Permitted = q.permitted(outcomes)
		a.Alternatives = alternatives(first)
	case policy.Allowed:
		a.Reason = q.whyAllowed(cited)
		a.Obligations = obligations(cited)
	}
	return a
}

func (q *question) whyAllowed(cited []pair) policy.Reason {
	switch {
	case len(cited) > 0: // by a release, since nothing else is cited with ALLOWED
		return policy.Released
	case q.unregistered:
		return policy.UnregisteredApp
	}
	return policy.NoDirective
}
