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
