package policy

import "slices"

// need returns a *NotGrantedError unless there is the role over the organization.
func (p Powers) need(role Role, organization string) error {
	if p.May(role, organization) {
		return nil
	}
	return &NotGrantedError{role, organization}
}

// Permit reports as a *NotGrantedError that the changes need a power that there is not. What they loosen, PermitLoosening judges.
func (p Powers) Permit(changes []Change) error {
	entry := make(map[string]*Organization) // what the entry registers
	for _, c := range changes {
		if o, ok := c.Put.(*Organization); ok && p.s.Organization(o.ID) == nil {
			entry[o.ID] = o
		}
	}
	for _, c := range changes {
		if err := p.permit(c, entry); err != nil {
			return err
		}
	}
	return nil
}

func (p Powers) permit(c Change, entry map[string]*Organization) error {
	switch r := c.Put.(type) {
	case nil:
		return p.permitDelete(c.Delete)
	case *Organization:
		return p.permitOrganization(r, entry)
	case *Directive:
		return p.permitDirective(r)
	case *Release:
		return p.permitRelease(r)
	case *ConcernState:
		return p.need(Issuer, p.s.authority(r.Directive))
	case *Statement:
		return p.need(Issuer, p.s.authority(r.Directive))
	case *Grant:
		return p.need(Administrator, r.Organization)
	case *Proposal:
		return nil // who may make the change may propose it, and that is judged by itself
	}
	return p.need(Registrar, Everywhere)
}

func (p Powers) permitDelete(k Key) error {
	switch k.Kind {
	case KindConcern:
		return p.need(Issuer, p.s.authority(k.Directive))
	case KindGrant:
		return p.need(Administrator, p.s.Grant(k.ID).Organization)
	}
	return p.need(Registrar, Everywhere)
}

// authority returns that of a directive; without the directive it is Everywhere, which takes most.
func (s *Snapshot) authority(directive string) string {
	if d := s.Directive(directive); d != nil {
		return d.Authority
	}
	return Everywhere
}

// permitOrganization lets the registrar of a subtree add organizations to it, and edit how they are called. Their kind and
// aliases, their place and whether they are retired decide which directives match: that is a matter of the root.
func (p Powers) permitOrganization(o *Organization, entry map[string]*Organization) error {
	was, place := p.s.Organization(o.ID), o.ID
	if was == nil {
		was, place = &Organization{Parent: o.Parent}, standing(o, entry)
	}
	if place == "" || was.Parent != o.Parent || o.Kind != was.Kind || o.Retired != was.Retired || !slices.Equal(o.Aliases, was.Aliases) {
		return p.need(Registrar, Everywhere)
	}
	return p.need(Registrar, place)
}

// standing returns the nearest organization above a new one that the entry does not register; empty if there is none.
func standing(o *Organization, entry map[string]*Organization) string {
	above := o.Parent
	for range MaxDepth {
		next := entry[above]
		if next == nil {
			return above
		}
		above = next.Parent
	}
	return ""
}

// permitDirective takes power over the authority, over that of the former text, and over those of what is newly superseded.
func (p Powers) permitDirective(d *Directive) error {
	was := p.s.Directive(d.ID)
	if err := p.need(Issuer, d.Authority); err != nil {
		return err
	}
	if was != nil {
		if err := p.need(Issuer, was.Authority); err != nil {
			return err
		}
	}
	for _, id := range d.Supersedes {
		if was != nil && slices.Contains(was.Supersedes, id) {
			continue
		}
		if err := p.need(Issuer, p.s.authority(id)); err != nil {
			return err
		}
	}
	return nil
}

// permitRelease takes power over the directive's authority, or that its rules leave exemptions to the subject.
func (p Powers) permitRelease(r *Release) error {
	if p.exempts(r) {
		return nil
	}
	return p.need(Issuer, p.s.authority(r.Directive))
}

