package policy

import (
	"fmt"
	"slices"
	"strings"
)

// The commands below say what an entry must change so that something is done. They look at what is there and fill in what
// the rules of directives determine; whether the changes are lawful, [Snapshot.Propose] judges. None changes its arguments.

// Issue issues a directive under a new id, in force from the given instant unless it says from when.
func (s *Snapshot) Issue(d *Directive, at Instant) ([]Change, error) {
	if s.Directive(d.ID) != nil {
		return nil, &ExistsError{d.Key()}
	}
	next := authored(d)
	if next.Window.Start == Beginning {
		next.Window.Start = at
	}
	return []Change{{Put: next}}, nil
}

// authored returns a copy of the directive as an author may write it: without what commands record in it, and its
// carve-outs filled in from where they stand.
func authored(d *Directive) *Directive {
	next := *d
	next.Withdrawal, next.AdoptedFrom = nil, nil
	next.CarveOuts = slices.Clone(d.CarveOuts)
	for i := range next.CarveOuts {
		c := &next.CarveOuts[i]
		c.Kind, c.Directive, c.EndTime = CarveOut, d.ID, Forever
	}
	return &next
}

// Amend replaces the text of a directive. The states of concerns that it drops go with them.
func (s *Snapshot) Amend(d *Directive) ([]Change, error) {
	was, err := s.standing(d.ID)
	if err != nil {
		return nil, err
	}
	if d.Window.Start == Beginning {
		return nil, &InvalidError{"effective_time", "must be stated: an amendment replaces the whole text"}
	}
	next := authored(d)
	next.AdoptedFrom = was.AdoptedFrom
	changes := []Change{{Put: next}}
	for _, c := range was.Concerns {
		if state := s.ConcernState(d.ID, c.ID); state != nil && concern(next, c.ID) == nil {
			changes = append(changes, Change{Delete: state.Key()})
		}
	}
	return changes, nil
}

// standing returns the directive of the id if it exists and was not withdrawn.
func (s *Snapshot) standing(id string) (*Directive, error) {
	d := s.Directive(id)
	if d == nil {
		return nil, &NotFoundError{Key{Kind: KindDirective, ID: id}}
	}
	if d.Withdrawal != nil {
		return nil, &RuleError{id, "directive", "it is withdrawn"}
	}
	return d, nil
}

// Withdraw makes a directive void.
func (s *Snapshot) Withdraw(directive, reason string, at Instant) ([]Change, error) {
	d, err := s.standing(directive)
	if err != nil {
		return nil, err
	}
	next := *d
	next.Withdrawal = &Withdrawal{at, reason}
	return []Change{{Put: &next}}, nil
}

// Lift adds a lift to its directive, from the entry's time on unless it says from when.
func (s *Snapshot) Lift(r *Release, at Instant, rev Revision) ([]Change, error) {
	return s.release(r, Lift, "lift", at, rev)
}

// Exempt adds an exemption to its directive, from the entry's time on unless it says from when.
func (s *Snapshot) Exempt(r *Release, at Instant, rev Revision) ([]Change, error) {
	return s.release(r, Exemption, "exemption", at, rev)
}

// release adds a release of the kind; without an id it is called after the revision.
func (s *Snapshot) release(r *Release, kind ReleaseKind, name string, at Instant, rev Revision) ([]Change, error) {
	d, err := s.standing(r.Directive)
	if err != nil {
		return nil, err
	}
	next := *r
	next.Kind, next.EndTime = kind, Forever
	if next.ID == "" {
		next.ID = fmt.Sprintf("%s-%d", name, rev)
	}
	if next.Selector.Window.Start == Beginning {
		next.Selector.Window.Start = at
	}
	if s.Release(d.ID, next.ID) != nil || carveOut(d, next.ID) != nil {
		return nil, &ExistsError{next.Key()}
	}
	return []Change{{Put: &next}}, nil
}

// carveOut returns the directive's carve-out of the id, nil if it has none.
func carveOut(d *Directive, id string) *Release {
	for i := range d.CarveOuts {
		if d.CarveOuts[i].ID == id {
			return &d.CarveOuts[i]
		}
	}
	return nil
}

// Revoke ends a lift or exemption at an instant.
func (s *Snapshot) Revoke(directive, release string, end Instant) ([]Change, error) {
	d, err := s.standing(directive)
	if err != nil {
		return nil, err
	}
	r := s.Release(directive, release)
	switch {
	case r == nil && carveOut(d, release) != nil:
		return nil, &RuleError{directive, "release", release + " is a carve-out, part of its text: amend it"}
	case r == nil:
		return nil, &NotFoundError{Key{Kind: KindRelease, Directive: directive, ID: release}}
	}
	return []Change{{Put: ended(r, end)}}, nil
}

