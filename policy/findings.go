package policy

import "cmp"

// finding is a provision, and the release that releases it or none.
type finding struct{ provision, release int32 }

// everyFinding is the bound of findings that may not be cut short.
const everyFinding = 1 << 30

// inlineFindings is how many findings of a sort cost no allocation.
const inlineFindings = 8

// findings keeps the first of what it is given, in the order of citations, and counts all.
type findings struct {
	n      int // all that were added
	kept   int
	inline [inlineFindings]finding
	more   []finding // all kept, once they outgrow inline
}

// listState says of a list of provisions, which is in the order of citations, that the rest of it is only to be counted.
type listState struct{ bites, undecided bool }

// add enters the finding unless it is there already, and keeps the first limit of them. Where full is given, the
// finding comes from an ordered list and is distinct: once one of the list is too late to be kept, so is the rest.
func (f *findings) add(s *Snapshot, x finding, limit int, full *bool) {
	if full != nil {
		f.n++
		if *full {
			return
		}
	}
	list := f.list()
	i := len(list)
	for ; i > 0; i-- {
		c := s.compareFindings(list[i-1], x)
		if c == 0 {
			return
		}
		if c < 0 {
			break
		}
	}
	if full == nil {
		f.n++
	}
	if i == limit {
		*full = true
		return
	}
	f.insert(i, x, limit)
}

func (f *findings) insert(i int, x finding, limit int) {
	if f.more == nil && f.kept == inlineFindings {
		f.more = append(make([]finding, 0, 4*inlineFindings), f.inline[:]...)
	}
	if f.kept < limit {
		if f.more != nil {
			f.more = append(f.more, finding{})
		}
		f.kept++
	}
	list := f.list()
	copy(list[i+1:], list[i:])
	list[i] = x
}

// list returns what was kept, in order.
func (f *findings) list() []finding {
	if f.more != nil {
		return f.more
	}
	return f.inline[:f.kept]
}

// compareFindings orders findings as citations are: by directive, provision and release id, none first.
func (s *Snapshot) compareFindings(a, b finding) int {
	if c := s.compareProvisions(a.provision, b.provision); c != 0 || a.release == b.release {
		return c
	}
	return cmp.Compare(s.releaseID(a.release), s.releaseID(b.release))
}

func (s *Snapshot) releaseID(row int32) string {
	if row == none {
		return ""
	}
	return s.holes.at(row).release.ID
}
