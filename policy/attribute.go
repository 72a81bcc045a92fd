package policy

import (
	"maps"
	"math/bits"
	"strings"
)

// attributeTable numbers the registered attributes and their values, so that a condition is a word of bits. It is made
// anew whenever an attribute is put or deleted; what stays registered keeps its number.
type attributeTable struct {
	numbers map[string]uint8
	rows    [MaxAttributes]attributeRow
	used    uint32
}

type attributeRow struct {
	id     string
	values map[string]value
}

// value is one registered value of an attribute.
type value struct {
	number uint8
	within uint64 // itself and the registered values it lies beneath
}

// with returns the table after the attributes are put and those of the ids deleted.
func (t *attributeTable) with(put []*Attribute, deleted []string) (*attributeTable, error) {
	next := &attributeTable{numbers: make(map[string]uint8), rows: t.rows, used: t.used}
	maps.Copy(next.numbers, t.numbers)
	for _, id := range deleted {
		if n, ok := next.numbers[id]; ok {
			delete(next.numbers, id)
			next.rows[n] = attributeRow{}
			next.used &^= 1 << n
		}
	}
	for _, a := range put {
		if err := next.put(a); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (t *attributeTable) put(a *Attribute) error {
	n, ok := t.numbers[a.ID]
	if !ok {
		free := bits.TrailingZeros32(^t.used)
		if free == MaxAttributes {
			return &LimitError{"attributes", MaxAttributes}
		}
		n = uint8(free)
		t.numbers[a.ID] = n
		t.used |= 1 << n
	}
	values, err := numberValues(t.rows[n].values, a.Values)
	if err != nil {
		return err
	}
	t.rows[n] = attributeRow{a.ID, values}
	return nil
}

// numberValues numbers the values, leaving those that had a number theirs.
func numberValues(old map[string]value, names []string) (map[string]value, error) {
	if len(names) > MaxValues {
		return nil, &LimitError{"values of an attribute", MaxValues}
	}
	values := make(map[string]value, len(names))
	var used uint64
	for _, name := range names {
		if v, ok := old[name]; ok {
			values[name] = v
			used |= 1 << v.number
		}
	}
	for _, name := range names {
		if _, ok := values[name]; !ok {
			free := uint8(bits.TrailingZeros64(^used))
			values[name] = value{number: free}
			used |= 1 << free
		}
	}
	for name, v := range values {
		v.within = 1 << v.number
		for above := range prefixes(name) {
			if w, ok := values[above]; ok {
				v.within |= 1 << w.number
			}
		}
		values[name] = v
	}
	return values, nil
}

// condition is a compiled Condition: it holds iff the query's value lies within one of the values named.
type condition struct {
	attribute uint8
	values    uint64
}

func (t *attributeTable) compile(list []Condition) ([]condition, uint32, error) {
	var compiled []condition
	var named uint32
	for _, c := range list {
		n, ok := t.numbers[c.Attribute]
		if !ok {
			return nil, 0, &ReferenceError{"conditions", Key{Kind: KindAttribute, ID: c.Attribute}, false}
		}
		cond := condition{attribute: n}
		for _, name := range c.Values {
			v, ok := t.rows[n].values[name]
			if !ok {
				return nil, 0, &ReferenceError{"conditions", Key{Kind: KindAttribute, ID: c.Attribute + "=" + name}, false}
			}
			cond.values |= 1 << v.number
		}
		compiled = append(compiled, cond)
		named |= 1 << n
	}
	return compiled, named, nil
}

// lowerASCII returns s with its ASCII letters in lower case, s itself where it has no capitals.
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}
