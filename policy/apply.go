package policy

import (
	"fmt"
	"iter"
)

// Apply folds the changes of the entry of that revision into the policy. It does not judge whether they are lawful, only
// whether they can be folded: it fails if a change names what does not exist, names something twice or exceeds a limit
// of the index, and then nothing happened. The cost is that of what the changes touch.
func (s *Snapshot) Apply(rev Revision, changes []Change) (*Snapshot, error) {
	b := s.build(rev)
	for _, c := range changes {
		if err := b.add(c, rev); err != nil {
			return nil, err
		}
	}
	if err := b.fold(); err != nil {
		return nil, err
	}
	return b.Snapshot, nil
}

// Load returns the policy at the revision from all its resources, each with the revision at which it last changed and
// none of them twice.
func Load(rev Revision, resources iter.Seq2[Resource, Revision]) (*Snapshot, error) {
	b := New().build(rev)
	b.seen = nil
	for resource, changed := range resources {
		if err := b.add(Change{Put: resource}, changed); err != nil {
			return nil, err
		}
	}
	if err := b.fold(); err != nil {
		return nil, err
	}
	return b.Snapshot, nil
}

// builder makes one snapshot out of another. It is used once.
type builder struct {
	*Snapshot // under construction
	edit      *edit
	seen      map[Key]bool // nil where keys are known to differ
	puts      [lastKind + 1][]put
	deletes   [lastKind + 1][]Key
	named     namedRows
}

// put is a resource to be put and the revision at which it changed.
type put struct {
	resource Resource
	changed  Revision
	row      int32
}

func (s *Snapshot) build(rev Revision) *builder {
	next := *s
	next.revision = rev
	next.order = &order{}
	return &builder{Snapshot: &next, edit: &edit{}, seen: make(map[Key]bool)}
}

func (b *builder) add(c Change, changed Revision) error {
	key := c.Key()
	if key.Kind < KindPurpose || key.Kind > lastKind {
		return fmt.Errorf("change of an unknown kind of resource %d", key.Kind)
	}
	if b.seen != nil {
		if b.seen[key] {
			return &InvalidError{"changes", key.String() + " is changed twice"}
		}
		b.seen[key] = true
	}
	if c.Put == nil {
		b.deletes[key.Kind] = append(b.deletes[key.Kind], key)
	} else {
		b.puts[key.Kind] = append(b.puts[key.Kind], put{resource: c.Put, changed: changed})
	}
	return nil
}

// fold works kind by kind, so that what one change names may come from another of the same entry, in any order.
func (b *builder) fold() error {
	steps := []func() error{
		b.foldPurposes, b.foldAttributes, b.foldOrganizations, b.foldVendors, b.foldApps,
		b.foldDirectives, b.foldReleases, b.foldConcerns, b.foldStatements,
		b.foldGrants, b.foldProposals,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if len(b.puts[KindGrant])+len(b.deletes[KindGrant])+len(b.puts[KindOrganization])+len(b.deletes[KindOrganization]) > 0 {
		b.access = b.revision
	}
	b.made = b.edit.made
	return nil
}

func (b *builder) foldPurposes() error {
	puts, deletes := b.puts[KindPurpose], b.deletes[KindPurpose]
	if len(puts)+len(deletes) == 0 {
		return nil
	}
	var added, removed []string
	for i := range puts {
		p := puts[i].resource.(*Purpose)
		added = append(added, p.ID)
		b.purposes.put(b, b.purposes.reserve(b, p.ID), p, puts[i].changed)
	}
	for _, k := range deletes {
		removed = append(removed, k.ID)
		b.purposes.remove(b, k.ID)
	}
	numbers, err := b.tree.with(added, removed)
	if err != nil {
		return err
	}
	b.tree = newPurposeTree(numbers)
	b.facets.recompute(b)
	return nil
}

func (b *builder) foldAttributes() error {
	puts, deletes := b.puts[KindAttribute], b.deletes[KindAttribute]
	if len(puts)+len(deletes) == 0 {
		return nil
	}
	var put []*Attribute
	var removed []string
	for i := range puts {
		a := puts[i].resource.(*Attribute)
		put = append(put, a)
		b.attributes.put(b, b.attributes.reserve(b, a.ID), a, puts[i].changed)
	}
	for _, k := range deletes {
		removed = append(removed, k.ID)
		b.attributes.remove(b, k.ID)
	}
	attrs, err := b.attrs.with(put, removed)
	b.attrs = attrs
	return err
}

func (b *builder) foldConcerns() error {
	for _, k := range b.deletes[KindConcern] {
		b.concerns.remove(b, k.name())
	}
	for _, p := range b.puts[KindConcern] {
		c := p.resource.(*ConcernState)
		b.concerns.put(b, b.concerns.reserve(b, c.Key().name()), c, p.changed)
	}
	return nil
}

func (b *builder) foldStatements() error {
	for _, p := range b.puts[KindStatement] {
		s := p.resource.(*Statement)
		d := b.directives.number(b.seed, s.Directive)
		if d == none {
			return &ReferenceError{"directive", Key{Kind: KindDirective, ID: s.Directive}, false}
		}
		known := b.statements.number(b.seed, s.Key().name()) != none
		row := b.statements.reserve(b, s.Key().name())
		b.statements.put(b, row, s, p.changed)
		if !known {
			rule := b.rules.edit(b.edit, d)
			rule.statements = rule.statements.with(b.edit, row)
		}
	}
	return nil
}
