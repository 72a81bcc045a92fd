package service

import (
	"slices"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// doubted is what is answered at the times that it may be instead of the one that the clock shows.
type doubted struct {
	obligations []*teishiv1.Obligation // of the answers that are ALLOWED
	permitted   [][]string             // by each answer that is INDETERMINATE
	edge        policy.Instant         // the first at which one of the answers may be another
}

// doubt makes the decision the strictest of those at all times that it may be.
func doubt(d *policy.Decision, v *policystore.View, q policy.Query, t *terms) *doubted {
	all := &doubted{edge: policy.Forever}
	for _, at := range t.instead {
		q.At = at
		resolved := v.Resolve(q)
		other := decide(v, &resolved, t)
		if other.ValidUntil.Finite() {
			all.edge = min(all.edge, other.ValidUntil-at+t.at)
		}
		all.obligations = append(all.obligations, obligations(other.Obligations())...)
		if other.Outcome == policy.Indeterminate {
			all.permitted = append(all.permitted, other.PermittedPurposes())
		}
		*d = d.Doubt(&other)
	}
	return all
}

// temper leaves an answer no milder than at any of the times: whoever acts honours what any of them obliges to, and a purpose
// is permitted only if it always is.
func (d *doubted) temper(r *teishiv1.CheckResponse) {
	switch r.Outcome {
	case teishiv1.Outcome_OUTCOME_ALLOWED:
		for _, o := range d.obligations {
			same := func(p *teishiv1.Obligation) bool {
				return p.Id == o.Id && p.Text == o.Text && p.Directive == o.Directive && p.Release == o.Release
			}
			if !slices.ContainsFunc(r.Obligations, same) {
				r.Obligations = append(r.Obligations, o)
			}
		}
	case teishiv1.Outcome_OUTCOME_INDETERMINATE:
		r.PermittedPurposes = d.always(r.PermittedPurposes)
	}
}

// always returns those of the purposes that are permitted at every time; all, if the clock is not in doubt.
func (d *doubted) always(purposes []string) []string {
	if d == nil {
		return purposes
	}
	for _, permitted := range d.permitted {
		purposes = slices.DeleteFunc(purposes, func(p string) bool { return !slices.Contains(permitted, p) })
	}
	return purposes
}
