package policy

import (
	"cmp"
	"iter"
	"slices"
)

// A group is a set of apps that one name of a target stands for: all of them, one app, a tag, a vendor, a country.
// Provisions are indexed under groups; an app belongs to some always and to others for a while.
type groupKey struct {
	kind   groupKind
	number int32  // of the app or vendor
	name   string // of the tag or country
}

type groupKind uint8

const (
	groupAll groupKind = iota
	groupApp
	groupVendor
	groupTag
	groupCountry
)

// allApps is the number of the group that every app, registered or not, belongs to.
const allApps int32 = 0

// groups numbers the groups.
type groups struct {
	numbers table[groupKey, int32]
	rows    paged[groupRow]
}

// groupRow is what names a group: a short list of it, or, once that grows long, only a filter of the roots, by which
// most queries are spared a look into the index.
type groupRow struct {
	few    []placed // in the order of citations; nil once many
	filter mask
	many   bool
}

// placed is a provision that names a group, and a root together with it.
type placed struct{ root, row int32 }

// fewPlaced is how many provisions of a group are looked through one by one.
const fewPlaced = 16

func (g *groups) ordinal(b *builder, key groupKey) int32 {
	hash := key.hash(b.seed)
	if i, ok := g.numbers.get(hash, key); ok {
		return i
	}
	i := g.rows.grow(b.edit)
	g.numbers.put(b.edit, hash, key, i)
	return i
}

// membership is a group to which an app belongs for a while.
type membership struct {
	group   int32
	always  bool     // it never begins nor ends
	windows []Window // in order, apart, none empty
}

func (m *membership) holds(t Instant) bool {
	if len(m.windows) == 1 {
		return m.windows[0].Contains(t)
	}
	i, _ := slices.BinarySearchFunc(m.windows, t, func(w Window, t Instant) int { return cmp.Compare(w.End, t+1) })
	return i < len(m.windows) && m.windows[i].Contains(t)
}

// vendorPeriod is a VendorPeriod with the vendor's number.
type vendorPeriod struct {
	vendor int32
	window Window
}

// countryPeriod is a CountryPeriod with the number of the country's group.
type countryPeriod struct {
	group  int32
	window Window
}

type vendorRow struct {
	group     int32
	parents   []vendorPeriod
	countries []countryPeriod
}

// owner is what apps with one and the same list of ownerships have in common.
type owner struct {
	ownerships  []vendorPeriod
	memberships []membership // in vendors and countries, ordered by group
	edges       []Instant    // at which a membership begins or ends, in order
}

// owners interns lists of ownerships, so that a vendor's move recomputes few rows however many apps it has.
type owners struct {
	numbers table[string, int32]
	rows    paged[owner]
}

// recompute brings the rows that mention one of the vendors up to date.
func (o *owners) recompute(b *builder, vendors []int32) {
	for i := range o.rows.n {
		row := o.rows.at(i)
		if slices.ContainsFunc(vendors, func(v int32) bool { return row.mentions(b.vendorRows.at(v).group) }) {
			o.rows.edit(b.edit, i).compute(b)
		}
	}
}

func (o *owner) mentions(group int32) bool {
	_, found := slices.BinarySearchFunc(o.memberships, group, func(m membership, g int32) int { return cmp.Compare(m.group, g) })
	return found
}

// compute follows the ownerships up the vendors over all time.
func (o *owner) compute(b *builder) {
	spans := make(map[int32][]Window)
	var follow func(list []vendorPeriod, within Window, depth int)
	follow = func(list []vendorPeriod, within Window, depth int) {
		for _, p := range list {
			w := p.window.Intersect(within)
			if w.Empty() || depth > MaxDepth {
				continue
			}
			v := b.vendorRows.at(p.vendor)
			spans[v.group] = append(spans[v.group], w)
			for _, c := range v.countries {
				if cw := c.window.Intersect(w); !cw.Empty() {
					spans[c.group] = append(spans[c.group], cw)
				}
			}
			follow(v.parents, w, depth+1)
		}
	}
	follow(o.ownerships, Always, 1)
	o.memberships, o.edges = nil, nil
	for group, windows := range spans {
		windows = coalesce(windows)
		o.memberships = append(o.memberships, membership{group, windows[0] == Always, windows})
	}
	slices.SortFunc(o.memberships, func(a, b membership) int { return cmp.Compare(a.group, b.group) })
	for _, m := range o.memberships {
		for _, w := range m.windows {
			o.edges = append(o.edges, w.Start, w.End)
		}
	}
	slices.Sort(o.edges)
	o.edges = slices.DeleteFunc(slices.Compact(o.edges), func(t Instant) bool { return !t.Finite() })
}

