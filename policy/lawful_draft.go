package policy

// draft is the policy as it would be after an entry, looked at before the entry is folded in: the snapshot before it, and
// laid over that what the entry changes. Rules are judged on it, so that folding never meets what is unlawful.
type draft struct {
	before  *Snapshot
	rev     Revision
	changes []Change
	puts    map[Key]Resource
	deletes map[Key]bool
	index   map[Key]int      // in changes
	holders map[heldName]Key // of names held by what is put: the first that holds it
}

// heldName is an alias, or an identifier in the form in which it is held, and the kind of what holds it.
type heldName struct {
	kind Kind
	name string
}

func newDraft(s *Snapshot, rev Revision, changes []Change) (*draft, error) {
	d := &draft{before: s, rev: rev, changes: changes, puts: make(map[Key]Resource), deletes: make(map[Key]bool),
		index: make(map[Key]int), holders: make(map[heldName]Key)}
	for i, c := range changes {
		key := c.Key()
		if _, twice := d.index[key]; twice {
			return nil, &ChangeError{i, key, &InvalidError{"id", "is changed twice by one entry"}}
		}
		d.index[key] = i
		if c.Put == nil {
			d.deletes[key] = true
			continue
		}
		d.puts[key] = c.Put
		for _, name := range heldNames(c.Put) {
			if _, held := d.holders[name]; !held {
				d.holders[name] = key
			}
		}
	}
	return d, nil
}

// blame returns the error as one about the change of the key.
func (d *draft) blame(key Key, err error) error { return &ChangeError{d.index[key], key, err} }

// lookup returns the resource as it would be, nil if there would be none.
func (d *draft) lookup(key Key) Resource {
	if r, ok := d.puts[key]; ok {
		return r
	}
	if d.deletes[key] {
		return nil
	}
	return d.was(key)
}

// was returns the resource as it is before the entry, nil if there is none.
func (d *draft) was(key Key) Resource {
	if r, _, ok := d.before.Lookup(key); ok {
		return r
	}
	return nil
}

func (d *draft) organization(id string) *Organization {
	o, _ := d.lookup(Key{Kind: KindOrganization, ID: id}).(*Organization)
	return o
}

func (d *draft) vendor(id string) *Vendor {
	v, _ := d.lookup(Key{Kind: KindVendor, ID: id}).(*Vendor)
	return v
}

func (d *draft) attribute(id string) *Attribute {
	a, _ := d.lookup(Key{Kind: KindAttribute, ID: id}).(*Attribute)
	return a
}

func (d *draft) directive(id string) *Directive {
	r, _ := d.lookup(Key{Kind: KindDirective, ID: id}).(*Directive)
	return r
}

// within reports whether the organization would be root or beneath it.
func (d *draft) within(organization, root string) bool {
	for range MaxDepth {
		if organization == root {
			return true
		}
		o := d.organization(organization)
		if o == nil || o.Parent == "" {
			return false
		}
		organization = o.Parent
	}
	return false
}

// otherHolder returns who other than the resource of the key would hold the name.
func (d *draft) otherHolder(name heldName, key Key) (Key, bool) {
	if other, ok := d.holders[name]; ok && other != key {
		return other, true
	}
	other, ok := d.before.Holder(name.kind, name.name)
	if _, changed := d.index[other]; !ok || changed {
		return Key{}, false // nobody, or one whose names were looked at as they would be
	}
	return other, true
}

// heldNames returns the names that at most one resource of the kind may hold.
func heldNames(r Resource) []heldName {
	var names []heldName
	switch r := r.(type) {
	case *Organization:
		for _, alias := range r.Aliases {
			names = append(names, heldName{KindOrganization, alias})
		}
	case *App:
		for _, identifier := range r.Identifiers {
			names = append(names, heldName{KindApp, lowerASCII(identifier)})
		}
	}
	return names
}

// others yields the resources of the kind that the entry leaves as they are, in no order. It looks at all there are: only
// rules about what an entry does to others may need it.
func (d *draft) others(kind Kind) func(yield func(Resource) bool) {
	return func(yield func(Resource) bool) {
		for r := range d.before.unordered(kind) {
			if _, changed := d.index[r.Key()]; !changed && !yield(r) {
				return
			}
		}
	}
}

// unordered yields the resources of the kind without putting them in order first.
func (s *Snapshot) unordered(kind Kind) func(yield func(Resource) bool) {
	switch kind {
	case KindPurpose:
		return s.purposes.each
	case KindAttribute:
		return s.attributes.each
	case KindOrganization:
		return s.organizations.each
	case KindVendor:
		return s.vendors.each
	case KindApp:
		return s.apps.each
	case KindDirective:
		return s.directives.each
	case KindRelease:
		return s.releases.each
	case KindConcern:
		return s.concerns.each
	case KindStatement:
		return s.statements.each
	case KindGrant:
		return s.grants.each
	default:
		return s.proposals.each
	}
}

func (c *catalog[T]) each(yield func(Resource) bool) {
	for i := range c.rows.n {
		if row := c.rows.at(i); row.changed != 0 && !yield(row.resource) {
			return
		}
	}
}
