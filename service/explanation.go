package service

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

var truths = [...]teishiv1.Truth{
	policy.False:   teishiv1.Truth_TRUTH_FALSE,
	policy.Unknown: teishiv1.Truth_TRUTH_UNKNOWN,
	policy.True:    teishiv1.Truth_TRUTH_TRUE,
}

// explanation converts what Explain adds to an answer.
func explanation(x policy.Explanation) *teishiv1.Explanation {
	m := &teishiv1.Explanation{}
	for _, c := range x.Considered {
		m.Considered = append(m.Considered, &teishiv1.Considered{
			Directive:   c.Directive,
			Provision:   c.Provision,
			Release:     c.Release,
			Truth:       truths[c.Truth],
			FailedFacet: c.FailedFacet,
		})
	}
	for _, u := range x.Upcoming {
		m.Upcoming = append(m.Upcoming, &teishiv1.Upcoming{
			Time:      timestamp(&timestamppb.Timestamp{}, u.Time),
			Directive: u.Directive,
			Provision: u.Provision,
			Release:   u.Release,
		})
	}
	return m
}
