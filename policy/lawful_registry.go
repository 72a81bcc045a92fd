package policy

import (
	"cmp"
	"fmt"
	"slices"
)

func purposeForm(p *Purpose) error {
	var top *field
	return firstOf(
		dotted(top.in("id"), p.ID),
		texts(top.in("names"), p.Names),
	)
}

func attributeForm(a *Attribute) error {
	var top *field
	return firstOf(
		slug(top.in("id"), a.ID),
		texts(top.in("names"), a.Names),
		countWithin(top.in("values"), len(a.Values), 1, MaxValues, "values"),
		set(top.in("values"), a.Values, dotted),
	)
}

func organizationForm(o *Organization) error {
	var top *field
	return firstOf(
		slug(top.in("id"), o.ID),
		texts(top.in("names"), o.Names),
		optional(top.in("kind"), o.Kind, slug),
		countWithin(top.in("aliases"), len(o.Aliases), 0, MaxAliases, "aliases"),
		set(top.in("aliases"), o.Aliases, alias),
		labels(top.in("labels"), o.Labels),
	)
}

func vendorForm(v *Vendor) error {
	var top *field
	return firstOf(
		slug(top.in("id"), v.ID),
		texts(top.in("names"), v.Names),
		ownerPeriods(top.in("parents"), v.Parents),
		periods(top.in("countries"), len(v.Countries), func(i int) Window { return v.Countries[i].Window }),
		each(top.in("countries"), v.Countries, func(at *field, p *CountryPeriod) error {
			return country(at.in("country"), p.Country)
		}),
		labels(top.in("labels"), v.Labels),
	)
}

func appForm(a *App) error {
	var top *field
	return firstOf(
		slug(top.in("id"), a.ID),
		texts(top.in("names"), a.Names),
		ownerPeriods(top.in("ownerships"), a.Ownerships),
		countWithin(top.in("tags"), len(a.Tags), 0, MaxTags, "tags"),
		set(top.in("tags"), a.Tags, slug),
		countWithin(top.in("identifiers"), len(a.Identifiers), 0, MaxIdentifiers, "identifiers"),
		each(top.in("identifiers"), a.Identifiers, func(at *field, s *string) error { return appIdentifier(at, *s) }),
		distinct(top.in("identifiers"), "", len(a.Identifiers), func(i int) string { return lowerASCII(a.Identifiers[i]) }),
		known(top.in("on_stale"), a.OnStale, StaleServe, StaleDeny),
		labels(top.in("labels"), a.Labels),
	)
}

// firstOf returns the first of the errors that is one.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func countWithin(at *field, n, least, most int, what string) error {
	if n < least || n > most {
		return at.wrong(fmt.Sprintf("has %d %s, not %d to %d", n, what, least, most))
	}
	return nil
}

// known checks that an enumeration has one of its values.
func known[T comparable](at *field, value T, values ...T) error {
	if !slices.Contains(values, value) {
		return at.wrong("not stated, or not a value known here")
	}
	return nil
}

func ownerPeriods(at *field, list []VendorPeriod) error {
	return periods(at, len(list), func(i int) Window { return list[i].Window })
}

// periods checks n periods of which no two may hold one instant. They are few, since who looks one up looks at all.
func periods(at *field, n int, of func(i int) Window) error {
	if err := countWithin(at, n, 0, MaxPeriods, "periods"); err != nil {
		return err
	}
	byStart := make([]int, n)
	for i := range n {
		if err := window(at.item(i), "start_time", "end_time", of(i)); err != nil {
			return err
		}
		byStart[i] = i
	}
	slices.SortStableFunc(byStart, func(i, j int) int { return cmp.Compare(of(i).Start, of(j).Start) })
	for k := 1; k < n; k++ {
		earlier, later := byStart[k-1], byStart[k]
		if of(later).Start < of(earlier).End {
			return at.item(later).wrong(fmt.Sprintf("overlaps %s", at.item(earlier)))
		}
	}
	return nil
}

// aliasesFree refuses an alias that another organization holds.
func aliasesFree(d *draft, o *Organization) error {
	return d.namesFree(o, "aliases", o.Aliases)
}

// identifiersFree refuses an identifier that another app holds, in whatever case.
func identifiersFree(d *draft, a *App) error {
	return d.namesFree(a, "identifiers", a.Identifiers)
}

// namesFree judges the names that stand in the list of the resource.
func (d *draft) namesFree(r Resource, list string, names []string) error {
	for i, name := range heldNames(r) {
		if holder, held := d.otherHolder(name, r.Key()); held {
			return &HeldError{(*field)(nil).in(list).item(i).String(), names[i], holder}
		}
	}
	return nil
}

// valuesKept refuses an attribute that loses a value which a condition names, or so many that a condition would name
// every value left.
func valuesKept(d *draft, a *Attribute) error {
	was, _ := d.was(a.Key()).(*Attribute)
	if was == nil || !slices.ContainsFunc(was.Values, func(v string) bool { return !slices.Contains(a.Values, v) }) {
		return nil
	}
	var broken, covered []Key
	d.conditionsOn(a.ID, func(whose Key, c *Condition) {
		switch {
		case slices.ContainsFunc(c.Values, func(v string) bool { return !slices.Contains(a.Values, v) }):
			broken = append(broken, whose)
		case covers(c.Values, a.Values):
			covered = append(covered, whose)
		}
	})
	if len(broken) > 0 {
		return referenced(a.Key(), broken)
	}
	if len(covered) > 0 {
		slices.SortFunc(covered, compareKeys)
		return &InvalidError{"values", "a condition of " + covered[0].String() + " would name every value that is left"}
	}
	return nil
}

// conditionsOn shows the conditions on the attribute in what the entry leaves as it is, and whose they are.
func (d *draft) conditionsOn(attribute string, visit func(whose Key, c *Condition)) {
	for _, kind := range []Kind{KindDirective, KindRelease} {
		for r := range d.others(kind) {
			eachSelector(r, func(_ *field, s *Selector) {
				for i := range s.Conditions {
					if s.Conditions[i].Attribute == attribute {
						visit(r.Key(), &s.Conditions[i])
					}
				}
			})
		}
	}
}

// maxReferrers is how many of those that name a resource are told.
const maxReferrers = 10

func referenced(key Key, by []Key) error {
	slices.SortFunc(by, compareKeys)
	by = slices.Compact(by)
	return &ReferencedError{key, by[:min(len(by), maxReferrers)]}
}

// deletable refuses to delete what is not there, and what is never deleted.
func (d *draft) deletable(key Key) error {
	if d.was(key) == nil {
		return &NotFoundError{key}
	}
	if registryKind(key.Kind) {
		return nil
	}
	if key.Kind == KindGrant {
		return d.administratorLeft(key.ID)
	}
	if key.Kind == KindConcern && concern(d.directive(key.Directive), key.ID) == nil {
		return nil // dropped by an amendment
	}
	return &InvalidError{"id", key.String() + " is part of the record and never deleted"}
}

// nothingDangles refuses to delete what is still named.
func (d *draft) nothingDangles() error {
	if len(d.deletes) == 0 {
		return nil
	}
	by := make(map[Key][]Key)
	for kind := KindPurpose; kind <= lastKind; kind++ {
		for r := range d.others(kind) {
			eachName(r, func(_ *field, named Key) {
				if d.deletes[named] {
					by[named] = append(by[named], r.Key())
				}
			})
		}
	}
	for _, c := range d.changes {
		if key := c.Key(); len(by[key]) > 0 {
			return d.blame(key, referenced(key, by[key]))
		}
	}
	return nil
}