// ended returns the release ended at the instant.
func ended(r *Release, end Instant) *Release {
	next := *r
	next.EndTime = end
	return &next
}

// ResolveConcern records the concern as resolved, at the time and with the evidence that c has. If it was the last open one
// and the directive waits for that, the same changes lift it.
func (s *Snapshot) ResolveConcern(c *ConcernState, rev Revision) ([]Change, error) {
	d, err := s.concerned(c)
	if err != nil {
		return nil, err
	}
	if s.resolved(d.ID, c.Concern) {
		return nil, &RuleError{d.ID, "concern", "concern " + c.Concern + " is resolved already"}
	}
	next := *c
	next.Resolved = true
	changes := []Change{{Put: &next}}
	last := !slices.ContainsFunc(d.Concerns, func(other Concern) bool {
		return other.ID != c.Concern && !s.resolved(d.ID, other.ID)
	})
	if last && d.LiftMode == LiftWhenConcernsResolved {
		lift := &Release{ID: concernLiftID(rev), Directive: d.ID, Kind: Lift, EndTime: Forever}
		lift.Selector.Window = Window{c.Time, Forever}
		changes = append(changes, Change{Put: lift})
	}
	return changes, nil
}

// ReopenConcern records the concern as open again, at the time that c has, and ends the lifts that resolving the last one
// had added.
func (s *Snapshot) ReopenConcern(c *ConcernState) ([]Change, error) {
	d, err := s.concerned(c)
	if err != nil {
		return nil, err
	}
	if !s.resolved(d.ID, c.Concern) {
		return nil, &RuleError{d.ID, "concern", "concern " + c.Concern + " is open"}
	}
	next := *c
	next.Resolved = false
	changes := []Change{{Put: &next}}
	for _, r := range s.Releases(d.ID) {
		if strings.HasPrefix(r.ID, concernLiftPrefix) && r.EndTime > c.Time {
			changes = append(changes, Change{Put: ended(r, c.Time)})
		}
	}
	return changes, nil
}

// concerned returns the directive that the concern belongs to.
func (s *Snapshot) concerned(c *ConcernState) (*Directive, error) {
	d, err := s.standing(c.Directive)
	if err != nil {
		return nil, err
	}
	if concern(d, c.Concern) == nil {
		return nil, &NotFoundError{c.Key()}
	}
	return d, nil
}

func (s *Snapshot) resolved(directive, concern string) bool {
	state := s.ConcernState(directive, concern)
	return state != nil && state.Resolved
}

// RecordStatement records what somebody has said about a directive, in place of a statement of the same id.
func (s *Snapshot) RecordStatement(st *Statement) ([]Change, error) {
	if _, err := s.standing(st.Directive); err != nil {
		return nil, err
	}
	return []Change{{Put: st}}, nil
}

// PutRegistry puts resources of the registry, and before them the purposes that purposes among them lie beneath, where
// they are missing.
func (s *Snapshot) PutRegistry(rs ...Resource) ([]Change, error) {
	registered := make(map[string]bool)
	for _, r := range rs {
		if p, ok := r.(*Purpose); ok {
			registered[p.ID] = true
		}
	}
	known := func(id string) bool { return registered[id] || s.Purpose(id) != nil }
	var above, changes []Change
	for _, r := range rs {
		if !registryKind(r.Key().Kind) {
			return nil, &InvalidError{"resource", "a " + r.Key().Kind.String() + " is not of the registry"}
		}
		changes = append(changes, Change{Put: r})
		if p, ok := r.(*Purpose); ok && isDotted(p.ID) {
			for _, missing := range missingPurposes(p.ID, known) {
				registered[missing.ID] = true
				above = append(above, Change{Put: missing})
			}
		}
	}
	return append(changes, above...), nil
}

func registryKind(k Kind) bool { return KindPurpose <= k && k <= KindApp }

// Delete deletes a resource of the registry. That nothing names it, [Snapshot.Propose] judges.
func (s *Snapshot) Delete(k Key) ([]Change, error) {
	if !registryKind(k.Kind) {
		return nil, &InvalidError{"id", k.String() + " is part of the record and never deleted"}
	}
	if _, _, ok := s.Lookup(k); !ok {
		return nil, &NotFoundError{k}
	}
	return []Change{{Delete: k}}, nil
}
