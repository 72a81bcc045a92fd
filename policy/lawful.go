package policy

// Propose is Apply for whoever writes: it folds the changes of an entry into the policy if every rule allows them, and
// says which one does not. Where a change is to blame the error is a [*ChangeError].
//
// It judges in passes, so that each may rely on those before: the form of every resource; that everything it names exists;
// that nothing deleted is still named; the rules of its kind; and what moves do to what lies beneath.
func (s *Snapshot) Propose(rev Revision, changes []Change) (*Snapshot, error) {
	d, err := newDraft(s, rev, changes)
	if err != nil {
		return nil, err
	}
	for _, pass := range []func() error{
		d.eachChange(formed), d.eachChange(d.named), d.nothingDangles, d.eachChange(d.ruled), d.movesSound, d.vendorsSound,
	} {
		if err := pass(); err != nil {
			return nil, err
		}
	}
	return s.Apply(rev, changes)
}

// eachChange returns the pass that judges one change after the other.
func (d *draft) eachChange(judge func(Change) error) func() error {
	return func() error {
		for i, c := range d.changes {
			if err := judge(c); err != nil {
				return &ChangeError{i, c.Key(), err}
			}
		}
		return nil
	}
}

// A ChangeError says which change of an entry a rule refuses.
type ChangeError struct {
	Index int // in the list of changes
	Key   Key
	Err   error
}

func (e *ChangeError) Error() string { return e.Key.String() + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the change.
func (e *ChangeError) Unwrap() error { return e.Err }

// rule judges one resource of a draft.
type rule[R Resource] func(d *draft, r R) error

// rules judges a resource by each rule in turn.
func rules[R Resource](d *draft, r R, rules ...rule[R]) error {
	for _, judge := range rules {
		if err := judge(d, r); err != nil {
			return err
		}
	}
	return nil
}

// formed judges what can be said of a change without knowing anything else.
func formed(c Change) error {
	switch r := c.Put.(type) {
	case *Purpose:
		return purposeForm(r)
	case *Attribute:
		return attributeForm(r)
	case *Organization:
		return organizationForm(r)
	case *Vendor:
		return vendorForm(r)
	case *App:
		return appForm(r)
	case *Directive:
		return directiveForm(r)
	case *Release:
		return releaseForm(r)
	case *ConcernState:
		return concernForm(r)
	case *Statement:
		return statementForm(r)
	case *Grant:
		return grantForm(r)
	case *Proposal:
		return proposalForm(r)
	}
	return nil
}

// named judges whether everything that a put resource names exists, and is not retired unless it was named before.
func (d *draft) named(c Change) (err error) {
	var former map[Key]bool // what it named before, once that is asked
	before := func(named Key) bool {
		if former == nil {
			former = namedBy(d.was(c.Key()))
		}
		return former[named]
	}
	eachName(c.Put, func(at *field, named Key) {
		if err != nil {
			return
		}
		switch r := d.lookup(named); {
		case r == nil:
			err = &ReferenceError{at.String(), named, false}
		case retired(r) && !before(named):
			err = &ReferenceError{at.String(), named, true}
		}
	})
	return err
}

// namedBy returns the set of what r, if there is one, names.
func namedBy(r Resource) map[Key]bool {
	all := make(map[Key]bool)
	if r != nil {
		eachName(r, func(_ *field, named Key) { all[named] = true })
	}
	return all
}

func retired(r Resource) bool {
	switch r := r.(type) {
	case *Purpose:
		return r.Retired
	case *Attribute:
		return r.Retired
	case *Organization:
		return r.Retired
	case *Vendor:
		return r.Retired
	case *App:
		return r.Retired
	}
	return false
}

// ruled judges a change by the rules of its kind.
func (d *draft) ruled(c Change) error {
	switch r := c.Put.(type) {
	case nil:
		return d.deletable(c.Delete)
	case *Attribute:
		return rules(d, r, valuesKept)
	case *Organization:
		return rules(d, r, aliasesFree, placedInTree)
	case *Vendor:
		return rules(d, r, chainSound)
	case *App:
		return rules(d, r, identifiersFree)
	case *Directive:
		return rules(d, r, directiveStands, conditionsSound, bindsWithinReach, supersedesOwn,
			supersedesWithoutCycle, releasesKept, carveOutsApart, concernsKept)
	case *Release:
		return rules(d, r, directiveStands, onlyEnds, releaseIDFree, conditionsSound, provisionsThere,
			exemptionPermitted)
	case *ConcernState:
		return rules(d, r, directiveStands, concernThere)
	case *Statement:
		return rules(d, r, directiveStands)
	case *Grant:
		return rules(d, r, grantNew)
	}
	return nil
}
