package policy

import (
	"cmp"
	"slices"
)

// Touched is what the changes of one entry may have changed the answers to; no other answer is otherwise by reason of
// it, at any instant. An answer is what Decide says, without what Explain adds. It errs only by naming too much: purposes,
// conditions, kinds, windows and what selectors leave out are not looked at.
type Touched struct {
	all   bool
	sides [2]side // as things were and as they are
}

// side is what the changes touch in the numbers of one snapshot, which mean nothing to the other.
type side struct {
	at            *Snapshot
	organizations []int32 // ordered
	apps          []int32 // ordered
	vendors       []int32 // their groups, ordered
	reaches       []reach
}

// reach is where provisions hold, or, if a release is given, where it meets one of them.
type reach struct {
	release    *selector
	provisions []int32
}

// mostReached is how many provisions are looked through. Of more, deciding anew costs less than looking.
const mostReached = 1024

// Touched returns what the changes, which made s out of before, may have changed the answers to. It keeps both.
func (s *Snapshot) Touched(before *Snapshot, changes []Change) Touched {
	t := Touched{sides: [2]side{{at: before}, {at: s}}}
	for _, c := range changes {
		t.note(c.Key())
	}
	for i := range t.sides {
		t.all = t.all || t.sides[i].reached() > mostReached
		t.sides[i].settle()
	}
	return t
}

// Nothing reports whether no answer is touched.
func (t *Touched) Nothing() bool { return !t.all && t.sides[0].nothing() && t.sides[1].nothing() }

// All reports whether any answer may be touched.
func (t *Touched) All() bool { return t.all }

// Query reports whether answers about the organization, by id or alias, and the app, by id or identifier, may have changed.
func (t *Touched) Query(organization, app string) bool {
	return t.all || t.sides[0].query(organization, app) || t.sides[1].query(organization, app)
}

// App reports whether an answer about the app, by id or identifier, may have changed, whatever the organization.
func (t *Touched) App(app string) bool {
	return t.all || t.sides[0].app(app) || t.sides[1].app(app)
}

// Organization reports whether an answer about the organization, by id or alias, may have changed, whatever the app.
func (t *Touched) Organization(id string) bool {
	return t.all || t.sides[0].organization(id) || t.sides[1].organization(id)
}

func (t *Touched) note(k Key) {
	if k.Kind == KindPurpose || k.Kind == KindAttribute {
		t.all = true
		return
	}
	for i := range t.sides {
		t.sides[i].note(k)
	}
}

func (x *side) note(k Key) {
	s := x.at
	switch k.Kind {
	case KindOrganization:
		x.organizations = appendNumber(x.organizations, s.organizations.number(s.seed, k.ID))
	case KindVendor:
		if v := s.vendors.number(s.seed, k.ID); v != none {
			x.vendors = append(x.vendors, s.vendorRows.at(v).group)
		}
	case KindApp:
		x.apps = appendNumber(x.apps, s.apps.number(s.seed, k.ID))
	case KindDirective:
		x.noteDirective(k.ID)
	case KindRelease:
		x.noteRelease(k)
	}
}

// appendNumber adds the number unless it is none.
func appendNumber(list []int32, n int32) []int32 {
	if n == none {
		return list
	}
	return append(list, n)
}

// noteDirective notes where the directive and those it supersedes hold: its own window clips theirs.
func (x *side) noteDirective(id string) {
	d := x.at.directives.number(x.at.seed, id)
	if d == none {
		return
	}
	x.reaches = append(x.reaches, reach{provisions: x.at.rules.at(d).provisions})
	for _, id := range x.at.directives.rows.at(d).resource.Supersedes {
		if d := x.at.directives.number(x.at.seed, id); d != none {
			x.reaches = append(x.reaches, reach{provisions: x.at.rules.at(d).provisions})
		}
	}
}

func (x *side) noteRelease(k Key) {
	d := x.at.directives.number(x.at.seed, k.Directive)
	if d == none {
		return
	}
	row, ok := x.at.findRelease(d, k.ID)
	if !ok {
		return
	}
	r := x.at.holes.at(row)
	provisions := r.provisions
	if len(provisions) == 0 {
		provisions = x.at.rules.at(d).provisions
	}
	x.reaches = append(x.reaches, reach{&r.selector, provisions})
}

