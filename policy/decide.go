package policy

import "slices"

// Decision is an answer in the numbers of its snapshot. Its methods put it into words.
type Decision struct {
	Outcome    Outcome
	Reason     Reason
	ValidUntil Instant // the least instant at which the answer may change by time alone; Forever if there is none

	at           *Snapshot
	app          int32
	purpose      int16 // that was asked; -1 if none
	unregistered bool  // the app is an identifier that nobody holds
	blocks       bool  // a device blocks: a directive with DeviceBlock bites or might, or policy is too old
	asked        mask  // purposes the query was put to
	denied       mask  // those denied
	unknown      mask  // those undecided
	missing      uint32

	findings findings
	both     int32 // how many bite, and are undecided too, each at purposes of its own
}

// Decide answers the resolved query. It is a pass over the provisions that name both the app and a root above the
// organization; up to eight findings of a sort cost no allocation.
func (s *Snapshot) Decide(r *Resolved) (d Decision) {
	d = Decision{ValidUntil: Forever, at: s, app: r.app, purpose: r.purpose, unregistered: r.unregistered}
	if r.at != s {
		panic("policy: a query resolved against another snapshot")
	}
	if r.problem != 0 {
		d.Outcome, d.Reason = Denied, r.problem
		return d
	}
	d.asked = r.asked()
	w := walk{s: s, r: r, d: &d, app: r.view(), facet: none, bitten: none}
	w.visitAll()
	d.findings.settle(s)
	d.conclude()
	return d
}

// conclude makes one outcome of the purposes' answers.
func (d *Decision) conclude() {
	if d.denied.empty() && d.unknown.empty() {
		d.Outcome, d.Reason = Allowed, d.whyAllowed()
		return
	}
	d.unknown = d.unknown.not(d.denied)
	self := d.purpose >= 0 && d.denied.has(uint8(d.purpose))
	switch {
	case self || d.asked.not(d.denied).empty():
		d.Outcome, d.Reason = Denied, Suspended
	case d.differ():
		d.Outcome, d.Reason = Indeterminate, DependsOnPurpose
	default:
		d.Outcome, d.Reason = Indeterminate, MissingAttribute
	}
}

func (d *Decision) whyAllowed() Reason {
	switch {
	case d.findings.counts[released] > 0:
		return Released
	case d.unregistered:
		return UnregisteredApp
	}
	return NoDirective
}

// differ reports whether the purposes asked have different answers.
func (d *Decision) differ() bool {
	return !d.uniform(d.denied) || !d.uniform(d.unknown)
}

// uniform reports whether all purposes asked are in the set, or none.
func (d *Decision) uniform(m mask) bool { return m.empty() || d.asked.not(m).empty() }

// walk is one pass over what may matter to a query.
type walk struct {
	s   *Snapshot
	r   *Resolved
	d   *Decision
	app appView

	facet    int32 // the purposes facet met last, for it is often met again
	purposes mask  // those asked of which it is true
	bitten   int32 // the facet at whose purposes all is known to be denied
}

func (w *walk) visitAll() {
	for i, g := range w.app.static {
		w.visitGroup(g, i, true)
	}
	if w.app.owner != nil {
		for i := range w.app.owner.memberships {
			m := &w.app.owner.memberships[i]
			w.visitGroup(m.group, len(w.app.static)+i, m.always)
		}
	}
}

// visitGroup looks at what names the group and a root on the path. The group is the i-th of the app's; member says
// whether the app belongs to it at all times.
func (w *walk) visitGroup(group int32, i int, member bool) {
	g := w.s.groups.rows.at(group)
	if !g.filter.meets(&w.r.filter) {
		return
	}
	var from run
	for _, at := range g.few {
		if w.r.filter.has(filterBit(at.root)) {
			if k := slices.Index(w.r.path[:w.r.depth], at.root); k >= 0 {
				w.visit(at.row, i, k, member, &from)
			}
		}
	}
	if g.many {
		w.visitMany(g, group, i, member)
	}
}

// visitMany looks into the index for each root on the path.
func (w *walk) visitMany(g *groupRow, group int32, i int, member bool) {
	var single [1]int32
	for k, root := range w.r.path[:w.r.depth] {
		if g.filter.has(filterBit(root)) {
			var from run
			for _, row := range w.s.index.find(place{0, group, root}, &single) {
				w.visit(row, i, k, member, &from)
			}
		}
	}
}

// earlier reports whether the provision was met before the i-th group and the k-th root.
func (w *walk) earlier(p *provisionRow, i, k int) bool {
	if len(p.selector.roots) > 1 {
		for _, root := range w.r.path[:k] {
			if contains(p.selector.roots, root) {
				return true
			}
		}
	}
	if len(p.firsts) > 1 {
		for j := range i {
			if contains(p.firsts, w.group(j)) {
				return true
			}
		}
	}
	return false
}

