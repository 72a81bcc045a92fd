package policy

import (
	"fmt"
	"slices"
)

func directiveForm(t *Directive) error {
	var top *field
	provisions := provisionIDs(t)
	return firstOf(
		slug(top.in("id"), t.ID),
		prose(top.in("number"), t.Number),
		texts(top.in("title"), t.Title),
		said(top.in("authority"), t.Authority),
		prose(top.in("issuing_office"), t.IssuingOffice),
		prose(top.in("legal_basis"), t.LegalBasis),
		prose(top.in("rationale"), t.Rationale),
		each(top.in("sources"), t.Sources, source),
		countWithin(top.in("provisions"), len(t.Provisions), 0, MaxProvisions, "provisions"),
		each(top.in("provisions"), t.Provisions, provisionForm),
		distinct(top.in("provisions"), "id", len(t.Provisions), func(i int) string { return t.Provisions[i].ID }),
		each(top.in("carve_outs"), t.CarveOuts, func(at *field, r *Release) error { return carveOutForm(at, r, t.ID, provisions) }),
		distinct(top.in("carve_outs"), "id", len(t.CarveOuts), func(i int) string { return t.CarveOuts[i].ID }),
		instant(top.in("effective_time"), t.Window.Start),
		window(top, "effective_time", "expire_time", t.Window),
		countWithin(top.in("supersedes"), len(t.Supersedes), 0, MaxSupersedes, "directives"),
		set(top.in("supersedes"), t.Supersedes, reference),
		countWithin(top.in("concerns"), len(t.Concerns), 0, MaxConcerns, "concerns"),
		each(top.in("concerns"), t.Concerns, func(at *field, c *Concern) error { return clause(at, c.ID, c.Text) }),
		distinct(top.in("concerns"), "id", len(t.Concerns), func(i int) string { return t.Concerns[i].ID }),
		liftModeForm(top.in("lift_mode"), t),
		known(top.in("device_action"), t.DeviceAction, DeviceAllow, DeviceBlock),
		liftApprovalsForm(top.in("lift_approvals"), t.LiftApprovals),
		exemptionRulesForm(top.in("exemption_rules"), t.ExemptionRules),
		withdrawalForm(top.in("withdrawn"), t.Withdrawal),
	)
}

func provisionForm(at *field, p *Provision) error {
	switch {
	case !p.Selector.Organizations.Names() && p.Force == Binding:
		return at.in("selector").in("organizations").wrong("names no organizations: say which are bound")
	case !p.Selector.Organizations.Names():
		return at.in("selector").in("organizations").wrong("names no organizations: say which, or all")
	case !p.Selector.Targets.Names():
		return at.in("selector").in("targets").wrong("names no targets: say which, or all")
	}
	return firstOf(
		slug(at.in("id"), p.ID),
		selectorForm(at.in("selector"), &p.Selector),
		known(at.in("force"), p.Force, Binding, Advisory),
		texts(at.in("message"), p.Message),
		each(at.in("alternatives"), p.Alternatives, alternativeForm),
		distinct(at.in("alternatives"), "id", len(p.Alternatives), func(i int) string { return p.Alternatives[i].ID }),
	)
}

func alternativeForm(at *field, a *Alternative) error {
	return firstOf(clause(at, a.ID, a.Text), optional(at.in("uri"), a.URI, uri))
}

// clause checks what has an id and a text: a concern, a ground, an obligation, an alternative.
func clause(at *field, id, text string) error {
	return firstOf(slug(at.in("id"), id), prose(at.in("text"), text))
}

func liftModeForm(at *field, t *Directive) error {
	if t.LiftMode == LiftWhenConcernsResolved && len(t.Concerns) == 0 {
		return at.wrong("waits for concerns, but there are none")
	}
	return known(at, t.LiftMode, LiftManual, LiftWhenConcernsResolved)
}

func liftApprovalsForm(at *field, n int) error {
	if n < 0 || n > MaxLiftApprovals {
		return at.wrong(fmt.Sprintf("%d, not 0 to %d", n, MaxLiftApprovals))
	}
	return nil
}

func exemptionRulesForm(at *field, r *ExemptionRules) error {
	if r == nil {
		return nil
	}
	if r.LongestDuration < 0 {
		return at.in("longest_duration").wrong("negative")
	}
	return firstOf(
		countWithin(at.in("grounds"), len(r.Grounds), 0, MaxGrounds, "grounds"),
		each(at.in("grounds"), r.Grounds, func(at *field, g *Ground) error { return clause(at, g.ID, g.Text) }),
		distinct(at.in("grounds"), "id", len(r.Grounds), func(i int) string { return r.Grounds[i].ID }),
		known(at.in("approver"), r.Approver, ApproverAuthority, ApproverSubject),
		obligationsForm(at.in("obligations"), r.Obligations),
		countWithin(at.in("not_whole"), len(r.NotWhole), 0, MaxKinds, "kinds"),
		set(at.in("not_whole"), r.NotWhole, slug),
	)
}

func obligationsForm(at *field, list []Obligation) error {
	return firstOf(
		each(at, list, func(at *field, o *Obligation) error { return clause(at, o.ID, o.Text) }),
		distinct(at, "id", len(list), func(i int) string { return list[i].ID }),
	)
}

func withdrawalForm(at *field, w *Withdrawal) error {
	if w == nil {
		return nil
	}
	return firstOf(instant(at.in("time"), w.Time), proseWithin(at.in("reason"), w.Reason, MaxReasonLength))
}

