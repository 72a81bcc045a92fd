package service

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

var truths = [...]teishiv1.Truth{
	policy.False:   teishiv1.Truth_TRUTH_FALSE,
	policy.Unknown: teishiv1.Truth_TRUTH_UNKNOWN,
	policy.True:    teishiv1.Truth_TRUTH_TRUE,
}

// explanation converts what Explain adds to an answer.
func explanation(v *policystore.View, x policy.Explanation, sees *policy.Powers) *teishiv1.Explanation {
	m := &teishiv1.Explanation{}
	for _, c := range x.Considered {
		if !visibly(v, c.Directive, c.Release, sees) {
			continue
		}
		m.Considered = append(m.Considered, &teishiv1.Considered{
			Directive:   c.Directive,
			Provision:   c.Provision,
			Release:     c.Release,
			Truth:       truths[c.Truth],
			FailedFacet: c.FailedFacet,
		})
	}
	for _, u := range x.Upcoming {
		if !visibly(v, u.Directive, u.Release, sees) {
			continue
		}
		m.Upcoming = append(m.Upcoming, &teishiv1.Upcoming{
			Time:      timestamp(&timestamppb.Timestamp{}, u.Time),
			Directive: u.Directive,
			Provision: u.Provision,
			Release:   u.Release,
		})
	}
	return m
}

// visibly reports whether the powers see the directive, and its release if one is named.
func visibly(v *policystore.View, directive, release string, sees *policy.Powers) bool {
	if sees == nil {
		return true
	}
	d := v.Directive(directive)
	if d == nil || !sees.SeesDirective(d) {
		return false
	}
	r := v.Release(directive, release) // nil is a carve-out too, which is part of the text
	return r == nil || sees.SeesRelease(r)
}
