package policy

import (
	"cmp"
	"slices"
)

// Explain says what was considered for the query and failed where, and which changes are to come. It looks at every
// provision there is, so it costs more than the decision.
func (s *Snapshot) Explain(r *Resolved) Explanation {
	if r.problem != 0 {
		return Explanation{}
	}
	x := explainer{walk: walk{s: s, r: r, d: &Decision{asked: r.asked()}, app: r.view()}}
	for _, row := range s.order.of(s, KindDirective) {
		d := s.directives.number(s.seed, row.resource.Key().ID)
		for _, p := range slices.SortedFunc(slices.Values(s.rules.at(d).provisions), s.compareProvisions) {
			x.provision(p)
		}
	}
	x.cut()
	return x.out
}

// cut keeps the first of the upcoming changes.
func (x *explainer) cut() {
	slices.SortFunc(x.out.Upcoming, compareUpcoming)
	x.out.Upcoming = x.out.Upcoming[:min(len(x.out.Upcoming), MaxConsidered)]
}

func compareUpcoming(a, b Upcoming) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Directive, b.Directive),
		cmp.Compare(a.Provision, b.Provision), cmp.Compare(a.Release, b.Release))
}

// explainer looks at provisions as a walk does, but at all of them and at every facet.
type explainer struct {
	walk
	out Explanation
}

// verdict is the truth of one facet.
type verdict struct {
	facet string
	truth Truth
}

func (x *explainer) provision(row int32) {
	p := x.s.provisions.at(row)
	if _, ever, _ := p.selector.targets.over(&x.app, x.r.time, Always); !ever {
		return
	}
	directive, id := x.s.directives.rows.at(p.directive).resource, x.s.provision(row).ID
	releases := x.s.rules.at(p.directive).releases.all()
	f := found{row: row, truth: True, purposes: x.purposes(&p.selector, x.d.asked)}
	for _, release := range releases {
		x.visitRelease(p, release, x.s.holes.at(release), &f)
	}
	verdicts := []verdict{{"withdrawn", truthOf(directive.Withdrawal == nil)}}
	verdicts = append(verdicts, x.verdicts(&p.selector, p.window)...)
	x.consider(directive.ID, id, "", append(verdicts, verdict{"releases", f.unreleased()}))
	counts := x.counts(&p.selector, f.purposes, p.window)
	if counts {
		x.upcoming(&p.selector, p.window, Upcoming{Directive: directive.ID, Provision: id})
	}
	for _, release := range releases {
		x.releaseOf(p, x.s.holes.at(release), Upcoming{Directive: directive.ID, Provision: id}, &f, counts)
	}
}

// releaseOf considers one release with a provision that does or does not count.
func (x *explainer) releaseOf(p *provisionRow, r *releaseRow, at Upcoming, f *found, counts bool) {
	if len(r.provisions) > 0 && !contains(r.provisions, f.row) {
		return
	}
	at.Release = r.release.ID
	window := r.window.Intersect(p.window)
	x.consider(at.Directive, at.Provision, at.Release, x.verdicts(&r.selector, window))
	if counts && x.counts(&r.selector, x.purposes(&r.selector, f.purposes), window) {
		x.upcoming(&r.selector, window, at)
	}
}

// verdicts returns the truth of a selector's facets, in the order in which they are told.
func (x *explainer) verdicts(sel *selector, window Window) []verdict {
	return []verdict{
		{"window", truthOf(window.Contains(x.r.time))},
		{"organizations", truthOf(x.organization(sel))},
		{"targets", truthOf(sel.targets == nil || sel.targets.match(&x.app, x.r.time))},
		{"purposes", truthOf(!x.purposes(sel, x.d.asked).empty())},
		{"conditions", x.conditions(sel)},
	}
}

func (x *explainer) organization(sel *selector) bool {
	return (len(sel.roots) == 0 || x.r.onPath(sel.roots)) && x.admits(sel)
}

func (x *explainer) purposes(sel *selector, of mask) mask {
	return x.s.facets.rows.at(sel.facet).mask.and(of)
}

// unreleased is the greatest truth, over the purposes, of no release holding.
func (f *found) unreleased() Truth {
	switch open := f.purposes.not(f.released); {
	case open.empty():
		return False
	case open.not(f.loose).empty():
		return Unknown
	}
	return True
}

// consider tells the least truth of the verdicts and the first that has it.
func (x *explainer) consider(directive, provision, release string, verdicts []verdict) {
	least := slices.MinFunc(verdicts, func(a, b verdict) int { return cmp.Compare(a.truth, b.truth) })
	if least.truth == True {
		least.facet = ""
	}
	if len(x.out.Considered) == MaxConsidered {
		return // they come in order
	}
	x.out.Considered = append(x.out.Considered, Considered{directive, provision, release, least.truth, least.facet})
}

// counts reports whether the edges of the selector's window matter to the query.
func (x *explainer) counts(sel *selector, purposes mask, window Window) bool {
	_, ever, _ := sel.targets.over(&x.app, x.r.time, Always)
	return ever && !window.Empty() && !purposes.empty() && x.organization(sel) && x.conditions(sel) != False
}

// upcoming tells the edges after the query's instant.
func (x *explainer) upcoming(sel *selector, window Window, at Upcoming) {
	for _, end := range []Instant{window.Start, window.End} {
		if end > x.r.time && end.Finite() {
			at.Time = end
			x.foretell(at)
		}
	}
	for change := range sel.targets.changes(&x.app) {
		if change > x.r.time && change > window.Start && change < window.End {
			at.Time = change
			x.foretell(at)
		}
	}
}

func (x *explainer) foretell(u Upcoming) {
	if x.out.Upcoming = append(x.out.Upcoming, u); len(x.out.Upcoming) == 64*MaxConsidered {
		x.cut()
	}
}

func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}
