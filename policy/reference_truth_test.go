package policy_test

import (
	"slices"
	"strings"

	"github.com/teishi-dev/teishi/policy"
)

// reference answers from a world. It keeps nothing but the world's resources in order, and when vendors change.
type reference struct {
	organizations map[string]*policy.Organization
	vendors       map[string]*policy.Vendor
	apps          map[string]*policy.App
	purposes      []*policy.Purpose
	attributes    map[string]*policy.Attribute
	directives    []instrument
	moments       map[string][]moment // by app, as asked about
}

// instrument is a directive with what is written under it, by id.
type instrument struct {
	*policy.Directive
	window     policy.Window // in force
	provisions []*policy.Provision
	releases   []*policy.Release // carve-outs too
}

func newReference(w world) *reference {
	ref := &reference{
		organizations: byID[*policy.Organization](w), vendors: byID[*policy.Vendor](w), apps: byID[*policy.App](w),
		purposes: all[*policy.Purpose](w), attributes: byID[*policy.Attribute](w), moments: map[string][]moment{},
	}
	directives, releases := all[*policy.Directive](w), all[*policy.Release](w)
	for _, d := range directives {
		i := instrument{Directive: d, window: windowInForce(d, directives)}
		for n := range d.Provisions {
			i.provisions = append(i.provisions, &d.Provisions[n])
		}
		for n := range d.CarveOuts {
			i.releases = append(i.releases, &d.CarveOuts[n])
		}
		for _, r := range releases {
			if r.Directive == d.ID {
				i.releases = append(i.releases, r)
			}
		}
		slices.SortFunc(i.provisions, func(a, b *policy.Provision) int { return strings.Compare(a.ID, b.ID) })
		slices.SortFunc(i.releases, func(a, b *policy.Release) int { return strings.Compare(a.ID, b.ID) })
		ref.directives = append(ref.directives, i)
	}
	return ref
}

// windowInForce is empty if the directive is withdrawn, else cut by the first successor that is not.
func windowInForce(d *policy.Directive, directives []*policy.Directive) policy.Window {
	if d.Withdrawal != nil {
		return policy.Window{Start: d.Window.Start, End: d.Window.Start}
	}
	w := d.Window
	for _, successor := range directives {
		if successor.Withdrawal == nil && slices.Contains(successor.Supersedes, d.ID) {
			w.End = min(w.End, successor.Window.Start)
		}
	}
	return w
}

// question is a query whose names are known, with the truth of everything at it.
type question struct {
	*reference
	query        policy.Query
	organization *policy.Organization
	app          *policy.App // one without an id, for an unregistered identifier
	unregistered bool
	known        map[string]string // the attributes that are
	purposes     []string          // Q in order: the purpose asked, if one was, comes first
	at           policy.Instant
	moments      []moment
	rules        []*rule // by directive, provision
}

// ask puts q to every provision, or says which of its names is unknown.
func (ref *reference) ask(q policy.Query) (*question, policy.Reason) {
	asked := &question{reference: ref, query: q, at: q.At}
	if asked.organization = ref.organization(q.Organization); asked.organization == nil {
		return nil, policy.UnknownOrganization
	}
	if asked.app, asked.unregistered = ref.app(q.App); asked.app == nil {
		return nil, policy.UnknownApp
	}
	for _, p := range ref.purposes {
		if q.Purpose == "" || within(p.ID, q.Purpose) {
			asked.purposes = append(asked.purposes, p.ID)
		}
	}
	if !slices.Contains(asked.purposes, q.Purpose) && (q.Purpose != "" || len(asked.purposes) == 0) {
		return nil, policy.UnknownPurpose
	}
	asked.known = ref.known(q)
	asked.moments = ref.momentsOf(asked.app)
	asked.rules = asked.allRules()
	return asked, 0
}

// allRules leaves out only the provisions whose targets facet is TRUE at no instant: they are FALSE in every respect.
func (q *question) allRules() []*rule {
	var rules []*rule
	for _, d := range q.directives {
		for _, p := range d.provisions {
			r := &rule{directive: d.Directive, provision: p, window: intersect(p.Selector.Window, d.window)}
			r.facets = q.facetsOf(&p.Selector, r.window)
			if r.facets.ever() == policy.False {
				continue
			}
			for _, release := range d.releases {
				if len(release.Provisions) > 0 && !slices.Contains(release.Provisions, p.ID) {
					continue
				}
				own := policy.Window{Start: release.Selector.Window.Start, End: min(release.Selector.Window.End, release.EndTime)}
				h := &hole{release: release, window: intersect(own, r.window)}
				h.facets = q.facetsOf(&release.Selector, h.window)
				r.holes = append(r.holes, h)
			}
			rules = append(rules, r)
		}
	}
	return rules
}

func intersect(a, b policy.Window) policy.Window {
	return policy.Window{Start: max(a.Start, b.Start), End: min(a.End, b.End)}
}

// facets are those of a selector, at the instant asked about; the targets also over all time, the purposes at each of Q.
type facets struct {
	window, organizations, targets, conditions policy.Truth
	targetsAt                                  []policy.Truth // at each moment
	purposes                                   []policy.Truth
}

// at is the selector's truth at a purpose.
func (f *facets) at(x int) policy.Truth {
	return min(f.window, f.organizations, f.targets, f.purposes[x], f.conditions)
}

