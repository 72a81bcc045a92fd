package policy

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
)

// Snapshot is the whole policy at one revision: every resource, and the index by which decisions are made.
// It never changes and may be used by any number of goroutines.
type Snapshot struct {
	revision Revision
	access   Revision // at which who may do what over what may last have changed
	made     int      // bytes that are not shared with the snapshot it was made of
	seed     maphash.Seed

	// What was put, as it was put.
	purposes      catalog[*Purpose]
	attributes    catalog[*Attribute]
	organizations catalog[*Organization]
	vendors       catalog[*Vendor]
	apps          catalog[*App]
	directives    catalog[*Directive]
	releases      catalog[*Release] // lifts and exemptions
	concerns      catalog[*ConcernState]
	statements    catalog[*Statement]
	grants        catalog[*Grant]
	proposals     catalog[*Proposal]
	granted       table[string, *list] // rows of grants by principal
	aliases       table[string, int32] // to organization numbers
	identifiers   table[string, int32] // in lower case, to app numbers

	// What was put, compiled to numbers.
	tree            *purposeTree
	facets          facets
	attrs           *attributeTable
	kinds           kinds
	orgs            paged[orgRow]    // by organization number
	vendorRows      paged[vendorRow] // by vendor number
	appRows         paged[appRow]    // by app number
	owners          owners
	groups          groups
	rules           paged[directiveRow] // by directive number
	provisions      paged[provisionRow]
	gates           paged[gate] // by provision row
	holes           paged[releaseRow]
	spareProvisions []int32 // rows that amendments gave up
	spareHoles      []int32
	index           index

	order *order // made when asked for
	held  *held  // likewise; shared by snapshots of the same apps
}

// New returns the snapshot before the first entry.
func New() *Snapshot {
	s := &Snapshot{seed: maphash.MakeSeed(), held: &held{}, tree: newPurposeTree(nil), attrs: &attributeTable{}}
	s.index.salt = maphash.String(s.seed, "index")
	b := s.build(0)
	b.groups.ordinal(b, groupKey{kind: groupAll})
	return b.Snapshot
}

// Revision returns the revision of the last entry folded in, 0 before the first.
func (s *Snapshot) Revision() Revision { return s.revision }

// Access returns the revision at which who may do what, over which organizations, may last have changed.
func (s *Snapshot) Access() Revision { return s.access }

// Lookup returns the resource and the revision at which it last changed.
func (s *Snapshot) Lookup(k Key) (Resource, Revision, bool) {
	switch k.Kind {
	case KindPurpose:
		return lookup(&s.purposes, s.seed, k)
	case KindAttribute:
		return lookup(&s.attributes, s.seed, k)
	case KindOrganization:
		return lookup(&s.organizations, s.seed, k)
	case KindVendor:
		return lookup(&s.vendors, s.seed, k)
	case KindApp:
		return lookup(&s.apps, s.seed, k)
	case KindDirective:
		return lookup(&s.directives, s.seed, k)
	case KindRelease:
		return lookup(&s.releases, s.seed, k)
	case KindConcern:
		return lookup(&s.concerns, s.seed, k)
	case KindStatement:
		return lookup(&s.statements, s.seed, k)
	case KindGrant:
		return lookup(&s.grants, s.seed, k)
	case KindProposal:
		return lookup(&s.proposals, s.seed, k)
	}
	return nil, 0, false
}

func lookup[T Resource](c *catalog[T], seed maphash.Seed, k Key) (Resource, Revision, bool) {
	i := c.number(seed, k.name())
	if i == none || c.rows.at(i).changed == 0 {
		return nil, 0, false
	}
	row := c.rows.at(i)
	return row.resource, row.changed, true
}

// Made returns about how many bytes of the snapshot are not shared with the one it was made of: what it costs to keep both. Resources
// are not counted.
func (s *Snapshot) Made() int { return s.made }

// Organization returns the organization of that id, or nil.
func (s *Snapshot) Organization(id string) *Organization {
	return s.organizations.find(s.seed, id).resource
}

// Vendor returns the vendor of that id, or nil.
func (s *Snapshot) Vendor(id string) *Vendor { return s.vendors.find(s.seed, id).resource }

// App returns the app of that id, or nil.
func (s *Snapshot) App(id string) *App { return s.apps.find(s.seed, id).resource }

// Purpose returns the purpose of that id, or nil.
func (s *Snapshot) Purpose(id string) *Purpose { return s.purposes.find(s.seed, id).resource }

// Attribute returns the attribute of that id, or nil.
func (s *Snapshot) Attribute(id string) *Attribute { return s.attributes.find(s.seed, id).resource }

// Directive returns the directive of that id, or nil.
func (s *Snapshot) Directive(id string) *Directive { return s.directives.find(s.seed, id).resource }

// Release returns the lift or exemption of that id, or nil. Carve-outs are part of their directive.
func (s *Snapshot) Release(directive, id string) *Release {
	return s.releases.find(s.seed, directive+"/"+id).resource
}

