package policy

import (
	"fmt"
	"hash/maphash"
	"strings"
)

func (b *builder) foldOrganizations() error {
	puts := b.puts[KindOrganization]
	for i := range puts {
		puts[i].row = b.organizations.reserve(b, puts[i].resource.(*Organization).ID)
		b.forgetOrganization(puts[i].row)
	}
	for _, k := range b.deletes[KindOrganization] {
		if row := b.organizations.number(b.seed, k.ID); row != none {
			b.forgetOrganization(row)
			b.organizations.remove(b, k.ID)
		}
	}
	for _, p := range puts {
		if err := b.foldOrganization(p); err != nil {
			return fmt.Errorf("%s: %w", p.resource.Key(), err)
		}
	}
	return nil
}

// forgetOrganization takes back what the row's organization holds and counts for, before it is put anew or is gone.
func (b *builder) forgetOrganization(row int32) {
	if row == b.orgs.n {
		*b.orgs.edit(b.edit, b.orgs.grow(b.edit)) = orgRow{none, -1}
	}
	old := b.organizations.rows.at(row)
	if old.changed == 0 {
		return
	}
	for _, alias := range old.resource.Aliases {
		b.aliases.remove(b.edit, maphash.String(b.seed, alias), alias)
	}
	b.releaseKinds(old.resource.Kind)
	*b.orgs.edit(b.edit, row) = orgRow{none, -1}
}

func (b *builder) foldOrganization(p put) error {
	o := p.resource.(*Organization)
	compiled := orgRow{parent: none, kind: -1}
	if o.Parent != "" {
		if compiled.parent = b.organizations.number(b.seed, o.Parent); compiled.parent == none {
			return &ReferenceError{"parent", Key{Kind: KindOrganization, ID: o.Parent}, false}
		}
	}
	if o.Kind != "" {
		kind, err := b.useKind(o.Kind)
		if err != nil {
			return err
		}
		compiled.kind = int8(kind)
	}
	*b.orgs.edit(b.edit, p.row) = compiled
	b.organizations.put(b, p.row, o, p.changed)
	for i, alias := range o.Aliases {
		if holder := b.hold(&b.aliases, p.row, alias); holder != p.row {
			return &HeldError{fmt.Sprintf("aliases[%d]", i), alias, b.organizations.rows.at(holder).resource.Key()}
		}
	}
	return nil
}

// hold gives the name to the row unless another holds it, and returns who holds it.
func (b *builder) hold(names *table[string, int32], row int32, name string) int32 {
	hash := maphash.String(b.seed, name)
	if holder, ok := names.get(hash, name); ok {
		return holder
	}
	names.put(b.edit, hash, name, row)
	return row
}

// useKind returns the number of the kind of organization and counts one more use of it.
func (b *builder) useKind(kind string) (uint8, error) {
	n, ok := b.kinds.numbers[kind]
	if !ok {
		if len(b.kinds.numbers) == MaxKinds {
			return 0, &LimitError{"kinds of organization", MaxKinds}
		}
		for b.kinds.uses[n] > 0 {
			n++
		}
		b.kinds.numbers = b.kinds.copied()
		b.kinds.numbers[kind] = n
	}
	b.kinds.uses[n]++
	return n, nil
}

// releaseKinds counts one use less of each kind, and forgets those that nothing uses.
func (b *builder) releaseKinds(list ...string) {
	for _, kind := range list {
		n, ok := b.kinds.numbers[kind]
		if !ok {
			continue
		}
		if b.kinds.uses[n]--; b.kinds.uses[n] > 0 {
			continue
		}
		b.kinds.numbers = b.kinds.copied()
		delete(b.kinds.numbers, kind)
	}
}

func (b *builder) foldVendors() error {
	puts, deletes := b.puts[KindVendor], b.deletes[KindVendor]
	var changed []int32
	for i := range puts {
		v := puts[i].resource.(*Vendor)
		puts[i].row = b.vendors.reserve(b, v.ID)
		b.vendors.put(b, puts[i].row, v, puts[i].changed)
		if puts[i].row == b.vendorRows.n {
			row := b.vendorRows.grow(b.edit)
			b.vendorRows.edit(b.edit, row).group = b.groups.ordinal(b, groupKey{kind: groupVendor, number: row})
		}
		changed = append(changed, puts[i].row)
	}
	for _, k := range deletes {
		if row := b.vendors.number(b.seed, k.ID); row != none {
			old := b.vendorRows.edit(b.edit, row)
			old.parents, old.countries = nil, nil
			changed = append(changed, row)
			b.vendors.remove(b, k.ID)
		}
	}
	for _, p := range puts {
		if err := b.foldVendor(p.row, p.resource.(*Vendor)); err != nil {
			return fmt.Errorf("%s: %w", p.resource.Key(), err)
		}
	}
	if len(changed) > 0 {
		b.owners.recompute(b, changed)
	}
	return nil
}

