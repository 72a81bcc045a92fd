package policy

import (
	"math/bits"
	"slices"
	"strings"
)

// attributeTable numbers the registered attributes and their values, so that a condition is a word of bits. It is made
// anew whenever an attribute is put or deleted; what stays registered keeps its number. Both lists are short, and looking
// through a short list is quicker than hashing.
type attributeTable struct {
	rows []attributeRow // by number; a free one has no id
}

type attributeRow struct {
	id     string
	values []value
}

// value is one registered value of an attribute.
type value struct {
	name   string
	number uint8
	within uint64 // itself and the registered values it lies beneath
}

// number returns the number of the attribute, or none.
func (t *attributeTable) number(id string) int32 {
	for i := range t.rows {
		if t.rows[i].id == id {
			return int32(i)
		}
	}
	return none
}

// value returns the value of that name, or nil.
func (a *attributeRow) value(name string) *value {
	for i := range a.values {
		if a.values[i].name == name {
			return &a.values[i]
		}
	}
	return nil
}

// with returns the table after the attributes are put and those of the ids deleted.
func (t *attributeTable) with(put []*Attribute, deleted []string) (*attributeTable, error) {
	next := &attributeTable{rows: slices.Clone(t.rows)}
	for _, id := range deleted {
		if n := next.number(id); n != none {
			next.rows[n] = attributeRow{}
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
	n := t.number(a.ID)
	if n == none {
		n = t.number("") // a free one
	}
	if n == none {
		if n = int32(len(t.rows)); n == MaxAttributes {
			return &LimitError{"attributes", MaxAttributes}
		}
		t.rows = append(t.rows, attributeRow{})
	}
	values, err := numberValues(&t.rows[n], a.Values)
	if err != nil {
		return err
	}
	t.rows[n] = attributeRow{a.ID, values}
	return nil
}

// numberValues numbers the values, leaving those that had a number theirs.
func numberValues(old *attributeRow, names []string) ([]value, error) {
	if len(names) > MaxValues {
		return nil, &LimitError{"values of an attribute", MaxValues}
	}
	var used uint64
	for _, name := range names {
		if v := old.value(name); v != nil {
			used |= 1 << v.number
		}
	}
	row := attributeRow{values: make([]value, len(names))}
	for i, name := range names {
		number := uint8(bits.TrailingZeros64(^used))
		if v := old.value(name); v != nil {
			number = v.number
		}
		row.values[i] = value{name: name, number: number}
		used |= 1 << number
	}
	for i := range row.values {
		v := &row.values[i]
		v.within = 1 << v.number
		for above := range prefixes(v.name) {
			if w := row.value(above); w != nil {
				v.within |= 1 << w.number
			}
		}
	}
	return row.values, nil
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
		n := t.number(c.Attribute)
		if n == none {
			return nil, 0, &ReferenceError{"conditions", Key{Kind: KindAttribute, ID: c.Attribute}, false}
		}
		cond := condition{attribute: uint8(n)}
		for _, name := range c.Values {
			v := t.rows[n].value(name)
			if v == nil {
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