// everAt is the truth at a purpose, looked at over all time and without the window.
func (f *facets) everAt(x int) policy.Truth {
	return min(f.organizations, f.ever(), f.purposes[x], f.conditions)
}

// ever is TRUE if the targets facet is at some instant.
func (f *facets) ever() policy.Truth { return slices.Max(f.targetsAt) }

func (q *question) facetsOf(s *policy.Selector, clipped policy.Window) facets {
	f := facets{window: truth(clipped.Start <= q.at && q.at < clipped.End)}
	f.organizations = truth(q.organizationSelected(&s.Organizations))
	truths := make([]policy.Truth, 0, len(q.moments)+len(q.purposes))
	f.targetsAt, f.purposes = truths[:0:len(q.moments)], truths[len(q.moments):len(q.moments)]
	f.conditions = policy.True
	for _, c := range s.Conditions {
		f.conditions = min(f.conditions, q.holds(c))
	}
	for i := range q.moments {
		m := &q.moments[i]
		selected := truth(q.targetSelected(&s.Targets, m))
		f.targetsAt = append(f.targetsAt, selected)
		if m.from <= q.at {
			f.targets = selected
		}
	}
	for _, x := range q.purposes {
		beneath := func(p string) bool { return within(x, p) }
		in := len(s.Purposes.In) == 0 || slices.ContainsFunc(s.Purposes.In, beneath)
		f.purposes = append(f.purposes, truth(in && !slices.ContainsFunc(s.Purposes.Out, beneath)))
	}
	return f
}

func truth(b bool) policy.Truth {
	if b {
		return policy.True
	}
	return policy.False
}

func not(t policy.Truth) policy.Truth {
	return [...]policy.Truth{policy.False: policy.True, policy.Unknown: policy.Unknown, policy.True: policy.False}[t]
}

func (q *question) organizationSelected(s *policy.OrganizationSelector) bool {
	var path, kinds []string
	for o := q.organization; o != nil; o = q.organizations[o.Parent] {
		path, kinds = append(path, o.ID), append(kinds, o.Kind)
	}
	in := s.All || len(s.In) == 0 || overlap(s.In, path)
	return in && !overlap(s.Out, path) && (len(s.Kinds) == 0 || overlap(s.Kinds, kinds))
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func (q *question) targetSelected(s *policy.TargetSelector, m *moment) bool {
	matches := func(t policy.Target) bool {
		return (t.App == "" || t.App == q.app.ID) && (t.Tag == "" || slices.Contains(q.app.Tags, t.Tag)) &&
			(t.Vendor == "" || slices.Contains(m.vendors, t.Vendor)) && (t.Country == "" || slices.Contains(m.countries, t.Country))
	}
	return (s.All || len(s.In) == 0 || slices.ContainsFunc(s.In, matches)) && !slices.ContainsFunc(s.Out, matches)
}

func (q *question) holds(c policy.Condition) policy.Truth {
	value, known := q.known[c.Attribute]
	if !known {
		return policy.Unknown
	}
	return truth(slices.ContainsFunc(c.Values, func(v string) bool { return within(value, v) }))
}

// within reports whether a dotted id is root or lies beneath it.
func within(id, root string) bool { return id == root || strings.HasPrefix(id, root+".") }

// above is the id without its last part; empty for one without dots.
func above(id string) string { return id[:max(0, strings.LastIndexByte(id, '.'))] }

// moment is a span of time in which nothing about an app's vendors changes: it lasts until the next one.
type moment struct {
	from      policy.Instant
	vendors   []string // the owner and those above it
	countries []string // theirs
}

// momentsOf are the moments of an app, from the beginning of time on, no two neighbours alike.
func (ref *reference) momentsOf(app *policy.App) []moment {
	if moments, ok := ref.moments[app.ID]; ok {
		return moments
	}
	starts := []policy.Instant{policy.Beginning}
	add := func(w policy.Window) { starts = append(starts, w.Start, w.End) }
	for _, o := range app.Ownerships {
		add(o.Window)
	}
	for _, v := range ref.vendors {
		for _, p := range v.Parents {
			add(p.Window)
		}
		for _, c := range v.Countries {
			add(c.Window)
		}
	}
	slices.Sort(starts)
	var moments []moment
	for _, t := range slices.Compact(starts) {
		m := ref.momentAt(app, t)
		if last := len(moments) - 1; t == policy.Forever || last >= 0 && slices.Equal(moments[last].vendors, m.vendors) && slices.Equal(moments[last].countries, m.countries) {
			continue
		}
		moments = append(moments, m)
	}
	ref.moments[app.ID] = moments
	return moments
}

func (ref *reference) momentAt(app *policy.App, t policy.Instant) moment {
	m := moment{from: t}
	for owner := holder(app.Ownerships, t); owner != "" && !slices.Contains(m.vendors, owner); owner = holder(ref.vendors[owner].Parents, t) {
		m.vendors = append(m.vendors, owner)
		for _, c := range ref.vendors[owner].Countries {
			if c.Window.Start <= t && t < c.Window.End {
				m.countries = append(m.countries, c.Country)
			}
		}
	}
	return m
}

// holder is the vendor of the period that holds t; empty if none does.
func holder(periods []policy.VendorPeriod, t policy.Instant) string {
	for _, p := range periods {
		if p.Window.Start <= t && t < p.Window.End {
			return p.Vendor
		}
	}
	return ""
}
