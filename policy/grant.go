package policy

import (
	"errors"
	"hash/maphash"
	"slices"
)

// Role is what a grant permits, over its subtree.
type Role uint8

// The roles.
const (
	// Checker asks and watches about the present.
	Checker Role = iota + 1
	// Reporter submits usage reports.
	Reporter
	// Issuer issues, amends, lifts and withdraws directives whose authority lies inside, and exempts from them.
	Issuer
	// Exempter grants exemptions that a directive leaves to the subject.
	Exempter
	// Registrar keeps the registry.
	Registrar
	// Follower follows the record and reports how far it is.
	Follower
	// Auditor asks about other times and former policy, and looks at the fleet and at the log.
	Auditor
	// Administrator grants, and may do all of the above.
	Administrator
)

// Everywhere in place of an organization is over all there are.
const Everywhere = "*"

// Grant is a power of somebody over a subtree. It is never changed: it is revoked, and another one granted.
type Grant struct {
	ID           string
	Principal    string
	Role         Role
	Organization string // root of the subtree, or Everywhere
	Identity     string // of the person, where one person has several credentials; may be empty
}

// Grant returns the grant of that id, or nil.
func (s *Snapshot) Grant(id string) *Grant { return s.grants.find(s.seed, id).resource }

func (b *builder) foldGrants() error {
	for _, k := range b.deletes[KindGrant] {
		if row := b.grants.number(b.seed, k.ID); row != none {
			b.foldGranted(b.grants.rows.at(row).resource.Principal, func(rows *list) *list { return &list{b.edit, without(rows.all(), row)} })
		}
		b.grants.remove(b, k.ID)
	}
	for _, p := range b.puts[KindGrant] {
		g := p.resource.(*Grant)
		if was := b.Grant(g.ID); was != nil {
			return &ExistsError{g.Key()}
		}
		row := b.grants.reserve(b, g.ID)
		b.grants.put(b, row, g, p.changed)
		b.foldGranted(g.Principal, func(rows *list) *list { return rows.with(b.edit, row) })
	}
	return nil
}

// foldGranted changes which rows of grants a principal has.
func (b *builder) foldGranted(principal string, change func(*list) *list) {
	hash := maphash.String(b.seed, principal)
	rows, _ := b.granted.get(hash, principal)
	if rows = change(rows); len(rows.all()) == 0 {
		b.granted.remove(b.edit, hash, principal)
		return
	}
	b.granted.put(b.edit, hash, principal, rows)
}

const (
	maxPrincipal = 512 // bytes
	maxIdentity  = 128 // bytes
)

func grantForm(g *Grant) error {
	var top *field
	if g.Role == Follower && g.Organization != Everywhere {
		return top.in("organization").wrong("to follow the record is to read all of it: it is granted at " + Everywhere + " only")
	}
	return firstOf(
		slug(top.in("id"), g.ID),
		principalForm(top.in("principal"), g.Principal),
		known(top.in("role"), g.Role, Checker, Reporter, Issuer, Exempter, Registrar, Follower, Auditor, Administrator),
		said(top.in("organization"), g.Organization),
		identityForm(top.in("identity"), g.Identity),
	)
}

func principalForm(at *field, s string) error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if s == "" || len(s) > maxPrincipal || slices.ContainsFunc([]rune(s), control) {
		return at.wrong("not 1 to 512 bytes without control characters")
	}
	return nil
}

func identityForm(at *field, s string) error {
	if len(s) > maxIdentity || slices.ContainsFunc([]byte(s), func(b byte) bool { return b <= ' ' || b > '~' }) {
		return at.wrong("not at most 128 printable ASCII characters without space")
	}
	return nil
}

// grantNew refuses to change a grant: who approves needs one that is older than the proposal.
func grantNew(d *draft, g *Grant) error {
	if d.was(g.Key()) != nil {
		return &ExistsError{g.Key()}
	}
	return nil
}

// ErrLastAdministrator says that nobody would be left to grant anything.
var ErrLastAdministrator = errors.New("it is the last administrator at " + Everywhere + ": grant that to another first")

// administratorLeft refuses to revoke the last administrator of everything.
func (d *draft) administratorLeft(id string) error {
	if !d.before.Grant(id).administers() {
		return nil
	}
	for r := range d.others(KindGrant) {
		if r.(*Grant).administers() {
			return nil
		}
	}
	for _, r := range d.puts {
		if g, ok := r.(*Grant); ok && g.administers() {
			return nil
		}
	}
	return ErrLastAdministrator
}

// Administered reports whether anybody has all power over everything.
func (s *Snapshot) Administered() bool {
	for r := range s.grants.each {
		if r.(*Grant).administers() {
			return true
		}
	}
	return false
}

// administers reports whether the grant is of all power over everything.
func (g *Grant) administers() bool { return g.Role == Administrator && g.Organization == Everywhere }

// GiveGrant gives a grant.
func (s *Snapshot) GiveGrant(g *Grant) ([]Change, error) {
	if s.Grant(g.ID) != nil {
		return nil, &ExistsError{g.Key()}
	}
	return []Change{{Put: g}}, nil
}

// TakeGrant takes a grant back.
func (s *Snapshot) TakeGrant(id string) ([]Change, error) {
	key := Key{Kind: KindGrant, ID: id}
	if s.Grant(id) == nil {
		return nil, &NotFoundError{key}
	}
	return []Change{{Delete: key}}, nil
}
