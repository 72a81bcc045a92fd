package policy

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// Powers is what somebody may do by the grants that a snapshot has of it. It is a small value: no grant is looked up before
// something is asked.
type Powers struct {
	s         *Snapshot
	all       bool // everything, without any grant
	principal string
	groups    []string
	before    Revision // only grants older than that count; 0: all
}

// AllPowers returns the powers of who may do everything.
func (s *Snapshot) AllPowers() Powers { return Powers{s: s, all: true} }

// Powers returns those of a principal, which has the grants of its groups too.
func (s *Snapshot) Powers(principal string, groups []string) Powers {
	return Powers{s: s, principal: principal, groups: groups}
}

// Before returns the powers by grants that are older than the revision.
func (p Powers) Before(rev Revision) Powers {
	p.before = rev
	return p
}

// A NotGrantedError says which power is missing. It is for the log: a caller is told nothing of what it may not see.
type NotGrantedError struct {
	Role Role
	Over string // an organization, or Everywhere
}

func (e *NotGrantedError) Error() string {
	return fmt.Sprintf("it takes a grant of %s over %s", e.Role, e.Over)
}

var roleNames = [...]string{"no role", "checker", "reporter", "issuer", "approver", "registrar", "replica", "auditor", "administrator"}

// String returns the role in words.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return roleNames[0]
}

// each yields the grants that count, until yield returns false.
func (p Powers) each(yield func(g *Grant) bool) {
	if !p.eachOf(p.principal, yield) {
		return
	}
	for _, group := range p.groups {
		if !p.eachOf(group, yield) {
			return
		}
	}
}

func (p Powers) eachOf(principal string, yield func(g *Grant) bool) bool {
	rows, _ := p.s.granted.get(maphash.String(p.s.seed, principal), principal)
	for _, row := range rows.all() {
		g := p.s.grants.rows.at(row)
		if (p.before == 0 || g.changed < p.before) && !yield(g.resource) {
			return false
		}
	}
	return true
}

// some reports whether a grant is such.
func (p Powers) some(such func(g *Grant) bool) (found bool) {
	p.each(func(g *Grant) bool {
		found = such(g)
		return !found
	})
	return found
}

// gives reports whether the grant gives the role, over whatever.
func (g *Grant) gives(role Role) bool { return g.Role == role || g.Role == Administrator }

// over reports whether the grant is over the organization, which need not be registered to be beneath Everywhere.
func (g *Grant) over(s *Snapshot, organization string) bool {
	return g.Organization == Everywhere || s.Within(organization, g.Organization)
}

// May reports whether there is the role over the organization, or Everywhere.
func (p Powers) May(role Role, organization string) bool {
	return p.all || p.some(func(g *Grant) bool { return g.gives(role) && g.over(p.s, organization) })
}

// Has reports whether there is one of the roles, over whatever.
func (p Powers) Has(roles ...Role) bool {
	return p.all || p.some(func(g *Grant) bool { return g.Role == Administrator || slices.Contains(roles, g.Role) })
}

// Any reports whether there is any grant at all.
func (p Powers) Any() bool { return p.all || p.some(func(*Grant) bool { return true }) }

// Grants returns the grants, ordered by id.
func (p Powers) Grants() []*Grant {
	var list []*Grant
	p.each(func(g *Grant) bool {
		list = append(list, g)
		return true
	})
	slices.SortFunc(list, func(a, b *Grant) int { return compareKeys(a.Key(), b.Key()) })
	return slices.Compact(list)
}

// Identities returns the persons that the grants say this is, ordered.
func (p Powers) Identities() []string {
	var list []string
	p.each(func(g *Grant) bool {
		if g.Identity != "" {
			list = append(list, g.Identity)
		}
		return true
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// Sees reports whether anything of the organization may be told.
func (p Powers) Sees(organization string) bool {
	return p.all || p.some(func(g *Grant) bool { return g.over(p.s, organization) })
}

// SeesDirective reports whether the directive may be told of: one of an authority, or about organizations, that are seen.
func (p Powers) SeesDirective(d *Directive) bool {
	return p.all || p.some(func(g *Grant) bool {
		return g.over(p.s, d.Authority) || slices.ContainsFunc(d.Provisions, func(t Provision) bool { return g.meets(p.s, &t.Selector) })
	})
}

// SeesRelease reports whether the release, of a directive that is seen, may be told of.
func (p Powers) SeesRelease(r *Release) bool {
	return p.all || p.some(func(g *Grant) bool { return len(r.Selector.Organizations.In) == 0 || g.meets(p.s, &r.Selector) })
}

// meets reports whether the selector names an organization above or beneath that of the grant, or all.
func (g *Grant) meets(s *Snapshot, selector *Selector) bool {
	o := &selector.Organizations
	return o.All || g.Organization == Everywhere || slices.ContainsFunc(o.In, func(id string) bool {
		return s.Within(id, g.Organization) || s.Within(g.Organization, id)
	})
}

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
		return p.need(Issuer, p.authority(r.Directive))
	case *Statement:
		return p.need(Issuer, p.authority(r.Directive))
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
		return p.need(Issuer, p.authority(k.Directive))
	case KindGrant:
		return p.need(Administrator, p.s.Grant(k.ID).Organization)
	}
	return p.need(Registrar, Everywhere)
}

// authority returns that of a directive; without the directive it is Everywhere, which takes most.
func (p Powers) authority(directive string) string {
	if d := p.s.Directive(directive); d != nil {
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
		if err := p.need(Issuer, p.authority(id)); err != nil {
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
	return p.need(Issuer, p.authority(r.Directive))
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
	if p.May(Issuer, p.authority(directive)) {
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
			return &NotGrantedError{Issuer, p.authority(id)}
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
		return p.May(Issuer, p.authority(k.ID))
	case KindRelease:
		return p.May(Issuer, p.authority(k.Directive)) || p.concernsExemption(k, put)
	case KindConcern, KindStatement:
		return p.May(Issuer, p.authority(k.Directive))
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
			authority := p.authority(n.Directive)
			return p.May(Issuer, authority) || p.May(Auditor, authority)
		})
}
