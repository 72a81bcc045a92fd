package policy

import (
	"maps"
	"slices"
	"strings"
)

// notePurpose notes a purpose that begins or ends to be. One beneath another is selected, as long as nothing names it, just
// as that other is, so that it changes no answer but the one about itself.
func (l *loosening) notePurpose(id string) {
	if strings.Contains(id, ".") {
		return
	}
	l.rootNew = l.rootNew || l.before.Purpose(id) == nil
	l.rootGone = l.rootGone || l.after.Purpose(id) == nil
}

// frees returns the purposes at which the directive denies though it may not at a new one that nothing names.
func (l *loosening) frees(rule *directiveRow) (denied mask) {
	opens := slices.ContainsFunc(rule.releases.all(), l.opensUnnamed)
	for _, row := range rule.provisions {
		p := l.before.provisions.at(row)
		if facet := l.before.facets.rows.at(p.selector.facet); p.force == Binding && (opens || len(facet.selector.In) > 0) {
			denied = denied.or(facet.mask)
		}
	}
	return denied
}

// opensUnnamed reports whether the release holds for a purpose that nothing names, and not for every other.
func (l *loosening) opensUnnamed(row int32) bool {
	purposes := &l.before.holes.at(row).release.Selector.Purposes
	return len(purposes.In) == 0 && len(purposes.Out) > 0
}

// judgeRoots judges a new purpose beneath none. It can only free a question without a purpose, which is denied if all purposes
// are, and it may take several directives to do that.
func (l *loosening) judgeRoots() {
	var all mask
	freeing := make(map[string]bool)
	for row := range l.before.directives.rows.n {
		text := l.before.directives.rows.at(row).resource
		if denied := l.frees(l.before.rules.at(row)); text.Withdrawal == nil && !denied.empty() {
			freeing[text.ID] = true
			all = all.or(denied)
		}
	}
	if l.before.tree.all.not(all).empty() {
		maps.Copy(l.named, freeing)
	}
}

// noteAttribute notes an attribute whose values are not the same: of a value that comes or goes, conditions become known or
// unknown.
func (l *loosening) noteAttribute(id string) {
	was, is := l.before.Attribute(id), l.after.Attribute(id)
	if was != nil && is != nil && !(within(was.Values, is.Values) && within(is.Values, was.Values)) {
		l.attributes |= 1 << l.before.attrs.number(id)
	}
}

// A trait is by what a selector may tell organizations apart: that one lies in a subtree or is of a kind, or, the zero
// trait, that there is one.
type trait struct{ root, kind string }

// move is an organization of which other traits hold than did.
type move struct {
	id      string
	was, is map[trait]bool // none now: it, or an alias of it, is unknown
}

func (m *move) gone() bool { return len(m.is) == 0 }

// noteOrganization notes an organization that lies elsewhere, is of another kind, or is called otherwise. A new one was
// unknown, and nothing is milder than that. One that is gone could come again, anywhere; so could an alias.
func (l *loosening) noteOrganization(id string) {
	was, is := l.before.Organization(id), l.after.Organization(id)
	if was == nil {
		return
	}
	m := &move{id, l.before.traits(id), l.after.traits(id)}
	l.noteMove(m)
	if is != nil && !within(was.Aliases, is.Aliases) {
		l.noteMove(&move{id: id, was: m.was})
	}
}

func (l *loosening) noteMove(m *move) {
	for t := range m.was {
		if !m.is[t] {
			l.moves[t] = append(l.moves[t], m)
		}
	}
	for t := range m.is {
		if !m.was[t] {
			l.moves[t] = append(l.moves[t], m)
		}
	}
}

// traits returns all that hold of the organization, none if there is none.
func (s *Snapshot) traits(id string) map[trait]bool {
	all := make(map[trait]bool)
	for o := s.Organization(id); o != nil; o = s.Organization(o.Parent) {
		all[trait{}], all[trait{root: o.ID}] = true, true
		if o.Kind != "" {
			all[trait{kind: o.Kind}] = true
		}
	}
	return all
}

// eachMove yields the moves between which the selector may tell.
func (l *loosening) eachMove(sel *OrganizationSelector) func(yield func(*move) bool) {
	return func(yield func(*move) bool) {
		if len(l.moves) == 0 {
			return
		}
		for t := range sel.traits {
			for _, m := range l.moves[t] {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// traits yields the traits that the selector tells organizations apart by.
func (s *OrganizationSelector) traits(yield func(trait) bool) {
	for _, list := range [2][]string{s.In, s.Out} {
		for _, root := range list {
			if !yield(trait{root: root}) {
				return
			}
		}
	}
	for _, kind := range s.Kinds {
		if !yield(trait{kind: kind}) {
			return
		}
	}
	if len(s.In) == 0 {
		yield(trait{})
	}
}

// losesOrganization reports whether the selector could be true no longer of an organization that moved, or of one beneath.
func (l *loosening) losesOrganization(sel *OrganizationSelector) bool {
	for m := range l.eachMove(sel) {
		if m.gone() && sel.admits(m.was) || !m.gone() && sel.fails(m.was, m.is) && l.before.reaches(sel, m.id, m.was) {
			return true
		}
	}
	return false
}

// gainsOrganization reports whether the release could be true anew of an organization that moved, or of one beneath, for
// which a binding provision held.
func (l *loosening) gainsOrganization(r *releaseRow, rule *directiveRow) bool {
	sel := &r.release.Selector.Organizations
	for m := range l.eachMove(sel) {
		if m.gone() || !sel.fails(m.is, m.was) || !l.after.reaches(sel, m.id, m.is) {
			continue
		}
		for p := range l.before.opened(r, rule) {
			if l.before.reaches(&l.before.provision(p).Selector.Organizations, m.id, m.was) {
				return true
			}
		}
	}
	return false
}

// admits reports whether the selector is true of an organization with the traits.
func (s *OrganizationSelector) admits(traits map[trait]bool) bool {
	return s.holdsIn(traits) && !s.holdsOut(traits) && s.holdsKind(traits)
}

// fails reports whether one of the selector's facets is true of an organization with these traits and not with those. What
// lies beneath has the same ones and some more, so a facet that does not fail here fails nowhere beneath.
func (s *OrganizationSelector) fails(these, those map[trait]bool) bool {
	return s.holdsIn(these) && !s.holdsIn(those) ||
		!s.holdsOut(these) && s.holdsOut(those) ||
		s.holdsKind(these) && !s.holdsKind(those)
}

func (s *OrganizationSelector) holdsIn(traits map[trait]bool) bool {
	return len(s.In) == 0 || anyRoot(s.In, traits)
}

func (s *OrganizationSelector) holdsOut(traits map[trait]bool) bool { return anyRoot(s.Out, traits) }

func (s *OrganizationSelector) holdsKind(traits map[trait]bool) bool {
	return len(s.Kinds) == 0 || slices.ContainsFunc(s.Kinds, func(kind string) bool { return traits[trait{kind: kind}] })
}

func anyRoot(roots []string, traits map[trait]bool) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return traits[trait{root: root}] })
}

// reaches reports whether the selector's subtrees meet that of the organization, which has the traits.
func (s *Snapshot) reaches(sel *OrganizationSelector, id string, traits map[trait]bool) bool {
	return sel.holdsIn(traits) || slices.ContainsFunc(sel.In, func(root string) bool { return s.Within(root, id) })
}