// exempts reports whether this is an exemption that the subject grants, or takes back from itself.
func (p Powers) exempts(r *Release) bool {
	d := p.s.Directive(r.Directive)
	if d == nil || d.ExemptionRules == nil || d.ExemptionRules.Approver != ApproverSubject || r.Kind != Exemption {
		return false
	}
	if was := p.s.Release(r.Directive, r.ID); was != nil && was.GrantedBy != p.principal {
		return false
	}
	o := &r.Selector.Organizations
	return !o.All && len(o.In) > 0 && !slices.ContainsFunc(o.In, func(id string) bool { return !p.May(Exempter, id) })
}

// Lifts reports whether there is the power to loosen the directive by the changes.
func (p Powers) Lifts(directive string, changes []Change) bool {
	if p.May(Issuer, p.s.authority(directive)) {
		return true
	}
	about := 0
	for _, c := range changes {
		if r, ok := c.Put.(*Release); ok && r.Directive == directive {
			if about++; !p.exempts(r) {
				return false
			}
		}
	}
	return about > 0
}

// PermitLoosening reports as a *NotGrantedError that a directive is loosened that there is no power to lift.
func (p Powers) PermitLoosening(directives []string, changes []Change) error {
	for _, id := range directives {
		if !p.Lifts(id, changes) {
			return &NotGrantedError{Issuer, p.s.authority(id)}
		}
	}
	return nil
}

// Concerns reports whether it may be told why a write about the key fails: whoever could not write it learns not even whether it is
// there. Put is what would be written; nil if that is not known.
func (p Powers) Concerns(k Key, put Resource) bool {
	switch k.Kind {
	case KindOrganization:
		return p.concernsOrganization(k.ID, put)
	case KindDirective:
		if d, ok := put.(*Directive); ok && p.s.Directive(k.ID) == nil {
			return p.May(Issuer, d.Authority)
		}
		return p.May(Issuer, p.s.authority(k.ID))
	case KindRelease:
		return p.May(Issuer, p.s.authority(k.Directive)) || p.concernsExemption(k, put)
	case KindConcern, KindStatement:
		return p.May(Issuer, p.s.authority(k.Directive))
	case KindGrant:
		return p.concernsGrant(k.ID, put)
	case KindProposal:
		if was := p.s.Proposal(k.ID); was != nil {
			exemption, _ := put.(*Release)
			return p.SeesProposal(was, exemption)
		}
		_, proposed := put.(*Proposal) // what it proposes has been judged
		return proposed
	}
	return p.May(Registrar, Everywhere)
}

// concernsExemption lets who may exempt know of releases that it sees, and of those that it would add.
func (p Powers) concernsExemption(k Key, put Resource) bool {
	d := p.s.Directive(k.Directive)
	if d == nil || !p.Has(Exempter) || !p.SeesDirective(d) {
		return false
	}
	if was := p.s.Release(k.Directive, k.ID); was != nil {
		return p.SeesRelease(was)
	}
	return put != nil
}

func (p Powers) concernsOrganization(id string, put Resource) bool {
	if p.s.Organization(id) != nil {
		return p.May(Registrar, id)
	}
	if o, ok := put.(*Organization); ok && o.Parent != "" {
		return p.May(Registrar, o.Parent)
	}
	return p.May(Registrar, Everywhere)
}

func (p Powers) concernsGrant(id string, put Resource) bool {
	if was := p.s.Grant(id); was != nil {
		return p.May(Administrator, was.Organization)
	}
	if g, ok := put.(*Grant); ok {
		return p.May(Administrator, g.Organization)
	}
	return p.May(Administrator, Everywhere)
}

// SeesProposal reports whether the proposal may be told of: one's own, one about directives that one could lift or audit, and one
// of an exemption, nil if it is of anything else, that one could grant.
func (p Powers) SeesProposal(r *Proposal, exemption *Release) bool {
	return p.all || r.Proposer == p.principal || exemption != nil && p.exempts(exemption) ||
		slices.ContainsFunc(r.Needs, func(n ApprovalNeed) bool {
			authority := p.s.authority(n.Directive)
			return p.May(Issuer, authority) || p.May(Auditor, authority)
		})
}