// coalesce orders the windows and joins those that touch.
func coalesce(windows []Window) []Window {
	slices.SortFunc(windows, func(a, b Window) int { return cmp.Compare(a.Start, b.Start) })
	joined := windows[:1]
	for _, w := range windows[1:] {
		if last := &joined[len(joined)-1]; w.Start <= last.End {
			last.End = max(last.End, w.End)
		} else {
			joined = append(joined, w)
		}
	}
	return joined
}

// target is a compiled Target: the groups to all of which an app must belong, the one it is indexed under first.
type target struct {
	groups [4]int32
	n      uint8
}

// targets is a compiled TargetSelector. A nil one matches every app.
type targets struct {
	in     []target // ordered by first group; empty means every app
	out    []target // ordered by first group
	simple bool     // each of in names one group, and nothing is out
}

// firsts returns the distinct groups that a matching app belongs to at least one of.
func (t *targets) firsts() []int32 {
	if t == nil || len(t.in) == 0 {
		return []int32{allApps}
	}
	list := make([]int32, len(t.in))
	for i := range t.in {
		list[i] = t.in[i].groups[0]
	}
	return slices.Compact(list)
}

// match reports whether the facet is true of the app at t.
func (t *targets) match(a *appView, at Instant) bool {
	return (len(t.in) == 0 || a.any(t.in, at)) && !a.any(t.out, at)
}

// appView is the app of a query as the index sees it.
type appView struct {
	static []int32 // groups it always belongs to
	owner  *owner  // nil if nobody ever owned it
}

func (a *appView) member(group int32, at Instant) bool {
	for _, g := range a.static {
		if g == group {
			return true
		}
	}
	if a.owner == nil {
		return false
	}
	for i := range a.owner.memberships {
		if m := &a.owner.memberships[i]; m.group == group {
			return m.always || m.holds(at)
		}
	}
	return false
}

// fewTargets is how many targets are tried one by one rather than searched for by the app's groups.
const fewTargets = 8

// any reports whether one of the targets, which are ordered by first group, matches at t.
func (a *appView) any(list []target, at Instant) bool {
	if len(list) <= fewTargets {
		for i := range list {
			if a.all(list[i].groups[:list[i].n], at) {
				return true
			}
		}
		return false
	}
	for _, g := range a.static {
		if a.anyFirst(list, g, at) {
			return true
		}
	}
	if a.owner == nil {
		return false
	}
	for i := range a.owner.memberships {
		m := &a.owner.memberships[i]
		if m.holds(at) && a.anyFirst(list, m.group, at) {
			return true
		}
	}
	return false
}

func (a *appView) anyFirst(list []target, group int32, at Instant) bool {
	i, _ := slices.BinarySearchFunc(list, group, func(t target, g int32) int { return cmp.Compare(t.groups[0], g) })
	for ; i < len(list) && list[i].groups[0] == group; i++ {
		if a.all(list[i].groups[1:list[i].n], at) {
			return true
		}
	}
	return false
}

func (a *appView) all(groups []int32, at Instant) bool {
	for _, g := range groups {
		if !a.member(g, at) {
			return false
		}
	}
	return true
}

// over looks at the facet over all time: whether it is true at t, whether it is at any instant, and the least instant
// strictly inside within and after t at which its truth changes (Forever if there is none).
func (t *targets) over(a *appView, at Instant, within Window) (now, ever bool, change Instant) {
	if t == nil {
		return true, true, Forever
	}
	now, change = t.match(a, at), Forever
	ever = now || t.match(a, Beginning)
	for edge := range t.changes(a) {
		ever = true
		if edge > at && edge > within.Start && edge < within.End {
			return now, ever, edge
		}
	}
	return now, ever, change
}

// changes yields, in order, the instants at which the truth of the facet changes.
func (t *targets) changes(a *appView) iter.Seq[Instant] {
	return func(yield func(Instant) bool) {
		if t == nil || a.owner == nil || len(a.owner.edges) == 0 {
			return
		}
		before := t.match(a, Beginning)
		for _, edge := range a.owner.edges {
			after := t.match(a, edge)
			if after != before && !yield(edge) {
				return
			}
			before = after
		}
	}
}
