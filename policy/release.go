package policy

// release looks at the releases of the provision and notes in f at which purposes they hold.
func (w *walk) release(p *provisionRow, f *found) {
	w.eachRelease(p, func(row int32, r *releaseRow) {
		w.visitRelease(p, row, r, f)
	})
}

// eachRelease calls visit for the releases of the provision's directive that may matter to the query; through the index
// where they are many. It may call it more than once for one release.
func (w *walk) eachRelease(p *provisionRow, visit func(row int32, r *releaseRow)) {
	rule := w.s.rules.at(p.directive)
	if !rule.indexed {
		for _, row := range rule.releases.all() {
			visit(row, w.s.holes.at(row))
		}
		return
	}
	if !rule.roots.meets(&w.r.filter) {
		return
	}
	var single [1]int32
	for i := range w.groupCount() {
		group := w.group(i)
		if !rule.firsts.has(filterBit(group)) {
			continue
		}
		for _, root := range w.r.path[:w.r.depth] {
			if !rule.roots.has(filterBit(root)) {
				continue
			}
			for _, row := range w.s.index.find(place{p.directive + 1, group, root}, &single) {
				visit(row, w.s.holes.at(row))
			}
		}
	}
}

func (w *walk) groupCount() int {
	if w.app.owner == nil {
		return len(w.app.static)
	}
	return len(w.app.static) + len(w.app.owner.memberships)
}

// visitRelease looks at one release with one provision that is in force.
func (w *walk) visitRelease(p *provisionRow, row int32, r *releaseRow, f *found) {
	window := r.window.Intersect(p.window)
	if window.Empty() || w.r.time >= window.End {
		return
	}
	truth, purposes := w.judgeRelease(r, f)
	if truth == False {
		return
	}
	now, ever, change := r.selector.targets.over(&w.app, w.r.time, window)
	if !ever {
		return
	}
	w.edge(change)
	if w.r.time < window.Start {
		w.edge(window.Start)
		return
	}
	w.edge(window.End)
	switch {
	case !now:
	case truth == Unknown:
		f.loose = f.loose.or(purposes)
	default:
		f.released = f.released.or(purposes)
		w.noteReleased(p, f, row)
	}
}

// judgeRelease returns the truth of the release's facets other than targets and window, and the purposes at which it
// meets the provision.
func (w *walk) judgeRelease(r *releaseRow, f *found) (Truth, mask) {
	if len(r.provisions) > 0 && !contains(r.provisions, f.row) {
		return False, mask{}
	}
	if len(r.selector.roots) > 0 && !w.r.onPath(r.selector.roots) {
		return False, mask{}
	}
	purposes := w.s.facets.rows.at(r.selector.facet).mask.and(f.purposes)
	if purposes.empty() {
		return False, purposes
	}
	return w.facets(&r.selector), purposes
}

// noteReleased enters the pair of provision and release.
func (w *walk) noteReleased(p *provisionRow, f *found, row int32) {
	if f.truth == False {
		return
	}
	does := released
	if p.force == Advisory {
		does = advised
	}
	w.d.findings.add(w.s, does, finding{f.row, row}, nil)
}

// looseAttributes adds the attributes named by the releases that are unknown at a purpose at which the provision is.
func (w *walk) looseAttributes(p *provisionRow, f *found, unknown mask) {
	w.eachRelease(p, func(_ int32, r *releaseRow) {
		if !r.window.Contains(w.r.time) {
			return
		}
		truth, purposes := w.judgeRelease(r, f)
		if truth != Unknown || purposes.and(unknown).empty() {
			return
		}
		if t := r.selector.targets; t == nil || t.match(&w.app, w.r.time) {
			w.d.missing |= r.selector.attributes &^ w.r.known
		}
	})
}
