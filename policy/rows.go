package policy

import (
	"hash/maphash"
	"maps"
)

// orgRow is what deciding needs of an organization. Ancestors are walked, so that a move writes one row.
type orgRow struct {
	parent int32 // none for a root
	kind   int8  // -1 for no kind
}

// appRow is what deciding needs of an app.
type appRow struct {
	groups  []int32 // it always belongs to: all, itself, its tags
	owner   int32   // none if nobody ever owned it
	onStale OnStale
}

// selector is a compiled Selector without its window.
type selector struct {
	kinds      uint64 // 0: any
	facet      int32
	attributes uint32      // named by conditions
	conditions []condition // all must hold
	targets    *targets    // nil: every app
	roots      []int32     // ordered; empty: every organization
	outs       []int32     // ordered
	coarse     bool        // too many pairs of root and group: indexed by its roots alone
}

// provisionRow is a compiled Provision.
type provisionRow struct {
	window    Window // clipped
	selector  selector
	directive int32
	position  int32 // in the directive's list
	force     Force
	plural    bool    // indexed more than once
	sure      bool    // its targets facet is true of an app that always belongs to a group it is indexed under
	released  bool    // the directive has releases
	blocks    bool    // the directive has DeviceBlock
	firsts    []int32 // the groups it is indexed under, ordered
}

// gate is what most looks at a provision need. It is kept apart from the row and small, so that thousands of directives
// about one app cost thousands of half cache lines.
type gate struct {
	window Window // the row's; ends at Beginning if that is empty
	kinds  uint64
	facet  int32
	plain  bool // binding, sure, indexed once, without outs, conditions and releases: past the gate, it bites
	blocks bool // the row's
}

func (p *provisionRow) gate() gate {
	sel := &p.selector
	g := gate{p.window, sel.kinds, sel.facet, p.force == Binding && p.sure && !p.plural && !p.released &&
		len(sel.outs) == 0 && len(sel.conditions) == 0, p.blocks}
	if p.window.Empty() {
		g.window.End = Beginning
	}
	return g
}

// releaseRow is a compiled Release: a lift, an exemption or a carve-out.
type releaseRow struct {
	window     Window // its own; it is clipped to each provision's when looked at
	selector   selector
	directive  int32
	provisions []int32 // ordered; empty: all of the directive
	release    *Release
}

// directiveRow is what a directive is to the index.
type directiveRow struct {
	window     Window  // in force; empty if withdrawn
	provisions []int32 // rows, in the order of the text
	releases   *list   // rows, ordered by release id; carve-outs too; nil if none
	statements *list   // rows; nil if none
	successors *list   // directives that name it in supersedes; nil if none
	indexed    bool    // its releases are in the index; else they are few and looked at one by one
	roots      mask    // filter of the roots its indexed releases name
	firsts     mask    // filter of the groups its indexed releases name
}

// kinds numbers the kinds of organization in use, and counts what uses each.
type kinds struct {
	numbers map[string]uint8
	uses    [MaxKinds]int32
}

// copied returns the numbers for a builder to write: those at hand are shared with older snapshots.
func (k *kinds) copied() map[string]uint8 {
	if k.numbers == nil {
		return make(map[string]uint8)
	}
	return maps.Clone(k.numbers)
}

// anywhere is the root under which what holds for every organization is indexed.
const anywhere int32 = -1

// filterBit is the bit by which a number stands in a filter.
func filterBit(n int32) uint8 { return uint8((uint32(n) * 0x9E3779B1) >> 24) }

// place is where the index keeps what names an organization and an app together: owner 0 has the provisions,
// owner d+1 the releases of directive d.
type place struct{ owner, group, root int32 }

// postings are the rows at one place: mostly one.
type postings struct {
	one  int32
	more *list
}

type list struct {
	owner *edit
	rows  []int32
}

// index finds rows by place.
type index struct {
	table[place, postings]
	salt uint64 // random, so that nobody can choose what collides
}

func (k groupKey) hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, k) }