// reached returns how many provisions there are to look through.
func (x *side) reached() (n int) {
	for _, r := range x.reaches {
		n += len(r.provisions)
	}
	return n
}

func (x *side) settle() {
	slices.Sort(x.organizations)
	slices.Sort(x.apps)
	slices.Sort(x.vendors)
}

func (x *side) nothing() bool {
	return len(x.organizations)+len(x.apps)+len(x.vendors)+len(x.reaches) == 0
}

func (x *side) query(organization, app string) bool {
	r := Resolved{at: x.at}
	if x.nothing() || !x.path(organization, &r) {
		return false
	}
	if r.onPath(x.organizations) {
		return true
	}
	view, known := x.view(app, &r)
	return known && (x.changed(r.app, &view) || x.within(func(sel *selector) bool {
		return r.beneath(sel) && view.ever(sel.targets)
	}))
}

func (x *side) app(name string) bool {
	if len(x.organizations) > 0 {
		return true
	}
	r := Resolved{at: x.at}
	view, known := x.view(name, &r)
	return known && (x.changed(r.app, &view) || x.within(func(sel *selector) bool { return view.ever(sel.targets) }))
}

func (x *side) organization(id string) bool {
	r := Resolved{at: x.at}
	if !x.path(id, &r) {
		return false
	}
	return len(x.apps)+len(x.vendors) > 0 || r.onPath(x.organizations) || x.within(r.beneath)
}

// path notes the organization's path in r and reports whether there is such an organization.
func (x *side) path(organization string, r *Resolved) (known bool) {
	i := x.at.resolveOrganization(organization)
	if i != none {
		x.at.climb(i, r)
	}
	return i != none
}

// view notes the app in r and reports whether it is one that can be decided about.
func (x *side) view(app string, r *Resolved) (view appView, known bool) {
	if _, known = x.at.resolveApp(app, r); known {
		view = r.view()
	}
	return view, known
}

// changed reports whether the app, or a vendor that ever owned it or stood above who did, is among what changed.
func (x *side) changed(app int32, a *appView) bool {
	return contains(x.apps, app) || a.owner != nil && slices.ContainsFunc(a.owner.memberships, func(m membership) bool {
		return contains(x.vendors, m.group)
	})
}

// within reports whether what fits is in one of the reaches.
func (x *side) within(fits func(*selector) bool) bool {
	return slices.ContainsFunc(x.reaches, func(r reach) bool {
		return (r.release == nil || fits(r.release)) && slices.ContainsFunc(r.provisions, func(p int32) bool {
			return fits(&x.at.provisions.at(p).selector)
		})
	})
}

// beneath reports whether the organization is in one of the selector's subtrees.
func (r *Resolved) beneath(sel *selector) bool { return len(sel.roots) == 0 || r.onPath(sel.roots) }

// ever reports whether the app is one of the targets in, each group of it taken at an instant of its own.
func (a *appView) ever(t *targets) bool {
	if t == nil || len(t.in) == 0 || slices.ContainsFunc(a.static, func(g int32) bool { return a.everFirst(t.in, g) }) {
		return true
	}
	return a.owner != nil && slices.ContainsFunc(a.owner.memberships, func(m membership) bool { return a.everFirst(t.in, m.group) })
}

// everFirst is ever for the targets, which are ordered by first group, whose first group is this one of the app's.
func (a *appView) everFirst(list []target, group int32) bool {
	i, _ := slices.BinarySearchFunc(list, group, func(t target, g int32) int { return cmp.Compare(t.groups[0], g) })
	for ; i < len(list) && list[i].groups[0] == group; i++ {
		if !slices.ContainsFunc(list[i].groups[1:list[i].n], a.neverIn) {
			return true
		}
	}
	return false
}

// neverIn reports whether the app belongs to the group at no instant.
func (a *appView) neverIn(group int32) bool {
	return !slices.Contains(a.static, group) && (a.owner == nil || !a.owner.mentions(group))
}