// group returns the i-th group of the app.
func (w *walk) group(i int) int32 {
	if i < len(w.app.static) {
		return w.app.static[i]
	}
	return w.app.owner.memberships[i-len(w.app.static)].group
}

// contains reports whether the ordered list has the number.
func contains(list []int32, n int32) bool {
	low, high := 0, len(list)
	for low < high {
		if mid := int(uint(low+high) >> 1); list[mid] < n {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < len(list) && list[low] == n
}

// visit looks at one provision that is found under the i-th group and the k-th root.
func (w *walk) visit(row int32, i, k int, member bool, from *run) {
	g := w.s.gates.at(row)
	if w.r.time >= g.window.End || g.kinds != 0 && g.kinds&w.r.kinds == 0 {
		return
	}
	if g.facet != w.facet {
		w.facet, w.purposes = g.facet, w.s.facets.rows.at(g.facet).mask.and(w.d.asked)
	}
	if w.purposes.empty() {
		return
	}
	if g.plain && member && w.r.time >= g.window.Start {
		w.edge(g.window.End)
		if w.bitten != g.facet {
			w.bitten, w.d.denied = g.facet, w.d.denied.or(w.purposes)
		}
		w.d.blocks = w.d.blocks || g.blocks
		w.bite(row, from)
		return
	}
	if p := w.s.provisions.at(row); !p.plural || !w.earlier(p, i, k) {
		w.inspect(row, p, member, from)
	}
}

// inspect looks at the facets that visit has not.
func (w *walk) inspect(row int32, p *provisionRow, member bool, from *run) {
	conditions := w.facets(&p.selector)
	if conditions == False {
		return
	}
	now, change := true, Forever
	if !member || !p.sure {
		var ever bool
		if now, ever, change = p.selector.targets.over(&w.app, w.r.time, p.window); !ever {
			return
		}
	}
	w.edge(change)
	if w.r.time < p.window.Start {
		w.edge(p.window.Start)
		return
	}
	w.edge(p.window.End)
	f := found{row: row, truth: conditions, purposes: w.purposes}
	if !now {
		f.truth = False
	}
	if p.released {
		w.release(p, &f)
	}
	w.note(p, &f, from)
}

// bite enters that the provision bites.
func (w *walk) bite(row int32, from *run) {
	if from.spent[bites] {
		w.d.findings.counts[bites]++
		return
	}
	w.d.findings.add(w.s, bites, finding{row, none}, from)
}

// edge notes an instant after the query's at which the answer may change.
func (w *walk) edge(t Instant) { w.d.ValidUntil = min(w.d.ValidUntil, t) }

// facets returns the truth of the selector's facets but for roots, targets, purposes and window.
func (w *walk) facets(sel *selector) Truth {
	if !w.admits(sel) {
		return False
	}
	return w.conditions(sel)
}

// admits reports whether the selector neither narrows the organization out by its kinds nor leaves it out.
func (w *walk) admits(sel *selector) bool {
	return (sel.kinds == 0 || sel.kinds&w.r.kinds != 0) && (len(sel.outs) == 0 || !w.r.onPath(sel.outs))
}

func (w *walk) conditions(sel *selector) Truth {
	truth := True
	for _, c := range sel.conditions {
		if w.r.known>>c.attribute&1 == 0 {
			truth = Unknown
		} else if w.r.values[c.attribute]&c.values == 0 {
			return False
		}
	}
	return truth
}

// found is what is known of a provision in the course of a visit.
type found struct {
	row      int32
	truth    Truth // of its selector, at the purposes
	purposes mask
	released mask // purposes at which a release is true
	loose    mask // purposes at which a release is unknown
}

// note enters what the provision does at the purposes.
func (w *walk) note(p *provisionRow, f *found, from *run) {
	if f.truth == False {
		return
	}
	biting, open := mask{}, f.purposes.not(f.released)
	if f.truth == True {
		biting = open.not(f.loose)
	}
	unknown := open.not(biting)
	if p.force == Advisory {
		if !open.empty() {
			w.d.findings.add(w.s, advised, finding{f.row, none}, from)
		}
		return
	}
	w.d.blocks = w.d.blocks || p.blocks && !open.empty()
	if !biting.empty() {
		w.d.denied = w.d.denied.or(biting)
		w.bite(f.row, from)
	}
	if unknown.empty() {
		return
	}
	if !biting.empty() {
		w.d.both++
	}
	w.d.unknown = w.d.unknown.or(unknown)
	w.d.findings.add(w.s, undecided, finding{f.row, none}, from)
	w.d.missing |= p.selector.attributes &^ w.r.known
	if !f.loose.empty() {
		w.looseAttributes(p, f, unknown)
	}
}
