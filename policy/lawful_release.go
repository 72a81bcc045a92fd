package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// releaseForm checks a lift or an exemption.
func releaseForm(r *Release) error {
	var top *field
	return firstOf(
		known(top.in("kind"), r.Kind, Lift, Exemption),
		said(top.in("directive"), r.Directive),
		holeForm(top, r),
		instant(top.in("selector").in("effective_time"), r.Selector.Window.Start),
		exemptionForm(r),
		endForm(top.in("end_time"), r.EndTime),
	)
}

// carveOutForm checks a release that is part of the text of a directive, which has the provisions.
func carveOutForm(at *field, r *Release, directive string, provisions map[string]bool) error {
	switch {
	case r.Kind != CarveOut:
		return at.in("kind").wrong("a carve-out is no other kind of release")
	case r.Directive != directive:
		return at.in("directive").wrong("a carve-out belongs to the directive it stands in")
	case r.EndTime != Forever:
		return at.in("end_time").wrong("a carve-out is not revoked: amend the directive")
	case strings.HasPrefix(r.ID, concernLiftPrefix):
		return at.in("id").wrong(reservedProblem)
	}
	if err := withoutGround(at, r); err != nil {
		return err
	}
	if err := holeForm(at, r); err != nil {
		return err
	}
	for i, id := range r.Provisions {
		if !provisions[id] {
			return noProvision(at, i, directive, id)
		}
	}
	return nil
}

// holeForm checks what releases of every kind have.
func holeForm(at *field, r *Release) error {
	return firstOf(
		slug(at.in("id"), r.ID),
		set(at.in("provisions"), r.Provisions, reference),
		selectorForm(at.in("selector"), &r.Selector),
		obligationsForm(at.in("obligations"), r.Obligations),
	)
}

// exemptionForm checks what an exemption must carry, and that a lift carries none of it.
func exemptionForm(r *Release) error {
	var top *field
	if r.Kind != Exemption {
		return withoutGround(top, r)
	}
	if r.Selector.Window.End == Forever {
		return top.in("selector").in("expire_time").wrong("an exemption must say when it ends")
	}
	return firstOf(
		said(top.in("ground"), r.Ground),
		said(top.in("justification"), r.Justification),
		prose(top.in("approver"), r.Approver),
	)
}

// withoutGround refuses a lift or carve-out with what only exemptions have.
func withoutGround(at *field, r *Release) error {
	for _, only := range []struct{ name, text string }{
		{"ground", r.Ground}, {"justification", r.Justification}, {"approver", r.Approver}, {"granted_by", r.GrantedBy},
	} {
		if only.text != "" {
			return at.in(only.name).wrong("only exemptions have it")
		}
	}
	return nil
}

func endForm(at *field, end Instant) error {
	if end == Forever {
		return nil
	}
	return instant(at, end)
}

// onlyEnds refuses every change to a lift or exemption but an earlier end.
func onlyEnds(d *draft, r *Release) error {
	was, _ := d.was(r.Key()).(*Release)
	if was == nil {
		return nil
	}
	ended := *was
	ended.EndTime = r.EndTime
	if !reflect.DeepEqual(&ended, r) {
		return &ExistsError{r.Key()}
	}
	if r.EndTime > was.EndTime {
		return (*field)(nil).in("end_time").wrong("it ends at " + was.EndTime.String() + " already: what ended is not prolonged")
	}
	return nil
}

// concernLiftPrefix begins the ids of the lifts that resolving the last concern adds.
const concernLiftPrefix = "concerns-"

const reservedProblem = "ids that begin with " + concernLiftPrefix + " are given when the last concern is resolved"

// releaseIDFree refuses the id of a carve-out, and one that is the server's to give.
func releaseIDFree(d *draft, r *Release) error {
	if d.was(r.Key()) != nil {
		return nil
	}
	if carveOut(d.directive(r.Directive), r.ID) != nil {
		return &ExistsError{r.Key()}
	}
	if strings.HasPrefix(r.ID, concernLiftPrefix) && !d.liftsByConcern(r) {
		return (*field)(nil).in("id").wrong(reservedProblem)
	}
	return nil
}

