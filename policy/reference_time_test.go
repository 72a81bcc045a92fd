package policy_test

import (
	"cmp"
	"slices"

	"github.com/teishi-dev/teishi/policy"
)

// upcoming are the edges after the instant asked about, of everything that counts.
func (q *question) upcoming() []policy.Upcoming {
	var list []policy.Upcoming
	for _, r := range q.rules {
		counted := q.counted(r)
		if len(counted) == 0 {
			continue
		}
		list = append(list, q.edges(r.window, &r.facets, policy.Upcoming{Directive: r.directive.ID, Provision: r.provision.ID})...)
		for _, h := range r.holes {
			counts := func(x int) bool { return h.facets.everAt(x) != policy.False }
			if !h.window.Empty() && slices.ContainsFunc(counted, counts) {
				list = append(list, q.edges(h.window, &h.facets, policy.Upcoming{Directive: r.directive.ID, Provision: r.provision.ID, Release: h.release.ID})...)
			}
		}
	}
	slices.SortFunc(list, func(a, b policy.Upcoming) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Directive, b.Directive), cmp.Compare(a.Provision, b.Provision), cmp.Compare(a.Release, b.Release))
	})
	return list
}

// counted are the purposes at which the provision counts.
func (q *question) counted(r *rule) []int {
	var counted []int
	for x := range q.purposes {
		if r.facets.everAt(x) != policy.False && !r.window.Empty() {
			counted = append(counted, x)
		}
	}
	return counted
}

// edges are those of one thing that counts, after the instant asked about.
func (q *question) edges(w policy.Window, f *facets, of policy.Upcoming) []policy.Upcoming {
	var list []policy.Upcoming
	edge := func(t policy.Instant) {
		if t > q.at && t.Finite() {
			of.Time = t
			list = append(list, of)
		}
	}
	edge(w.Start)
	edge(w.End)
	for i := 1; i < len(q.moments); i++ {
		changes := f.targetsAt[i] != f.targetsAt[i-1]
		if t := q.moments[i].from; changes && w.Start < t && t < w.End {
			edge(t)
		}
	}
	return list
}

// considered are the provisions that name the app at some instant, each before its releases.
func (q *question) considered() []policy.Considered {
	var list []policy.Considered
	for _, r := range q.rules {
		if r.facets.ever() != policy.True {
			continue
		}
		withdrawn := policy.True
		if r.directive.Withdrawal != nil {
			withdrawn = policy.False
		}
		facets := append([]shown{{"withdrawn", withdrawn}}, r.facets.shown()...)
		facets = append(facets, shown{"releases", r.unreleased()})
		list = append(list, consider(facets, r.directive.ID, r.provision.ID, ""))
		for _, h := range r.holes {
			list = append(list, consider(h.facets.shown(), r.directive.ID, r.provision.ID, h.release.ID))
		}
	}
	return list[:min(len(list), policy.MaxConsidered)]
}

// unreleased is the greatest of not rel(p,x) over the purposes at which the facet of purposes is TRUE.
func (r *rule) unreleased() policy.Truth {
	truth := policy.False
	for x, selected := range r.facets.purposes {
		if selected == policy.True {
			truth = max(truth, not(r.rel(x)))
		}
	}
	return truth
}

// shown is a facet as explain shows it.
type shown struct {
	name  string
	truth policy.Truth
}

func (f *facets) shown() []shown {
	return []shown{{"window", f.window}, {"organizations", f.organizations}, {"targets", f.targets}, {"purposes", slices.Max(f.purposes)}, {"conditions", f.conditions}}
}

// consider shows the least of the truths, and the first facet that has it.
func consider(facets []shown, directive, provision, release string) policy.Considered {
	least := slices.MinFunc(facets, func(a, b shown) int { return cmp.Compare(a.truth, b.truth) })
	c := policy.Considered{Directive: directive, Provision: provision, Release: release, Truth: least.truth}
	if least.truth != policy.True {
		c.FailedFacet = least.name
	}
	return c
}
