package policy_test

import (
	"slices"

	"github.com/teishi-dev/teishi/policy"
)

// pair is a provision and, with ALLOWED, a release of it.
type pair struct {
	rule *rule
	hole *hole
}

// cited are the pairs cited with the outcome. The rules, and the releases of each, are in order already.
func (q *question) cited(outcome policy.Outcome) []pair {
	var pairs []pair
	for _, r := range q.rules {
		if r.provision.Force != policy.Binding {
			continue
		}
		switch outcome {
		case policy.Denied:
			if r.bitesAnywhere(policy.True) {
				pairs = append(pairs, pair{rule: r})
			}
		case policy.Indeterminate:
			if r.bitesAnywhere(policy.True, policy.Unknown) {
				pairs = append(pairs, pair{rule: r})
			}
		case policy.Allowed:
			for _, h := range r.holes {
				if r.releasedBy(h) {
					pairs = append(pairs, pair{r, h})
				}
			}
		}
	}
	return pairs
}

func (q *question) citation(p pair) citation {
	c := citation{Directive: p.rule.directive.ID, Provision: p.rule.provision.ID, Window: p.rule.window}
	if p.hole != nil {
		c.Release, c.Instrument, c.Window = p.hole.release.ID, p.hole.release.Instrument, p.hole.window
	}
	return c
}

// obligations are those of the releases cited.
func obligations(cited []pair) []policy.CarriedObligation {
	var list []policy.CarriedObligation
	for _, p := range cited {
		carried := slices.Clone(p.hole.release.Obligations)
		if rules := p.rule.directive.ExemptionRules; rules != nil && p.hole.release.Ground != "" {
			carried = append(carried, rules.Obligations...)
		}
		for _, o := range carried {
			list = appendOnce(list, policy.CarriedObligation{Obligation: o, Directive: p.rule.directive.ID, Release: p.hole.release.ID})
		}
	}
	return list
}

func alternatives(cited []pair) []policy.Alternative {
	var list []policy.Alternative
	for _, p := range cited {
		for _, alternative := range p.rule.provision.Alternatives {
			list = appendOnce(list, alternative)
		}
	}
	return list
}

func appendOnce[E comparable](list []E, e E) []E {
	if slices.Contains(list, e) {
		return list
	}
	return append(list, e)
}

func (q *question) advice() []advice {
	var list []advice
	for _, r := range q.rules {
		if r.provision.Force != policy.Advisory {
			continue
		}
		if r.bitesAnywhere(policy.Unknown, policy.True) {
			list = append(list, advice{Directive: r.directive.ID, Provision: r.provision.ID})
		}
		for _, h := range r.holes {
			if r.releasedBy(h) {
				list = append(list, advice{r.directive.ID, r.provision.ID, h.release.ID, true})
			}
		}
	}
	return list
}

// missing are the attributes that would help to settle the answer.
func (q *question) missing() []string {
	var names []string
	name := func(conditions []policy.Condition) {
		for _, c := range conditions {
			if _, known := q.known[c.Attribute]; !known {
				names = appendOnce(names, c.Attribute)
			}
		}
	}
	for _, r := range q.rules {
		for x := range q.purposes {
			if r.provision.Force != policy.Binding || r.bites(x) != policy.Unknown {
				continue
			}
			name(r.provision.Selector.Conditions)
			for _, h := range r.holes {
				if h.facets.at(x) != policy.False {
					name(h.release.Selector.Conditions)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// permitted are the tops of the subtrees that are wholly ALLOWED.
func (q *question) permitted(outcomes []policy.Outcome) []string {
	free := func(purpose string) bool {
		for x, p := range q.purposes {
			if within(p, purpose) && outcomes[x] != policy.Allowed {
				return false
			}
		}
		return true
	}
	var tops []string
	for _, p := range q.purposes {
		parent := above(p)
		if free(p) && !(slices.Contains(q.purposes, parent) && free(parent)) {
			tops = append(tops, p)
		}
	}
	return tops
}
