package policy

import "slices"

// Citations returns the first MaxCitations grounds of the answer, ordered by directive, provision and release id, and
// how many there are.
func (d *Decision) Citations() (first []Citation, total int) {
	list, total := d.cited()
	first = make([]Citation, len(list))
	for i, f := range list {
		first[i] = d.at.citation(f)
	}
	return first, total
}

// cited returns the first MaxCitations findings that the outcome rests on, and how many there are.
func (d *Decision) cited() ([]finding, int) {
	counts := &d.findings.counts
	switch d.Outcome {
	case Allowed:
		list := d.findings.list(released)
		return list[:min(len(list), MaxCitations)], int(counts[released])
	case Denied:
		return d.findings.list(bites), int(counts[bites])
	}
	list := slices.Concat(d.findings.list(bites), d.findings.list(undecided))
	slices.SortFunc(list, d.at.compareFindings)
	list = slices.CompactFunc(list, func(a, b finding) bool { return a.provision == b.provision })
	return list[:min(len(list), MaxCitations)], int(counts[bites] + counts[undecided] - d.both)
}

func (s *Snapshot) citation(f finding) Citation {
	p := s.provisions.at(f.provision)
	c := Citation{Directive: s.directives.rows.at(p.directive).resource, Provision: s.provision(f.provision), Window: p.window}
	if f.release != none {
		r := s.holes.at(f.release)
		c.Release = r.release
		c.Window = r.window.Intersect(p.window)
		if r.release.Instrument != "" {
			c.Instrument = s.Directive(r.release.Instrument)
		}
	}
	return c
}

// Obligations returns what whoever acts on an ALLOWED answer must honour, in the order of citations.
func (d *Decision) Obligations() []CarriedObligation {
	if d.Outcome != Allowed {
		return nil
	}
	var list []CarriedObligation
	seen := make(map[CarriedObligation]bool)
	for _, f := range d.findings.list(released) {
		for _, o := range d.at.Carried(d.at.holes.at(f.release).release) {
			if !seen[o] {
				seen[o] = true
				list = append(list, o)
			}
		}
	}
	return list
}

// Carried returns the obligations that the release carries: its own, and on a ground those of its directive's rules.
func (s *Snapshot) Carried(r *Release) []CarriedObligation {
	var list []CarriedObligation
	for _, o := range r.Obligations {
		list = append(list, CarriedObligation{o, r.Directive, r.ID})
	}
	if r.Ground == "" {
		return list
	}
	if d := s.Directive(r.Directive); d != nil && d.ExemptionRules != nil {
		for _, o := range d.ExemptionRules.Obligations {
			list = append(list, CarriedObligation{o, r.Directive, r.ID})
		}
	}
	return list
}

// DeviceAction returns what a device does that knows no purpose: it blocks what is DENIED, and what is INDETERMINATE if a
// directive says so that has a binding provision that bites or might, be it cited or not, or if policy is too old to permit
// anything.
func (d *Decision) DeviceAction() DeviceAction {
	if d.Outcome == Denied || d.blocks {
		return DeviceBlock
	}
	return DeviceAllow
}

// Advice returns the advisory provisions that bite, might, or are released.
func (d *Decision) Advice() []Advice {
	var list []Advice
	for _, f := range d.findings.list(advised) {
		c := d.at.citation(f)
		list = append(list, Advice{c.Directive, c.Provision, c.Release, c.Release != nil})
	}
	return list
}

// Alternatives returns other channels to use, of the provisions cited with an answer that is not ALLOWED.
func (d *Decision) Alternatives() []Alternative {
	if d.Outcome == Allowed {
		return nil
	}
	var list []Alternative
	cited, _ := d.cited()
	for _, f := range cited {
		for _, a := range d.at.provision(f.provision).Alternatives {
			if !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// Missing returns what an INDETERMINATE answer lacks: names of attributes in order, and whether a finer purpose.
func (d *Decision) Missing() (attributes []string, purpose bool) {
	if d.Outcome != Indeterminate {
		return nil, false
	}
	for n := range MaxAttributes {
		if d.missing>>n&1 != 0 {
			attributes = append(attributes, d.at.attrs.rows[n].id)
		}
	}
	slices.Sort(attributes)
	return attributes, d.differ()
}

// PermittedPurposes returns, for an INDETERMINATE answer, the fewest subtrees of purposes all of which are ALLOWED.
func (d *Decision) PermittedPurposes() []string {
	if d.Outcome != Indeterminate {
		return nil
	}
	allowed := d.asked.not(d.denied).not(d.unknown)
	tree := d.at.tree
	whole := func(n uint8) bool { return tree.beneath[n].not(allowed).empty() }
	var list []string
	for n := range allowed.each {
		above := tree.parents[n]
		if whole(n) && (above < 0 || !d.asked.has(uint8(above)) || !whole(uint8(above))) {
			list = append(list, tree.ids[n])
		}
	}
	slices.Sort(list)
	return list
}

// Expire returns what the answer becomes once policy has EXPIRED: where the app's OnStale says deny, each purpose that is
// ALLOWED becomes DENIED. An answer that is DENIED for that alone gives the reason STALE_POLICY.
func (d *Decision) Expire() Decision {
	if d.app == none || d.at.appRows.at(d.app).onStale == StaleServe {
		return *d
	}
	return d.Spend()
}

// Spend returns what the answer becomes once policy is too old to permit anything by, whatever the app's OnStale says: as
// Expire.
func (d *Decision) Spend() Decision {
	if d.Outcome == Denied {
		return *d
	}
	spent := *d
	spent.denied = d.asked.not(d.unknown)
	spent.blocks = true
	spent.conclude()
	if spent.Outcome == Denied {
		spent.Reason = StalePolicy
	}
	return spent
}

// Doubt returns the answer while nobody knows whether the time that d was decided for is right, or that of the other answer:
// the stricter one, with the stricter device action. Where they differ, and it is not d that stands for a reason of its own,
// the reason is CLOCK_UNCERTAIN.
func (d *Decision) Doubt(other *Decision) Decision {
	doubted := *d
	if other.Outcome > d.Outcome {
		doubted = *other
		doubted.Reason = ClockUncertain
	}
	doubted.blocks = d.blocks || other.blocks
	if d.Outcome == other.Outcome {
		return doubted
	}
	doubted.Reason = min(doubted.Reason, ClockUncertain)
	doubted.ValidUntil = min(d.ValidUntil, other.ValidUntil)
	return doubted
}
