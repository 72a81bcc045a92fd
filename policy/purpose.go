package policy

import (
	"hash/maphash"
	"slices"
	"strings"
)

// purposeTree numbers the registered purposes from 0 to 255, so that a set of purposes is a mask. It is made anew
// whenever a purpose is put or deleted; a purpose keeps its number as long as it is registered.
type purposeTree struct {
	numbers map[string]uint8
	ids     [MaxPurposes]string // by number; "" where there is none
	parents [MaxPurposes]int16  // the nearest registered purpose above, or -1
	beneath [MaxPurposes]mask   // the purpose and every one beneath it
	all     mask
}

func newPurposeTree(numbers map[string]uint8) *purposeTree {
	t := &purposeTree{numbers: numbers}
	for id, n := range numbers {
		t.ids[n] = id
		t.all.set(n)
	}
	for id, n := range numbers {
		t.parents[n] = -1
		t.beneath[n].set(n)
		for above := range prefixes(id) {
			if p, ok := numbers[above]; ok {
				t.beneath[p].set(n)
				if t.parents[n] < 0 {
					t.parents[n] = int16(p)
				}
			}
		}
	}
	return t
}

// prefixes yields the dotted ids that the id lies beneath, nearest first.
func prefixes(id string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			dot := strings.LastIndexByte(id, '.')
			if dot < 0 {
				return
			}
			if id = id[:dot]; !yield(id) {
				return
			}
		}
	}
}

// with returns the numbering that has the purposes added and those removed.
func (t *purposeTree) with(added, removed []string) (map[string]uint8, error) {
	numbers := make(map[string]uint8, len(t.numbers)+len(added))
	var used mask
	for id, n := range t.numbers {
		if !slices.Contains(removed, id) {
			numbers[id] = n
			used.set(n)
		}
	}
	for _, id := range added {
		if _, ok := numbers[id]; ok {
			continue
		}
		free, ok := used.free()
		if !ok {
			return nil, &LimitError{"purposes", MaxPurposes}
		}
		numbers[id] = free
		used.set(free)
	}
	return numbers, nil
}

// free returns the least number that is not in the set.
func (m *mask) free() (uint8, bool) {
	for n := range everything.not(*m).each {
		return n, true
	}
	return 0, false
}

// facet is a purposes facet, compiled. Equal facets share one, so that registering a purpose recomputes few.
type facet struct {
	selector PurposeSelector
	mask     mask
}

// facets interns purposes facets.
type facets struct {
	numbers table[string, int32]
	rows    paged[facet]
}

func (f *facets) intern(b *builder, sel PurposeSelector) (int32, error) {
	key := facetKey(sel)
	hash := maphash.String(b.seed, key)
	if i, ok := f.numbers.get(hash, key); ok {
		return i, nil
	}
	m, err := b.tree.mask(sel)
	if err != nil {
		return none, err
	}
	i := f.rows.grow(b.edit)
	*f.rows.edit(b.edit, i) = facet{sel, m}
	f.numbers.put(b.edit, hash, key, i)
	return i, nil
}

func facetKey(sel PurposeSelector) string {
	if len(sel.In)+len(sel.Out) == 0 {
		return "/"
	}
	in, out := slices.Sorted(slices.Values(sel.In)), slices.Sorted(slices.Values(sel.Out))
	return strings.Join(in, ",") + "/" + strings.Join(out, ",")
}

// recompute brings every facet's mask up to the tree. A facet that nothing uses any more may name what is gone.
func (f *facets) recompute(b *builder) {
	for i := range f.rows.n {
		m, _ := b.tree.mask(f.rows.at(i).selector)
		if m != f.rows.at(i).mask {
			f.rows.edit(b.edit, i).mask = m
		}
	}
}

// mask returns the purposes that the facet is true of, and an error naming the first that is not registered.
func (t *purposeTree) mask(sel PurposeSelector) (mask, error) {
	in, err := t.union(sel.In)
	if len(sel.In) == 0 {
		in = everything
	}
	out, outErr := t.union(sel.Out)
	if err == nil {
		err = outErr
	}
	return in.not(out), err
}

func (t *purposeTree) union(ids []string) (m mask, err error) {
	for _, id := range ids {
		n, ok := t.numbers[id]
		if !ok {
			err = &ReferenceError{Field: "purposes", Key: Key{Kind: KindPurpose, ID: id}}
			continue
		}
		m = m.or(t.beneath[n])
	}
	return m, err
}
