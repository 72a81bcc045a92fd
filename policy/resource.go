package policy

// Revision numbers the entries of a record: contiguous, from 1. 0 is before the first.
type Revision int64

// Kind is a kind of resource. Its order is the order in which resources of one entry are applied.
type Kind uint8

// The kinds of resources, registry first.
const (
	KindPurpose Kind = iota + 1
	KindAttribute
	KindOrganization
	KindVendor
	KindApp
	KindDirective
	KindRelease
	KindConcern
	KindStatement
	KindGrant
	KindProposal

	lastKind = KindProposal
)

var kindNames = [...]string{"unknown", "purpose", "attribute", "organization", "vendor", "app", "directive", "release", "concern", "statement", "grant", "proposal"}

// String returns the kind in words, as error messages use it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

// Key names one resource. Directive is set for releases, concerns and statements, which are unique within one.
type Key struct {
	Kind      Kind
	Directive string
	ID        string
}

// String returns the key as error messages use it: "directive j1", "release j1/partial".
func (k Key) String() string {
	if k.Directive != "" {
		return k.Kind.String() + " " + k.Directive + "/" + k.ID
	}
	return k.Kind.String() + " " + k.ID
}

// Resource is one of the pointers that have a Key: everything a change can put. A resource belongs to the snapshot it
// was put in and is never changed afterwards.
type Resource interface{ Key() Key }

// Key returns the organization's key.
func (o *Organization) Key() Key { return Key{Kind: KindOrganization, ID: o.ID} }

// Key returns the vendor's key.
func (v *Vendor) Key() Key { return Key{Kind: KindVendor, ID: v.ID} }

// Key returns the app's key.
func (a *App) Key() Key { return Key{Kind: KindApp, ID: a.ID} }

// Key returns the purpose's key.
func (p *Purpose) Key() Key { return Key{Kind: KindPurpose, ID: p.ID} }

// Key returns the attribute's key.
func (a *Attribute) Key() Key { return Key{Kind: KindAttribute, ID: a.ID} }

// Key returns the directive's key.
func (d *Directive) Key() Key { return Key{Kind: KindDirective, ID: d.ID} }

// Key returns the release's key.
func (r *Release) Key() Key { return Key{Kind: KindRelease, Directive: r.Directive, ID: r.ID} }

// Key returns the concern state's key.
func (c *ConcernState) Key() Key {
	return Key{Kind: KindConcern, Directive: c.Directive, ID: c.Concern}
}

// Key returns the statement's key.
func (s *Statement) Key() Key { return Key{Kind: KindStatement, Directive: s.Directive, ID: s.ID} }

// Key returns the grant's key.
func (g *Grant) Key() Key { return Key{Kind: KindGrant, ID: g.ID} }

// Key returns the proposal's key.
func (p *Proposal) Key() Key { return Key{Kind: KindProposal, ID: p.ID} }

// Change puts a resource or, when Put is nil, deletes the one that Delete names.
type Change struct {
	Put    Resource
	Delete Key
}

// Key returns the key of the resource that the change puts or deletes.
func (c Change) Key() Key {
	if c.Put != nil {
		return c.Put.Key()
	}
	return c.Delete
}
