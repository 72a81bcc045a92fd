package policy

import "slices"

// heir is a name, an app's id or an identifier, that stands for something else than it did: for the same app as it is now, for
// another one, or for one that nobody registered.
type heir struct {
	was, is appView
	gone    bool // nothing is known by that name now, or old policy serves it that did not
}

// noteApp notes what the names of the app stand for. An id that nobody had was denied, as unknown; an identifier that nobody
// held stood for an unregistered app.
func (l *loosening) noteApp(id string) {
	was, is := l.before.App(id), l.after.App(id)
	if was != nil {
		l.noteHeir(l.before.apps.number(l.before.seed, id), l.after.apps.number(l.after.seed, id), is == nil)
	}
	var had, has []string
	if was != nil {
		had = was.Identifiers
	}
	if is != nil {
		has = is.Identifiers
	}
	l.noteIdentifiers(had, has)
	l.noteIdentifiers(has, had)
}

// noteIdentifiers notes the names of the one list that are not in the other. What lies beneath a domain stands for the same
// as the domain, unless it is held itself.
func (l *loosening) noteIdentifiers(list, other []string) {
	for _, name := range list {
		if id, ok := parseIdentifier(name); ok && !slices.Contains(other, name) {
			l.noteHeir(l.before.resolveIdentifier(id), l.after.resolveIdentifier(id), false)
		}
	}
}

// noteOwners notes the apps of owners that a change of vendors gives other memberships.
func (l *loosening) noteOwners() {
	if !l.vendors {
		return
	}
	for row := range l.before.appRows.n {
		owner := l.before.appRows.at(row).owner
		if owner == none || l.after.apps.rows.at(row).changed == 0 {
			continue
		}
		was, is := l.before.owners.rows.at(owner), l.after.owners.rows.at(owner)
		if was != is && !slices.EqualFunc(was.memberships, is.memberships, membership.equal) {
			l.noteHeir(row, row, false)
		}
	}
}

func (m membership) equal(o membership) bool {
	return m.group == o.group && slices.Equal(m.windows, o.windows)
}

// noteHeir notes that a name that stood for the app of one row stands for that of another. None is an app that nobody registered.
func (l *loosening) noteHeir(was, is int32, gone bool) {
	h := &heir{was: l.before.view(was), gone: gone || l.before.onStale(was) == StaleDeny && l.after.onStale(is) == StaleServe}
	if !gone {
		h.is = l.after.view(is)
	}
	for group := range h.differing {
		l.heirs[group] = append(l.heirs[group], h)
	}
}

// onStale returns what becomes of an ALLOWED answer about the app when policy has EXPIRED.
func (s *Snapshot) onStale(app int32) OnStale {
	if app == none {
		return StaleServe
	}
	return s.appRows.at(app).onStale
}

// differing yields the groups to which the name belongs otherwise than it did; if it is gone, those to which it belonged.
func (h *heir) differing(yield func(group int32) bool) {
	for _, sides := range [2][2]*appView{{&h.was, &h.is}, {&h.is, &h.was}} {
		for _, group := range sides[0].static {
			if (h.gone || !slices.Contains(sides[1].static, group)) && !yield(group) {
				return
			}
		}
		if sides[0].owner == nil {
			continue
		}
		for _, m := range sides[0].owner.memberships {
			if (h.gone || !sides[1].has(m)) && !yield(m.group) {
				return
			}
		}
	}
}

// has reports whether the app belongs to the group at just those instants.
func (a *appView) has(m membership) bool {
	return a.owner != nil && slices.ContainsFunc(a.owner.memberships, m.equal)
}

// eachHeir yields the names between which the targets may tell.
func (l *loosening) eachHeir(t *targets) func(yield func(*heir) bool) {
	return func(yield func(*heir) bool) {
		if len(l.heirs) == 0 {
			return
		}
		for group := range t.groups {
			for _, h := range l.heirs[group] {
				if !yield(h) {
					return
				}
			}
		}
	}
}

// groups yields the groups that the targets tell apps apart by; every app belongs to one if there are none.
func (t *targets) groups(yield func(int32) bool) {
	if t == nil || len(t.in) == 0 {
		if !yield(allApps) || t == nil {
			return
		}
	}
	for _, list := range [2][]target{t.in, t.out} {
		for i := range list {
			for _, group := range list[i].groups[:list[i].n] {
				if !yield(group) {
					return
				}
			}
		}
	}
}

// instants yields some instant of each span of the window in which the name stands for one and the same.
func (h *heir) instants(within Window) func(yield func(Instant) bool) {
	return func(yield func(Instant) bool) {
		if within.Empty() || !yield(within.Start) {
			return
		}
		for _, a := range [2]*appView{&h.was, &h.is} {
			if a.owner == nil {
				continue
			}
			for _, edge := range a.owner.edges {
				if within.Contains(edge) && !yield(edge) {
					return
				}
			}
		}
	}
}

// losesApp reports whether the binding provision could be true no longer of something that is asked about by one of the names.
func (l *loosening) losesApp(p *provisionRow) bool {
	t := p.selector.targets
	for h := range l.eachHeir(t) {
		for at := range h.instants(p.window) {
			if t.holds(&h.was, at) && (h.gone || !t.holds(&h.is, at)) {
				return true
			}
		}
	}
	return false
}

// gainsApp reports whether the release could be true anew of what is asked about by one of the names, and what a binding
// provision held for.
func (l *loosening) gainsApp(r *releaseRow, rule *directiveRow) bool {
	t := r.selector.targets
	for h := range l.eachHeir(t) {
		for row := range l.before.opened(r, rule) {
			p := l.before.provisions.at(row)
			for at := range h.instants(r.window.Intersect(p.window)) {
				if !t.holds(&h.was, at) && t.holds(&h.is, at) && p.selector.targets.holds(&h.was, at) {
					return true
				}
			}
		}
	}
	return false
}

// holds is match, of targets that may be nil.
func (t *targets) holds(a *appView, at Instant) bool { return t == nil || t.match(a, at) }
