package faults

import (
	"regexp"
	"slices"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// claims is who may do what by the grants and the organizations that there are, as the design says it: nothing of it is ours.
type claims struct {
	parents    map[string]string // of organizations
	grants     map[string]*policy.Grant
	directives map[string]*policy.Directive
	releases   map[string]*policy.Release // by `directive/id`
	proposals  map[string]*policy.Proposal
}

func newClaims() *claims {
	return &claims{map[string]string{}, map[string]*policy.Grant{}, map[string]*policy.Directive{}, map[string]*policy.Release{}, map[string]*policy.Proposal{}}
}

// anyRole is that of whoever has any grant.
const anyRole policy.Role = 0

// fold takes in what an entry changes.
func (c *claims) fold(changes []policy.Change) {
	for _, change := range changes {
		switch r := change.Put.(type) {
		case nil:
			delete(c.grants, change.Delete.ID) // no id is of anything else
		case *policy.Organization:
			c.parents[r.ID] = r.Parent
		case *policy.Grant:
			c.grants[r.ID] = r
		case *policy.Directive:
			c.directives[r.ID] = r
		case *policy.Release:
			c.releases[r.Directive+"/"+r.ID] = r
		case *policy.Proposal:
			c.proposals[r.ID] = r
		}
	}
}

// within reports whether an organization is another, or beneath it.
func (c *claims) within(id, root string) bool {
	for ; id != ""; id = c.parents[id] {
		if id == root {
			return true
		}
	}
	return false
}

// over reports whether a grant is over an organization.
func (c *claims) over(g *policy.Grant, organization string) bool {
	return g.Organization == "*" || c.within(organization, g.Organization)
}

// some reports whether somebody has a grant of one of the roles that is such.
func (c *claims) some(who string, such func(g *policy.Grant) bool, roles ...policy.Role) bool {
	for _, g := range c.grants {
		is := g.Role == policy.Administrator || slices.Contains(roles, anyRole) || slices.Contains(roles, g.Role)
		if g.Principal == who && is && such(g) {
			return true
		}
	}
	return false
}

// may reports whether somebody has one of the roles over an organization, or `*`.
func (c *claims) may(who, organization string, roles ...policy.Role) bool {
	return c.some(who, func(g *policy.Grant) bool { return c.over(g, organization) }, roles...)
}

// has reports whether somebody has one of the roles, over whatever.
func (c *claims) has(who string, roles ...policy.Role) bool {
	return c.some(who, func(*policy.Grant) bool { return true }, roles...)
}

// meets reports whether a grant is over organizations that are named, or beneath them.
func (c *claims) meets(g *policy.Grant, o *policy.OrganizationSelector) bool {
	return o.All || g.Organization == "*" || slices.ContainsFunc(o.In, func(id string) bool {
		return c.within(id, g.Organization) || c.within(g.Organization, id)
	})
}

func (c *claims) seesDirective(who, id string) bool {
	d := c.directives[id]
	return d != nil && c.some(who, func(g *policy.Grant) bool {
		return c.over(g, d.Authority) || slices.ContainsFunc(d.Provisions, func(p policy.Provision) bool { return c.meets(g, &p.Selector.Organizations) })
	}, anyRole)
}

func (c *claims) seesRelease(who, id string) bool {
	r := c.releases[id]
	return r != nil && c.seesDirective(who, r.Directive) && c.some(who, func(g *policy.Grant) bool {
		return len(r.Selector.Organizations.In) == 0 || c.meets(g, &r.Selector.Organizations)
	}, anyRole)
}

// issues reports whether somebody has power over a directive.
func (c *claims) issues(who, directive string, roles ...policy.Role) bool {
	d := c.directives[directive]
	return d != nil && c.may(who, d.Authority, append(roles, policy.Issuer)...)
}

// exempts reports whether somebody may exempt all that a selector names from a directive.
func (c *claims) exempts(who, directive string, o *policy.OrganizationSelector) bool {
	d := c.directives[directive]
	return d != nil && d.ExemptionRules != nil && d.ExemptionRules.Approver == policy.ApproverSubject && len(o.In) > 0 && !o.All &&
		!slices.ContainsFunc(o.In, func(id string) bool { return !c.may(who, id, policy.Exempter) })
}

func (c *claims) seesProposal(who, id string) bool {
	p := c.proposals[id]
	return p != nil && (p.Proposer == who || slices.ContainsFunc(p.Needs, func(n policy.ApprovalNeed) bool {
		return c.issues(who, n.Directive, policy.Auditor)
	}))
}

// seesGrant reports whether somebody may see a grant: one's own too.
func (c *claims) seesGrant(who, id string) bool {
	g := c.grants[id]
	return g != nil && (g.Principal == who || c.may(who, g.Organization, policy.Auditor))
}

// marks are what the texts of resources are marked with: `<o:home>` stands in the organization home and nowhere else.
var marks = regexp.MustCompile(`<([odrpg]):([a-z0-9/-]+)>`)

func mark(kind, id string) string { return "<" + kind + ":" + id + ">" }

// knows reports whether what is marked so is not newer than the claims.
func (c *claims) knows(kind, id string) bool {
	_, organization := c.parents[id]
	return organization || c.directives[id] != nil || c.releases[id] != nil || c.proposals[id] != nil || kind == "g"
}

// sees reports whether somebody may see what is marked so.
func (c *claims) sees(who, kind, id string) bool {
	switch kind {
	case "o":
		return c.may(who, id, anyRole)
	case "d":
		return c.seesDirective(who, id)
	case "r":
		return c.seesRelease(who, id)
	case "p":
		return c.seesProposal(who, id)
	}
	return c.seesGrant(who, id)
}

// unseen returns the marks in a text of what somebody may not see.
func (c *claims) unseen(who, text string) (list []string) {
	for _, m := range marks.FindAllStringSubmatch(text, -1) {
		if c.knows(m[1], m[2]) && !c.sees(who, m[1], m[2]) {
			list = append(list, m[0])
		}
	}
	return list
}

// mayChange reports whether somebody may make a change, which others need not approve.
func (c *claims) mayChange(who string, change policy.Change) bool {
	switch r := change.Put.(type) {
	case nil:
		g := c.grants[change.Delete.ID]
		return g != nil && c.may(who, g.Organization) || c.may(who, "*", policy.Registrar)
	case *policy.Organization:
		if parent, known := c.parents[r.ID]; known {
			return parent == r.Parent && c.may(who, r.ID, policy.Registrar) || c.may(who, "*", policy.Registrar)
		}
		return r.Parent != "" && c.may(who, r.Parent, policy.Registrar) || c.may(who, "*", policy.Registrar)
	case *policy.Directive:
		return c.may(who, r.Authority, policy.Issuer) && (c.directives[r.ID] == nil || c.issues(who, r.ID))
	case *policy.Release:
		return c.issues(who, r.Directive) || r.Kind == policy.Exemption && c.exempts(who, r.Directive, &r.Selector.Organizations)
	case *policy.ConcernState:
		return c.issues(who, r.Directive)
	case *policy.Statement:
		return c.issues(who, r.Directive)
	case *policy.Grant:
		return c.may(who, r.Organization)
	case *policy.Proposal:
		return slices.ContainsFunc(r.Needs, func(n policy.ApprovalNeed) bool { return c.issues(who, n.Directive) })
	}
	return c.may(who, "*", policy.Registrar)
}

// judgeWriters folds the record, and returns the revisions of entries whose writers had no right to them.
func judgeWriters(entries []policystore.Entry, judged map[string]bool) (wrong []policystore.Entry, err error) {
	c := newClaims()
	for _, e := range entries {
		changes, err := e.Changes()
		if err != nil {
			return nil, err
		}
		bad := false
		for _, change := range changes { // what an entry registers, more of it may be beneath
			bad = bad || judged[e.Principal] && !c.mayChange(e.Principal, change)
			c.fold([]policy.Change{change})
		}
		if bad {
			wrong = append(wrong, e)
		}
	}
	return wrong, nil
}
