package policy

import (
	"cmp"
	"math/bits"
	"slices"
)

// mostPlaces bounds the places at which one row is indexed. A selector that names more pairs of root and group than
// this is indexed by its roots alone, and its targets are checked when it is looked at.
const mostPlaces = 2048

// fewReleases is how many releases of a directive are looked at one by one rather than through the index.
const fewReleases = 8

func (x *index) hash(p place) uint64 {
	hi, lo := bits.Mul64(x.salt^(uint64(uint32(p.owner))<<32|uint64(uint32(p.root))), (x.salt>>1)^uint64(uint32(p.group))<<20|1)
	return hi ^ lo
}

// all returns the rows, none of them to be written.
func (l *list) all() []int32 {
	if l == nil {
		return nil
	}
	return l.rows
}

// own returns the list for e to write: itself if it is e's, else a copy.
func (l *list) own(e *edit) *list {
	if l != nil && l.owner == e {
		return l
	}
	rows := l.all()
	return &list{e, append(make([]int32, 0, len(rows)+1), rows...)}
}

// with returns the list with the row added, for e to write.
func (l *list) with(e *edit, row int32) *list {
	l = l.own(e)
	l.rows = append(l.rows, row)
	return l
}

// find returns the rows at the place, none of them to be written. The array backs a single row.
func (x *index) find(p place, single *[1]int32) []int32 {
	found, ok := x.get(x.hash(p), p)
	switch {
	case !ok:
		return nil
	case found.more != nil:
		return found.more.rows
	}
	single[0] = found.one
	return single[:]
}

// insert adds the row at the place, before the first that compares greater.
func (x *index) insert(e *edit, p place, row int32, compare func(a, b int32) int) {
	hash := x.hash(p)
	found, ok := x.get(hash, p)
	if !ok {
		x.put(e, hash, p, postings{one: row})
		return
	}
	if found.more == nil {
		found.more = &list{e, []int32{found.one}}
	}
	found.more = found.more.own(e)
	x.put(e, hash, p, found)
	at := len(found.more.rows)
	if at > 0 && compare(found.more.rows[at-1], row) > 0 { // most come in order
		at, _ = slices.BinarySearchFunc(found.more.rows, row, compare)
	}
	found.more.rows = slices.Insert(found.more.rows, at, row)
}

// remove takes the row away from the place.
func (x *index) removeRow(e *edit, p place, row int32) {
	hash := x.hash(p)
	found, ok := x.get(hash, p)
	if !ok {
		return
	}
	if found.more == nil || len(found.more.rows) == 1 {
		x.remove(e, hash, p)
		return
	}
	rows := slices.DeleteFunc(slices.Clone(found.more.rows), func(r int32) bool { return r == row })
	x.put(e, hash, p, postings{more: &list{e, rows}})
}

// places calls yield for every place at which a selector of the owner's is indexed.
func places(owner int32, roots, firsts []int32) func(yield func(place) bool) {
	return func(yield func(place) bool) {
		for _, g := range firsts {
			for _, r := range roots {
				if !yield(place{owner, g, r}) {
					return
				}
			}
		}
	}
}

// indexedRoots returns the roots under which the selector is indexed.
func (s *selector) indexedRoots() []int32 {
	if len(s.roots) == 0 {
		return []int32{anywhere}
	}
	return s.roots
}

// indexedFirsts returns the groups under which the selector is indexed.
func (s *selector) indexedFirsts() []int32 {
	if s.coarse {
		return []int32{allApps}
	}
	return s.targets.firsts()
}

// compareProvisions orders provision rows as citations are: by directive id, then provision id.
func (s *Snapshot) compareProvisions(a, b int32) int {
	if a == b {
		return 0
	}
	p, q := s.provisions.at(a), s.provisions.at(b)
	if p.directive != q.directive {
		return cmp.Compare(s.directives.rows.at(p.directive).resource.ID, s.directives.rows.at(q.directive).resource.ID)
	}
	return cmp.Compare(s.provision(a).ID, s.provision(b).ID)
}

// provision returns the authored text of the row.
func (s *Snapshot) provision(row int32) *Provision {
	p := s.provisions.at(row)
	return &s.directives.rows.at(p.directive).resource.Provisions[p.position]
}

func (b *builder) indexProvision(row int32) {
	p := b.provisions.at(row)
	for at := range places(0, p.selector.indexedRoots(), p.firsts) {
		b.placeProvision(at, row)
	}
}

func (b *builder) placeProvision(at place, row int32) {
	g := b.groups.rows.edit(b.edit, at.group)
	g.filter.set(filterBit(at.root))
	switch {
	case g.many:
		b.index.insert(b.edit, at, row, b.compareProvisions)
	case len(g.few) < fewPlaced:
		i := len(g.few)
		if i > 0 && b.compareProvisions(g.few[i-1].row, row) > 0 { // most come in order
			i, _ = slices.BinarySearchFunc(g.few, row, func(p placed, row int32) int { return b.compareProvisions(p.row, row) })
		}
		g.few = slices.Insert(slices.Clip(g.few), i, placed{at.root, row})
	default:
		for _, p := range g.few {
			b.index.insert(b.edit, place{0, at.group, p.root}, p.row, b.compareProvisions)
		}
		g.few, g.many = nil, true
		b.index.insert(b.edit, at, row, b.compareProvisions)
	}
}

func (b *builder) unindexProvision(row int32) {
	p := b.provisions.at(row)
	for at := range places(0, p.selector.indexedRoots(), p.firsts) {
		if g := b.groups.rows.edit(b.edit, at.group); g.many {
			b.index.removeRow(b.edit, at, row)
		} else {
			g.few = slices.DeleteFunc(slices.Clone(g.few), func(q placed) bool { return q.row == row })
		}
	}
}

func (b *builder) indexRelease(d *directiveRow, row int32) {
	r := b.holes.at(row)
	for at := range places(r.directive+1, r.selector.indexedRoots(), r.selector.indexedFirsts()) {
		b.index.insert(b.edit, at, row, func(a, b int32) int { return cmp.Compare(a, b) })
		d.roots.set(filterBit(at.root))
		d.firsts.set(filterBit(at.group))
	}
}

func (b *builder) unindexRelease(row int32) {
	r := b.holes.at(row)
	for at := range places(r.directive+1, r.selector.indexedRoots(), r.selector.indexedFirsts()) {
		b.index.removeRow(b.edit, at, row)
	}
}
