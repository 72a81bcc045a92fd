package policy

import (
	"fmt"
	"maps"
	"slices"
)

// Loosens returns, in order, the ids of the directives under which an answer could become milder (ALLOWED < INDETERMINATE <
// DENIED), at whatever instant, by an entry of these changes, which [Snapshot.Propose] found lawful; and of those whose
// guard the entry weakens. It errs only by naming too much: whatever is not known only to tighten loosens. What the entry
// issues is not among them, nor what was withdrawn before.
//
// It looks first at what becomes of the registry under the texts as they are, then at what becomes of the texts in the
// registry as it will be. Where neither makes an answer milder, both together do not.
func Loosens(before *Snapshot, changes []Change) ([]string, error) {
	after, err := before.Apply(before.revision+1, changes)
	if err != nil {
		return nil, err
	}
	l := &loosening{before: before, after: after, named: make(map[string]bool),
		moves: make(map[trait][]*move), heirs: make(map[int32][]*heir)}
	for _, c := range changes {
		if err := l.note(c.Key()); err != nil {
			return nil, err
		}
	}
	l.noteOwners()
	l.judgeAll()
	return slices.Sorted(maps.Keys(l.named)), nil
}

// loosening is what is known of an entry while it is looked at.
type loosening struct {
	before, after *Snapshot
	named         map[string]bool // directives that are found to be loosened

	// What of the registry becomes otherwise.
	moves      map[trait][]*move // of organizations, by each trait that tells them apart
	heirs      map[int32][]*heir // of apps, by each group that tells them apart
	vendors    bool              // a vendor is not as it was
	attributes uint32            // whose values are not the same
	rootNew    bool              // a purpose beneath none is registered
	rootGone   bool              // one is deleted
}

// note looks at what the entry changes: at texts at once, while of the registry it only notes what to judge all texts by.
func (l *loosening) note(k Key) error {
	switch k.Kind {
	case KindPurpose:
		l.notePurpose(k.ID)
	case KindAttribute:
		l.noteAttribute(k.ID)
	case KindOrganization:
		l.noteOrganization(k.ID)
	case KindVendor:
		l.vendors = true
	case KindApp:
		l.noteApp(k.ID)
	case KindDirective:
		l.noteDirective(k.ID)
	case KindRelease:
		l.noteRelease(k)
	case KindConcern, KindStatement, KindGrant, KindProposal:
		// No answer is made of them. The lift that comes with the last concern is a change of its own.
	default:
		return fmt.Errorf("what a change of %s loosens is not known", k)
	}
	return nil
}

// judgeAll judges the directives as they were by what of the registry becomes otherwise.
func (l *loosening) judgeAll() {
	if l.rootNew {
		l.judgeRoots()
	}
	if len(l.moves)+len(l.heirs) == 0 && l.attributes == 0 && !l.rootGone {
		return
	}
	for row := range l.before.directives.rows.n {
		text := l.before.directives.rows.at(row).resource
		if text.Withdrawal == nil && !l.named[text.ID] && l.judge(text, l.before.rules.at(row)) {
			l.named[text.ID] = true
		}
	}
}

// judge reports whether a binding provision could hold less than it did, or a release of one more.
func (l *loosening) judge(text *Directive, rule *directiveRow) bool {
	binding := false
	for i, row := range rule.provisions {
		if text.Provisions[i].Force != Binding {
			continue
		}
		binding = true
		if l.holdsLess(&text.Provisions[i].Selector, l.before.provisions.at(row)) {
			return true
		}
	}
	return binding && slices.ContainsFunc(rule.releases.all(), func(row int32) bool { return l.holdsMore(l.before.holes.at(row), rule) })
}

// holdsLess reports whether the binding provision could be less true of something than it was.
func (l *loosening) holdsLess(text *Selector, p *provisionRow) bool {
	return p.selector.attributes&l.attributes != 0 ||
		l.rootGone && len(text.Purposes.In) == 0 ||
		l.losesOrganization(&text.Organizations) ||
		l.losesApp(p)
}

// holdsMore reports whether the release could be truer than it was of something that a binding provision held for.
func (l *loosening) holdsMore(r *releaseRow, rule *directiveRow) bool {
	return r.selector.attributes&l.attributes != 0 ||
		l.gainsOrganization(r, rule) ||
		l.gainsApp(r, rule)
}

// opened yields the rows of the binding provisions, of the directive's, that the release may open.
func (s *Snapshot) opened(r *releaseRow, rule *directiveRow) func(yield func(row int32) bool) {
	return func(yield func(int32) bool) {
		for _, row := range rule.provisions {
			binding := s.provisions.at(row).force == Binding
			if binding && (len(r.provisions) == 0 || contains(r.provisions, row)) && !yield(row) {
				return
			}
		}
	}
}
