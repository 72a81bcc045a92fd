package policy

import "unsafe"

// An edit is the identity of one Apply: what carries it was made by that Apply and may still be written by it.
// What carries another's is shared with older snapshots and is copied first.
type edit struct{ made int } // bytes that are not shared

const (
	pageBits = 6
	pageSize = 1 << pageBits
)

type page[T any] struct {
	owner *edit
	rows  [pageSize]T
}

// paged is a persistent vector: a directory of pages of which an edit copies only those it writes.
// The zero value is empty. Copying the struct forks it.
type paged[T any] struct {
	pages []*page[T]
	owner *edit // of the directory
	n     int32
}

// at returns row i, to be read only.
func (p *paged[T]) at(i int32) *T {
	return &p.pages[i>>pageBits].rows[i&(pageSize-1)]
}

// edit returns row i, to be written by e.
func (p *paged[T]) edit(e *edit, i int32) *T {
	old := p.pages[i>>pageBits]
	if old.owner != e {
		p.own(e)
		e.made += int(unsafe.Sizeof(*old))
		fresh := &page[T]{owner: e, rows: old.rows}
		p.pages[i>>pageBits] = fresh
		old = fresh
	}
	return &old.rows[i&(pageSize-1)]
}

// grow appends a zero row and returns its number.
func (p *paged[T]) grow(e *edit) int32 {
	i := p.n
	if i&(pageSize-1) == 0 {
		p.own(e)
		fresh := &page[T]{owner: e}
		e.made += int(unsafe.Sizeof(*fresh))
		p.pages = append(p.pages, fresh)
	}
	p.n++
	return i
}

// own makes the directory e's to write.
func (p *paged[T]) own(e *edit) {
	if p.owner != e {
		p.pages = append(make([]*page[T], 0, len(p.pages)+1), p.pages...)
		e.made += cap(p.pages) * int(unsafe.Sizeof(p.pages[0]))
		p.owner = e
	}
}
