package policy

import (
	"cmp"
	"fmt"
	"slices"
)

// compile turns a selector's names into numbers. It counts the kinds the selector uses.
func (b *builder) compile(sel *Selector) (selector, error) {
	var c selector
	var err error
	if c.roots, err = b.compileRoots("organizations.in", sel.Organizations.In); err != nil {
		return c, err
	}
	if c.outs, err = b.compileRoots("organizations.out", sel.Organizations.Out); err != nil {
		return c, err
	}
	if c.targets, err = b.compileTargets(&sel.Targets); err != nil {
		return c, err
	}
	if c.facet, err = b.facets.intern(b, sel.Purposes); err != nil {
		return c, err
	}
	if c.conditions, c.attributes, err = b.attrs.compile(sel.Conditions); err != nil {
		return c, err
	}
	for _, kind := range sel.Organizations.Kinds {
		n, err := b.useKind(kind)
		if err != nil {
			return c, err
		}
		c.kinds |= 1 << n
	}
	c.coarse = len(c.roots) > 0 && len(c.targets.firsts())*len(c.roots) > mostPlaces
	return c, nil
}

func (b *builder) compileRoots(field string, ids []string) ([]int32, error) {
	var roots []int32
	for i, id := range ids {
		n := b.organizations.number(b.seed, id)
		if n == none {
			return nil, &ReferenceError{fmt.Sprintf("%s[%d]", field, i), Key{Kind: KindOrganization, ID: id}, false}
		}
		roots = append(roots, n)
	}
	slices.Sort(roots)
	return slices.Compact(roots), nil
}

func (b *builder) compileTargets(sel *TargetSelector) (*targets, error) {
	if len(sel.In)+len(sel.Out) == 0 {
		return nil, nil
	}
	in, err := b.compileTargetList("targets.in", sel.In)
	if err != nil {
		return nil, err
	}
	out, err := b.compileTargetList("targets.out", sel.Out)
	if err != nil {
		return nil, err
	}
	single := !slices.ContainsFunc(in, func(t target) bool { return t.n > 1 })
	return &targets{in: in, out: out, simple: single && len(out) == 0}, nil
}

func (b *builder) compileTargetList(field string, list []Target) ([]target, error) {
	var compiled []target
	for i, t := range list {
		c, err := b.compileTarget(t)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
		compiled = append(compiled, c)
	}
	slices.SortFunc(compiled, func(a, b target) int { return cmp.Compare(a.groups[0], b.groups[0]) })
	return compiled, nil
}

// compileTarget puts first the group that fewest apps belong to, for it is the one to index by.
func (b *builder) compileTarget(t Target) (target, error) {
	var c target
	add := func(key groupKey) {
		c.groups[c.n] = b.groups.ordinal(b, key)
		c.n++
	}
	if t.App != "" {
		n := b.apps.number(b.seed, t.App)
		if n == none {
			return c, &ReferenceError{"app", Key{Kind: KindApp, ID: t.App}, false}
		}
		add(groupKey{kind: groupApp, number: n})
	}
	if t.Vendor != "" {
		n := b.vendors.number(b.seed, t.Vendor)
		if n == none {
			return c, &ReferenceError{"vendor", Key{Kind: KindVendor, ID: t.Vendor}, false}
		}
		add(groupKey{kind: groupVendor, number: n})
	}
	if t.Tag != "" {
		add(groupKey{kind: groupTag, name: t.Tag})
	}
	if t.Country != "" {
		add(groupKey{kind: groupCountry, name: t.Country})
	}
	if c.n == 0 {
		return c, &InvalidError{"target", "names nothing"}
	}
	return c, nil
}