// liftsByConcern reports whether the release is the lift that the entry adds because it resolves a concern.
func (d *draft) liftsByConcern(r *Release) bool {
	if r.Kind != Lift || r.ID != concernLiftID(d.rev) {
		return false
	}
	return slices.ContainsFunc(d.changes, func(c Change) bool {
		state, ok := c.Put.(*ConcernState)
		return ok && state.Directive == r.Directive && state.Resolved
	})
}

func concernLiftID(rev Revision) string { return fmt.Sprintf("%s%d", concernLiftPrefix, rev) }

// provisionsThere refuses a release of provisions that its directive does not have.
func provisionsThere(d *draft, r *Release) error {
	if len(r.Provisions) == 0 {
		return nil
	}
	provisions := provisionIDs(d.directive(r.Directive))
	for i, id := range r.Provisions {
		if !provisions[id] {
			return noProvision(nil, i, r.Directive, id)
		}
	}
	return nil
}

func noProvision(at *field, i int, directive, id string) error {
	return at.in("provisions").item(i).wrong(fmt.Sprintf("directive %s has no provision %s", directive, id))
}

// exemptionPermitted refuses a new exemption that the directive's exemption rules do not allow. Those that exist are
// judged no more, so that they can be revoked when the rules have changed.
func exemptionPermitted(d *draft, r *Release) error {
	if r.Kind != Exemption || d.was(r.Key()) != nil {
		return nil
	}
	text, window := d.directive(r.Directive), r.Selector.Window
	if text.ExemptionRules == nil {
		return &RuleError{text.ID, "directive", "it has no rules for exemptions"}
	}
	if ground(text, r.Ground) == nil {
		return &RuleError{text.ID, "ground", r.Ground + " is not one of its grounds"}
	}
	longest := text.ExemptionRules.LongestDuration
	if longest > 0 && int64(window.End-window.Start) > longest.Microseconds() {
		return &RuleError{text.ID, "selector.expire_time", "exemptions last no longer than " + longest.String()}
	}
	if kind, whole := d.wholeKind(r, text.ExemptionRules.NotWhole); whole {
		return notWhole(text.ID, kind, &r.Selector)
	}
	return nil
}

// wholeKind reports whether the exemption names an organization of one of the kinds, and which; one that names none does.
func (d *draft) wholeKind(r *Release, kinds []string) (string, bool) {
	if len(kinds) == 0 {
		return "", false
	}
	if len(r.Selector.Organizations.In) == 0 {
		return "any organization", true
	}
	for _, id := range r.Selector.Organizations.In {
		if kind := d.organization(id).Kind; slices.Contains(kinds, kind) {
			return kind, true
		}
	}
	return "", false
}

// notWhole refuses a selector that does not name both a purpose and a condition.
func notWhole(directive, kind string, s *Selector) error {
	problem := "an exemption of " + kind + " must name both a purpose and a condition"
	switch {
	case len(s.Purposes.In) == 0:
		return &RuleError{directive, "selector.purposes.in", problem}
	case len(s.Conditions) == 0:
		return &RuleError{directive, "selector.conditions", problem}
	}
	return nil
}

func concernForm(c *ConcernState) error {
	var top *field
	evidence := prose
	if c.Resolved {
		evidence = said
	}
	return firstOf(
		said(top.in("directive"), c.Directive),
		evidence(top.in("evidence"), c.Evidence),
		prose(top.in("resolved_by"), c.ResolvedBy),
		instant(top.in("time"), c.Time),
	)
}

// concernThere refuses the state of a concern that the directive does not have.
func concernThere(d *draft, c *ConcernState) error {
	if concern(d.directive(c.Directive), c.Concern) == nil {
		return (*field)(nil).in("concern").wrong(fmt.Sprintf("directive %s has no concern %s", c.Directive, c.Concern))
	}
	return nil
}

func statementForm(s *Statement) error {
	var top *field
	return firstOf(
		said(top.in("directive"), s.Directive),
		slug(top.in("id"), s.ID),
		said(top.in("author"), s.Author),
		said(top.in("text"), s.Text),
		each(top.in("sources"), s.Sources, source),
		instant(top.in("time"), s.Time),
	)
}