// ConcernState returns what became of the concern, or nil if nothing did.
func (s *Snapshot) ConcernState(directive, concern string) *ConcernState {
	return s.concerns.find(s.seed, directive+"/"+concern).resource
}

// Releases returns the lifts and exemptions of the directive, ordered by id.
func (s *Snapshot) Releases(directive string) []*Release {
	d := s.directives.number(s.seed, directive)
	if d == none {
		return nil
	}
	var list []*Release
	for _, i := range s.rules.at(d).releases.all() {
		if r := s.holes.at(i).release; r.Kind != CarveOut {
			list = append(list, r)
		}
	}
	return list
}

// Statements returns the statements recorded about the directive, ordered by id.
func (s *Snapshot) Statements(directive string) []*Statement {
	d := s.directives.number(s.seed, directive)
	if d == none {
		return nil
	}
	var list []*Statement
	for _, i := range s.rules.at(d).statements.all() {
		list = append(list, s.statements.rows.at(i).resource)
	}
	slices.SortFunc(list, func(a, b *Statement) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Holder returns which organization holds the alias (kind organization), or which app the identifier (kind app),
// compared without regard to ASCII case.
func (s *Snapshot) Holder(kind Kind, name string) (Key, bool) {
	switch kind {
	case KindOrganization:
		if i, ok := s.aliases.get(maphash.String(s.seed, name), name); ok {
			return s.organizations.rows.at(i).resource.Key(), true
		}
	case KindApp:
		name = lowerASCII(name)
		if i, ok := s.identifiers.get(maphash.String(s.seed, name), name); ok {
			return s.apps.rows.at(i).resource.Key(), true
		}
	}
	return Key{}, false
}

// Within reports whether the organization is root or beneath it.
func (s *Snapshot) Within(organization, root string) bool {
	top := s.organizations.number(s.seed, root)
	if top == none {
		return false
	}
	for i := s.organizations.number(s.seed, organization); i != none; i = s.orgs.at(i).parent {
		if i == top {
			return true
		}
	}
	return false
}

// DirectiveWindow returns the span in which the directive is in force, clipped by what supersedes it; empty if it is
// withdrawn or not there.
func (s *Snapshot) DirectiveWindow(id string) Window {
	if d := s.directives.number(s.seed, id); d != none {
		return s.rules.at(d).window
	}
	return Window{}
}

// Count returns how many resources of the kind there are.
func (s *Snapshot) Count(k Kind) int { return len(s.order.of(s, k)) }

// Resources yields the resources of the kind, ordered by directive and id, each with the revision at which it last changed.
func (s *Snapshot) Resources(k Kind) iter.Seq2[Resource, Revision] {
	return func(yield func(Resource, Revision) bool) {
		for _, row := range s.order.of(s, k) {
			if !yield(row.resource, row.changed) {
				return
			}
		}
	}
}

// All yields every resource, ordered by kind, directive and id.
func (s *Snapshot) All() iter.Seq2[Resource, Revision] {
	return func(yield func(Resource, Revision) bool) {
		for k := KindPurpose; k <= lastKind; k++ {
			for resource, changed := range s.Resources(k) {
				if !yield(resource, changed) {
					return
				}
			}
		}
	}
}

// order keeps the resources of a snapshot in the order of their keys, kind by kind, once somebody asked.
type order struct {
	once [lastKind + 1]sync.Once
	rows [lastKind + 1][]stored[Resource]
}

func (o *order) of(s *Snapshot, k Kind) []stored[Resource] {
	if k == 0 || int(k) >= len(o.rows) {
		return nil
	}
	o.once[k].Do(func() { o.rows[k] = s.sorted(k) })
	return o.rows[k]
}

func (s *Snapshot) sorted(k Kind) []stored[Resource] {
	switch k {
	case KindPurpose:
		return sorted(&s.purposes)
	case KindAttribute:
		return sorted(&s.attributes)
	case KindOrganization:
		return sorted(&s.organizations)
	case KindVendor:
		return sorted(&s.vendors)
	case KindApp:
		return sorted(&s.apps)
	case KindDirective:
		return sorted(&s.directives)
	case KindRelease:
		return sorted(&s.releases)
	case KindConcern:
		return sorted(&s.concerns)
	case KindStatement:
		return sorted(&s.statements)
	case KindGrant:
		return sorted(&s.grants)
	default:
		return sorted(&s.proposals)
	}
}

func sorted[T Resource](c *catalog[T]) []stored[Resource] {
	list := make([]stored[Resource], 0, c.names.n)
	for i := range c.rows.n {
		if row := c.rows.at(i); row.changed != 0 {
			list = append(list, stored[Resource]{row.resource, row.changed})
		}
	}
	slices.SortFunc(list, func(a, b stored[Resource]) int {
		return compareKeys(a.resource.Key(), b.resource.Key())
	})
	return list
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Directive, b.Directive), cmp.Compare(a.ID, b.ID))
}
