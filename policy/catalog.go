package policy

import "hash/maphash"

// none is the number of nothing.
const none int32 = -1

// stored is a resource and the revision at which it last changed.
type stored[T any] struct {
	resource T
	changed  Revision
}

// catalog holds the resources of one kind by name and by number. Numbers are given once and never again, so that what
// was compiled to a number can never come to mean something else.
type catalog[T Resource] struct {
	names table[string, int32]
	rows  paged[stored[T]]
}

func (c *catalog[T]) number(seed maphash.Seed, name string) int32 {
	if i, ok := c.names.get(maphash.String(seed, name), name); ok {
		return i
	}
	return none
}

// reserve returns the name's number, giving it one if it has none.
func (c *catalog[T]) reserve(b *builder, name string) int32 {
	hash := maphash.String(b.seed, name)
	if i, ok := c.names.get(hash, name); ok {
		return i
	}
	i := c.rows.grow(b.edit)
	c.names.put(b.edit, hash, name, i)
	return i
}

func (c *catalog[T]) put(b *builder, i int32, resource T, changed Revision) {
	*c.rows.edit(b.edit, i) = stored[T]{resource, changed}
}

func (c *catalog[T]) remove(b *builder, name string) {
	hash := maphash.String(b.seed, name)
	if i, ok := c.names.get(hash, name); ok {
		*c.rows.edit(b.edit, i) = stored[T]{}
		c.names.remove(b.edit, hash, name)
	}
}

// find returns the resource of that name, or the zero T.
func (c *catalog[T]) find(seed maphash.Seed, name string) stored[T] {
	if i := c.number(seed, name); i != none {
		return *c.rows.at(i)
	}
	return stored[T]{}
}

// name returns what the key is called within its catalog.
func (k Key) name() string {
	if k.Directive == "" {
		return k.ID
	}
	return k.Directive + "/" + k.ID
}
