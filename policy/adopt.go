package policy

import "slices"

// Adoption says who adopts which directive, and how the copy is called.
type Adoption struct {
	Directive     string // the original
	ID            string // of the copy
	Authority     string // the adopter
	Number        string
	Title         Text // empty: the original's
	IssuingOffice string
	At            Instant // of the entry, from which on the copy is to bind
}

// Adopt issues a copy of what the original only advises, with the carve-outs that concern it and the device action: binding,
// and cut to the adopter's subtree. It is in force from the given instant, or from when the original is if that is later, and no longer
// than the original is as things stand: what supersedes that ends the copy too.
func (s *Snapshot) Adopt(a Adoption) ([]Change, error) {
	original, err := s.standing(a.Directive)
	if err != nil {
		return nil, err
	}
	if s.Directive(a.ID) != nil {
		return nil, &ExistsError{Key{Kind: KindDirective, ID: a.ID}}
	}
	if s.Organization(a.Authority) == nil {
		return nil, &ReferenceError{"authority", Key{Kind: KindOrganization, ID: a.Authority}, false}
	}
	_, changed, _ := s.Lookup(original.Key())
	window := s.DirectiveWindow(original.ID)
	adopted := &Directive{
		ID: a.ID, Number: a.Number, Title: a.Title, Authority: a.Authority, IssuingOffice: a.IssuingOffice,
		Rationale: original.Rationale, Sources: original.Sources,
		Provisions:   s.cutProvisions(original, a.Authority),
		DeviceAction: original.DeviceAction,
		Window:       Window{max(a.At, window.Start), window.End},
		AdoptedFrom:  &AdoptedFrom{original.ID, changed},
	}
	if len(a.Title) == 0 {
		adopted.Title = original.Title
	}
	if len(adopted.Provisions) == 0 {
		return nil, &RuleError{original.ID, "authority", "it advises nobody in the subtree of " + a.Authority}
	}
	if adopted.Window.Empty() {
		return nil, &RuleError{original.ID, "directive", "it is in force no longer"}
	}
	adopted.CarveOuts = carveOutsOf(original, adopted)
	return []Change{{Put: adopted}}, nil
}

// cutProvisions returns the directive's advisory provisions, binding, as far as they reach into the adopter's subtree.
func (s *Snapshot) cutProvisions(original *Directive, adopter string) []Provision {
	var cut []Provision
	for _, p := range original.Provisions {
		if p.Force != Advisory {
			continue
		}
		organizations, reaches := s.cut(p.Selector.Organizations, adopter)
		if !reaches {
			continue
		}
		p.Force = Binding
		p.Selector.Organizations = organizations
		cut = append(cut, p)
	}
	return cut
}

// cut returns what the selector names within the adopter's subtree, and whether that is anything.
func (s *Snapshot) cut(o OrganizationSelector, adopter string) (OrganizationSelector, bool) {
	covers := func(root string) bool { return s.Within(adopter, root) }
	beneath := func(root string) bool { return s.Within(root, adopter) }
	if slices.ContainsFunc(o.Out, covers) {
		return OrganizationSelector{}, false
	}
	cut := OrganizationSelector{In: kept(o.In, beneath), Out: kept(o.Out, beneath), Kinds: o.Kinds}
	if o.All || slices.ContainsFunc(o.In, covers) {
		cut.In = []string{adopter}
	}
	return cut, len(cut.In) > 0
}

// kept returns the elements that are to be kept, in their order.
func kept(list []string, keep func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !keep(s) })
}

// carveOutsOf returns the original's carve-outs that name nothing or a provision that the copy has.
func carveOutsOf(original, adopted *Directive) []Release {
	var list []Release
	provisions := provisionIDs(adopted)
	for _, c := range original.CarveOuts {
		c.Directive = adopted.ID
		named := len(c.Provisions)
		c.Provisions = kept(c.Provisions, func(id string) bool { return provisions[id] })
		if named == 0 || len(c.Provisions) > 0 {
			list = append(list, c)
		}
	}
	return list
}
