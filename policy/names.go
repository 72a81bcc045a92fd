package policy

import "strconv"

// field says where something stands in a resource: a chain of names, indexes and keys, the last one first, nil being the
// resource itself. It is written out, as the protos call it, only when something is wrong there.
type field struct {
	above *field
	name  string // of a field; of a map's key, if quoted
	index int
	kind  fieldKind
}

type fieldKind uint8

const (
	fieldNamed fieldKind = iota
	fieldItem
	fieldKey
)

// in returns the field of that name in f.
func (f *field) in(name string) *field { return &field{above: f, name: name} }

// item returns the i-th element of the list f.
func (f *field) item(i int) *field { return &field{above: f, index: i, kind: fieldItem} }

// key returns the value of the map f at the key.
func (f *field) key(key string) *field { return &field{above: f, name: key, kind: fieldKey} }

// String returns the path: provisions[0].selector.targets.in[1].app, or names["ja"].
func (f *field) String() string {
	if f == nil {
		return ""
	}
	above := f.above.String()
	switch f.kind {
	case fieldItem:
		return above + "[" + strconv.Itoa(f.index) + "]"
	case fieldKey:
		return above + "[" + strconv.Quote(f.name) + "]"
	}
	if above == "" {
		return f.name
	}
	return above + "." + f.name
}

// wrong returns the error that says what is wrong with the field.
func (f *field) wrong(problem string) error { return &InvalidError{f.String(), problem} }

// visitor is shown each resource that another one names, and where it names it.
type visitor func(at *field, named Key)

// eachName shows every other resource that r names. Everything that must exist before r can be put, and nothing else, is
// shown; so it is also what keeps the named from being deleted.
func eachName(r Resource, visit visitor) {
	var top *field
	switch r := r.(type) {
	case *Purpose:
		for above := range prefixes(r.ID) {
			visit(top.in("id"), Key{Kind: KindPurpose, ID: above})
		}
	case *Organization:
		visit.one(top.in("parent"), KindOrganization, r.Parent)
	case *Vendor:
		visit.owners(top.in("parents"), r.Parents)
	case *App:
		visit.owners(top.in("ownerships"), r.Ownerships)
	case *Directive:
		visit.directive(r)
	case *Release:
		visit.one(top.in("directive"), KindDirective, r.Directive)
		visit.release(top, r)
	case *ConcernState:
		visit.one(top.in("directive"), KindDirective, r.Directive)
	case *Statement:
		visit.one(top.in("directive"), KindDirective, r.Directive)
	case *Grant:
		if r.Organization != Everywhere {
			visit.one(top.in("organization"), KindOrganization, r.Organization)
		}
	}
}

func (visit visitor) directive(d *Directive) {
	var top *field
	visit(top.in("authority"), Key{Kind: KindOrganization, ID: d.Authority})
	visit.each(top.in("supersedes"), KindDirective, d.Supersedes)
	for i := range d.Provisions {
		visit.selector(top.in("provisions").item(i).in("selector"), &d.Provisions[i].Selector)
	}
	for i := range d.CarveOuts {
		visit.release(top.in("carve_outs").item(i), &d.CarveOuts[i])
	}
	if d.AdoptedFrom != nil {
		visit(top.in("adopted_from").in("directive"), Key{Kind: KindDirective, ID: d.AdoptedFrom.Directive})
	}
}

func (visit visitor) release(at *field, r *Release) {
	visit.selector(at.in("selector"), &r.Selector)
	visit.one(at.in("instrument"), KindDirective, r.Instrument)
}

func (visit visitor) selector(at *field, s *Selector) {
	visit.each(at.in("organizations").in("in"), KindOrganization, s.Organizations.In)
	visit.each(at.in("organizations").in("out"), KindOrganization, s.Organizations.Out)
	visit.targets(at.in("targets").in("in"), s.Targets.In)
	visit.targets(at.in("targets").in("out"), s.Targets.Out)
	visit.each(at.in("purposes").in("in"), KindPurpose, s.Purposes.In)
	visit.each(at.in("purposes").in("out"), KindPurpose, s.Purposes.Out)
	for i, c := range s.Conditions {
		visit(at.in("conditions").item(i).in("attribute"), Key{Kind: KindAttribute, ID: c.Attribute})
	}
}

func (visit visitor) targets(at *field, targets []Target) {
	for i, t := range targets {
		visit.one(at.item(i).in("app"), KindApp, t.App)
		visit.one(at.item(i).in("vendor"), KindVendor, t.Vendor)
	}
}

func (visit visitor) owners(at *field, periods []VendorPeriod) {
	for i, p := range periods {
		visit(at.item(i).in("vendor"), Key{Kind: KindVendor, ID: p.Vendor})
	}
}

func (visit visitor) each(at *field, kind Kind, ids []string) {
	for i, id := range ids {
		visit(at.item(i), Key{Kind: kind, ID: id})
	}
}

// one shows the resource of that id, if there is an id.
func (visit visitor) one(at *field, kind Kind, id string) {
	if id != "" {
		visit(at, Key{Kind: kind, ID: id})
	}
}

// eachSelector shows every selector of a directive or release.
func eachSelector(r Resource, visit func(at *field, s *Selector)) {
	var top *field
	switch r := r.(type) {
	case *Directive:
		for i := range r.Provisions {
			visit(top.in("provisions").item(i).in("selector"), &r.Provisions[i].Selector)
		}
		for i := range r.CarveOuts {
			visit(top.in("carve_outs").item(i).in("selector"), &r.CarveOuts[i].Selector)
		}
	case *Release:
		visit(top.in("selector"), &r.Selector)
	}
}