func (b *builder) foldVendor(row int32, v *Vendor) error {
	parents, err := b.vendorPeriods("parents", v.Parents)
	if err != nil {
		return err
	}
	var countries []countryPeriod
	for _, c := range v.Countries {
		group := b.groups.ordinal(b, groupKey{kind: groupCountry, name: c.Country})
		countries = append(countries, countryPeriod{group, c.Window})
	}
	compiled := b.vendorRows.edit(b.edit, row)
	compiled.parents, compiled.countries = parents, countries
	return nil
}

func (b *builder) vendorPeriods(field string, list []VendorPeriod) ([]vendorPeriod, error) {
	var periods []vendorPeriod
	for i, p := range list {
		v := b.vendors.number(b.seed, p.Vendor)
		if v == none {
			return nil, &ReferenceError{fmt.Sprintf("%s[%d].vendor", field, i), Key{Kind: KindVendor, ID: p.Vendor}, false}
		}
		periods = append(periods, vendorPeriod{v, p.Window})
	}
	return periods, nil
}

func (b *builder) foldApps() error {
	puts := b.puts[KindApp]
	if len(puts)+len(b.deletes[KindApp]) > 0 {
		b.held = &held{}
	}
	for i := range puts {
		puts[i].row = b.apps.reserve(b, puts[i].resource.(*App).ID)
		b.forgetApp(puts[i].row)
	}
	for _, k := range b.deletes[KindApp] {
		if row := b.apps.number(b.seed, k.ID); row != none {
			b.forgetApp(row)
			b.apps.remove(b, k.ID)
		}
	}
	for _, p := range puts {
		if err := b.foldApp(p); err != nil {
			return fmt.Errorf("%s: %w", p.resource.Key(), err)
		}
	}
	return nil
}

func (b *builder) forgetApp(row int32) {
	if row == b.appRows.n {
		b.appRows.grow(b.edit)
	}
	if old := b.apps.rows.at(row); old.changed != 0 {
		for _, identifier := range old.resource.Identifiers {
			name := lowerASCII(identifier)
			b.identifiers.remove(b.edit, maphash.String(b.seed, name), name)
		}
	}
}

func (b *builder) foldApp(p put) error {
	a := p.resource.(*App)
	owner, err := b.internOwner(a.Ownerships)
	if err != nil {
		return err
	}
	groups := []int32{allApps, b.groups.ordinal(b, groupKey{kind: groupApp, number: p.row})}
	for _, tag := range a.Tags {
		groups = append(groups, b.groups.ordinal(b, groupKey{kind: groupTag, name: tag}))
	}
	*b.appRows.edit(b.edit, p.row) = appRow{groups, owner, a.OnStale}
	b.apps.put(b, p.row, a, p.changed)
	for i, identifier := range a.Identifiers {
		name := lowerASCII(identifier)
		if holder := b.hold(&b.identifiers, p.row, name); holder != p.row {
			return &HeldError{fmt.Sprintf("identifiers[%d]", i), identifier, b.apps.rows.at(holder).resource.Key()}
		}
	}
	return nil
}

// internOwner returns the number of the row that apps with these ownerships share, none if there are none.
func (b *builder) internOwner(list []VendorPeriod) (int32, error) {
	if len(list) == 0 {
		return none, nil
	}
	periods, err := b.vendorPeriods("ownerships", list)
	if err != nil {
		return none, err
	}
	var key strings.Builder
	for _, p := range periods {
		fmt.Fprintf(&key, "%d %d %d,", p.vendor, p.window.Start, p.window.End)
	}
	hash := maphash.String(b.seed, key.String())
	if i, ok := b.owners.numbers.get(hash, key.String()); ok {
		return i, nil
	}
	i := b.owners.rows.grow(b.edit)
	b.owners.numbers.put(b.edit, hash, key.String(), i)
	row := b.owners.rows.edit(b.edit, i)
	row.ownerships = periods
	row.compute(b)
	return i, nil
}