// directiveStands refuses to write to a directive that was withdrawn before.
func directiveStands[R Resource](d *draft, r R) error {
	id, at := r.Key().Directive, "directive"
	if id == "" {
		id, at = r.Key().ID, "id"
	}
	if was := d.before.Directive(id); was != nil && was.Withdrawal != nil {
		return &RuleError{id, at, "it is withdrawn"}
	}
	return nil
}

// bindsWithinReach refuses a binding provision over what does not lie in the subtree of the directive's authority.
func bindsWithinReach(d *draft, t *Directive) error {
	at := (*field)(nil).in("provisions")
	for i, p := range t.Provisions {
		if p.Force == Binding && p.Selector.Organizations.All {
			return &RuleError{t.ID, at.item(i).in("selector").in("organizations").in("all").String(),
				"provision " + p.ID + " would bind every organization, not only those beneath " + t.Authority}
		}
	}
	i, j := d.outOfReach(t)
	if i < 0 {
		return nil
	}
	return &RuleError{t.ID, at.item(i).in("selector").in("organizations").in("in").item(j).String(), fmt.Sprintf(
		"provision %s would bind %s, which does not lie beneath %s", t.Provisions[i].ID,
		t.Provisions[i].Selector.Organizations.In[j], t.Authority)}
}

// supersedesOwn refuses to supersede a directive whose authority is neither the successor's own nor beneath it. What was
// superseded before stays so, wherever organizations moved since.
func supersedesOwn(d *draft, t *Directive) error {
	was := d.before.Directive(t.ID)
	for i, id := range t.Supersedes {
		if was != nil && was.Authority == t.Authority && slices.Contains(was.Supersedes, id) {
			continue
		}
		if theirs := d.directive(id).Authority; !d.within(theirs, t.Authority) {
			return &RuleError{id, (*field)(nil).in("supersedes").item(i).String(),
				fmt.Sprintf("its authority %s does not lie beneath %s", theirs, t.Authority)}
		}
	}
	return nil
}

// supersedesWithoutCycle refuses a directive that would supersede itself, be it through others.
func supersedesWithoutCycle(d *draft, t *Directive) error {
	for i, id := range t.Supersedes {
		if d.leadsTo(id, t.ID, make(map[string]bool)) {
			return (*field)(nil).in("supersedes").item(i).wrong(t.ID + " would supersede itself")
		}
	}
	return nil
}

// leadsTo reports whether the directive from is to, or supersedes it, be it through others.
func (d *draft) leadsTo(from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(d.directive(from).Supersedes, func(id string) bool { return d.leadsTo(id, to, seen) })
}

// releasesKept refuses to drop a provision or ground that a lift or exemption names.
func releasesKept(d *draft, t *Directive) error {
	was := d.before.Directive(t.ID)
	provisions := provisionIDs(t)
	if was == nil || !dropsNamed(was, t, provisions) {
		return nil
	}
	for _, r := range d.before.Releases(t.ID) {
		for _, id := range r.Provisions {
			if !provisions[id] {
				return &RuleError{t.ID, "provisions", fmt.Sprintf("release %s names its provision %s", r.ID, id)}
			}
		}
		if r.Ground != "" && ground(t, r.Ground) == nil {
			return &RuleError{t.ID, "exemption_rules.grounds", fmt.Sprintf("release %s names its ground %s", r.ID, r.Ground)}
		}
	}
	return nil
}

// dropsNamed reports whether the next text, which has the provisions, lacks a provision or ground of the one before.
func dropsNamed(was, next *Directive, provisions map[string]bool) bool {
	if slices.ContainsFunc(was.Provisions, func(p Provision) bool { return !provisions[p.ID] }) {
		return true
	}
	return was.ExemptionRules != nil &&
		slices.ContainsFunc(was.ExemptionRules.Grounds, func(g Ground) bool { return ground(next, g.ID) == nil })
}

// carveOutsApart refuses a carve-out with the id of a lift or exemption.
func carveOutsApart(d *draft, t *Directive) error {
	for _, r := range t.CarveOuts {
		key := Key{Kind: KindRelease, Directive: t.ID, ID: r.ID}
		if d.was(key) != nil {
			return &ExistsError{key}
		}
	}
	return nil
}

// concernsKept refuses to drop a concern whose state stays.
func concernsKept(d *draft, t *Directive) error {
	was := d.before.Directive(t.ID)
	if was == nil {
		return nil
	}
	for _, c := range was.Concerns {
		if concern(t, c.ID) == nil && d.lookup(Key{Kind: KindConcern, Directive: t.ID, ID: c.ID}) != nil {
			return (*field)(nil).in("concerns").wrong("lacks " + c.ID + ", whose state is recorded")
		}
	}
	return nil
}

// provisionIDs returns the set of the ids of the directive's provisions.
func provisionIDs(t *Directive) map[string]bool {
	ids := make(map[string]bool, len(t.Provisions))
	for i := range t.Provisions {
		ids[t.Provisions[i].ID] = true
	}
	return ids
}

// ground returns the ground of the id, nil if the directive lists none.
func ground(t *Directive, id string) *Ground {
	if t.ExemptionRules == nil {
		return nil
	}
	for i := range t.ExemptionRules.Grounds {
		if t.ExemptionRules.Grounds[i].ID == id {
			return &t.ExemptionRules.Grounds[i]
		}
	}
	return nil
}

// concern returns the directive's concern of the id, nil if it has none.
func concern(t *Directive, id string) *Concern {
	for i := range t.Concerns {
		if t.Concerns[i].ID == id {
			return &t.Concerns[i]
		}
	}
	return nil
}
