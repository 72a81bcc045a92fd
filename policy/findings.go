package policy

import (
	"cmp"
	"slices"
)

// sort is what a provision was found to do.
type sort uint8

const (
	bites     sort = iota // binding, and bites
	undecided             // binding, and whether it bites is unknown
	released              // binding, and released by a release
	advised               // advisory, and bites or might, or is released by a release
	sorts
)

// finding is a provision, and the release that releases it or none.
type finding struct{ provision, release int32 }

// inlineFindings is how many findings cost no allocation.
const inlineFindings = 8

// findings keeps what was found, by sort and then in the order of citations, and counts it. Of what bites or is
// undecided it keeps the first MaxCitations.
type findings struct {
	counts [sorts]int32 // all that were added
	kept   [sorts]int32
	inline [inlineFindings]finding
	more   []finding       // all kept, once they outgrow inline
	late   *[sorts]surplus // of what is kept whole, once that is more than MaxCitations
}

// surplus is what is kept whole, or what has come late of it: in no order and perhaps twice until it is settled.
type surplus []finding

// run is what is known of the findings that come out of one ordered list of provisions, by sort: that the last one kept
// of all is of this list, so that the next one follows it; that the list has come so far that the rest is only counted.
type run struct{ last, spent [undecided + 1]bool }

// add enters the finding unless it is there already. What bites or is undecided comes out of an ordered list, of which
// the run tells.
func (f *findings) add(s *Snapshot, does sort, x finding, from *run) {
	list, first := f.of(does)
	i := len(list)
	if does > undecided {
		if i == MaxCitations {
			f.addLate(does, x)
		} else if i = s.searchFindings(list, x); i >= 0 {
			f.counts[does]++
			f.insert(first+i, does, x)
		}
		return
	}
	f.counts[does]++
	if from.spent[does] {
		return
	}
	if !from.last[does] {
		i = s.searchFindings(list, x)
	}
	from.last[does] = i == len(list)
	from.spent[does] = i == MaxCitations
	switch {
	case i == MaxCitations:
	case len(list) == MaxCitations:
		copy(list[i+1:], list[i:])
		list[i] = x
	default:
		f.insert(first+i, does, x)
	}
}

func (f *findings) addLate(does sort, x finding) {
	if f.late == nil {
		f.late = new([sorts]surplus)
	}
	f.late[does] = append(f.late[does], x)
}

// settle puts what came late in its place. Nothing is added after it.
func (f *findings) settle(s *Snapshot) {
	if f.late == nil {
		return
	}
	for does := released; does < sorts; does++ {
		if whole := f.late[does]; whole != nil {
			kept, _ := f.of(does)
			whole = append(whole, kept...)
			slices.SortFunc(whole, s.compareFindings)
			f.late[does] = slices.Compact(whole)
			f.counts[does] = int32(len(f.late[does]))
		}
	}
}

// searchFindings returns where in the list the finding belongs, -1 if it is there already.
func (s *Snapshot) searchFindings(list []finding, x finding) int {
	for i := len(list); i > 0; i-- {
		switch c := s.compareFindings(list[i-1], x); {
		case c == 0:
			return -1
		case c < 0:
			return i
		}
	}
	return 0
}

func (f *findings) insert(i int, does sort, x finding) {
	n := f.size()
	if f.more == nil && n == inlineFindings {
		f.more = append(make([]finding, 0, 4*inlineFindings), f.inline[:]...)
	}
	if f.more != nil {
		f.more = append(f.more, finding{})
	}
	f.kept[does]++
	list := f.all()
	copy(list[i+1:], list[i:])
	list[i] = x
}

func (f *findings) size() int {
	return int(f.kept[bites] + f.kept[undecided] + f.kept[released] + f.kept[advised])
}

func (f *findings) all() []finding {
	if f.more != nil {
		return f.more
	}
	return f.inline[:f.size()]
}

// of returns what was kept of a sort, in the order of citations, and where that begins among all.
func (f *findings) of(x sort) (list []finding, first int) {
	for _, k := range f.kept[:x] {
		first += int(k)
	}
	return f.all()[first : first+int(f.kept[x])], first
}

// list returns what was kept of a sort, in the order of citations, once it is settled.
func (f *findings) list(x sort) []finding {
	if f.late != nil && f.late[x] != nil {
		return f.late[x]
	}
	list, _ := f.of(x)
	return list
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
