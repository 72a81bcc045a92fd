package policy_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// world is what a record says: its resources and nothing computed from them. Resources are never changed in place.
type world map[policy.Key]policy.Resource

func (w world) put(resources ...policy.Resource) {
	for _, r := range resources {
		w[r.Key()] = r
	}
}

// with is a copy of the world in which the resources are put.
func (w world) with(resources ...policy.Resource) world {
	c := maps.Clone(w)
	c.put(resources...)
	return c
}

// without is a copy of the world that lacks the directive and everything written under it.
func (w world) without(directive string) world {
	c := maps.Clone(w)
	maps.DeleteFunc(c, func(k policy.Key, r policy.Resource) bool {
		return k == policy.Key{Kind: policy.KindDirective, ID: directive} || k.Directive == directive
	})
	return c
}

func compareKeys(a, b policy.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Directive, b.Directive), strings.Compare(a.ID, b.ID))
}

func (w world) keys() []policy.Key { return slices.SortedFunc(maps.Keys(w), compareKeys) }

// all are the world's resources of one kind, in order.
func all[T policy.Resource](w world) []T {
	var list []T
	for _, r := range w {
		if t, ok := r.(T); ok {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b T) int { return compareKeys(a.Key(), b.Key()) })
	return list
}

func byID[T policy.Resource](w world) map[string]T {
	m := map[string]T{}
	for k, r := range w {
		if t, ok := r.(T); ok {
			m[k.ID] = t
		}
	}
	return m
}

func ids[T policy.Resource](w world) []string {
	var list []string
	for _, r := range all[T](w) {
		list = append(list, r.Key().ID)
	}
	return list
}

// changes lead from one world to another, in order of their keys.
func changes(from, to world) []policy.Change {
	var list []policy.Change
	for _, k := range from.with(slices.Collect(maps.Values(to))...).keys() {
		before, after := from[k], to[k]
		switch {
		case after == nil:
			list = append(list, policy.Change{Delete: k})
		case before != after:
			list = append(list, policy.Change{Put: after})
		}
	}
	return list
}

// references are the keys that a resource names and that must exist before it.
func references(r policy.Resource) []policy.Key {
	var keys []policy.Key
	name := func(kind policy.Kind, ids ...string) {
		for _, id := range ids {
			if id != "" {
				keys = append(keys, policy.Key{Kind: kind, ID: id})
			}
		}
	}
	selector := func(s policy.Selector) {
		name(policy.KindOrganization, s.Organizations.In...)
		name(policy.KindOrganization, s.Organizations.Out...)
		for _, t := range slices.Concat(s.Targets.In, s.Targets.Out) {
			name(policy.KindApp, t.App)
			name(policy.KindVendor, t.Vendor)
		}
		name(policy.KindPurpose, s.Purposes.In...)
		name(policy.KindPurpose, s.Purposes.Out...)
		for _, c := range s.Conditions {
			name(policy.KindAttribute, c.Attribute)
		}
	}
	release := func(r policy.Release) {
		name(policy.KindDirective, r.Instrument)
		selector(r.Selector)
	}
	periods := func(list []policy.VendorPeriod) {
		for _, p := range list {
			name(policy.KindVendor, p.Vendor)
		}
	}
	switch r := r.(type) {
	case *policy.Purpose:
		name(policy.KindPurpose, above(r.ID))
	case *policy.Organization:
		name(policy.KindOrganization, r.Parent)
	case *policy.Vendor:
		periods(r.Parents)
	case *policy.App:
		periods(r.Ownerships)
	case *policy.Directive:
		name(policy.KindOrganization, r.Authority)
		name(policy.KindDirective, r.Supersedes...)
		for _, p := range r.Provisions {
			selector(p.Selector)
		}
		for _, c := range r.CarveOuts {
			release(c)
		}
	case *policy.Release:
		name(policy.KindDirective, r.Directive)
		release(*r)
	default:
		name(policy.KindDirective, r.Key().Directive)
	}
	return slices.DeleteFunc(keys, func(k policy.Key) bool { return k == r.Key() })
}

// dangling reports whether something names what does not exist.
func (w world) dangling() bool {
	for _, r := range w {
		for _, k := range references(r) {
			if w[k] == nil {
				return true
			}
		}
		if release, ok := r.(*policy.Release); ok && !w.provisionsExist(release) {
			return true
		}
	}
	return false
}

func (w world) provisionsExist(r *policy.Release) bool {
	d := w[policy.Key{Kind: policy.KindDirective, ID: r.Directive}].(*policy.Directive)
	for _, id := range r.Provisions {
		if !slices.ContainsFunc(d.Provisions, func(p policy.Provision) bool { return p.ID == id }) {
			return false
		}
	}
	return true
}

// record is a world with the snapshot that it was folded into.
type record struct {
	world     world
	snapshot  *policy.Snapshot
	revisions map[policy.Key]policy.Revision // at which each resource last changed
}

func newRecord() record {
	return record{world{}, policy.New(), map[policy.Key]policy.Revision{}}
}

// then is the record after one more entry, which leads to the world given.
func (r record) then(t testing.TB, d *dice, to world) record {
	t.Helper()
	entry := changes(r.world, to)
	shuffle(d, entry)
	rev := r.snapshot.Revision() + 1
	snapshot, err := r.snapshot.Apply(rev, entry)
	if err != nil {
		t.Fatalf("Apply(%d, %s) = %v", rev, render(entry), err)
	}
	revisions := maps.Clone(r.revisions)
	for _, c := range entry {
		revisions[c.Key()] = rev
		if c.Put == nil {
			delete(revisions, c.Key())
		}
	}
	return record{to, snapshot, revisions}
}

// fold writes a world in one entry.
func fold(t testing.TB, d *dice, w world) record {
	t.Helper()
	return newRecord().then(t, d, w)
}

// foldPiecemeal writes a world in several entries, in any order in which nothing is named before it exists.
func foldPiecemeal(t testing.TB, d *dice, w world) record {
	t.Helper()
	r := newRecord()
	keys := w.keys()
	shuffle(d, keys)
	next := world{}
	var add func(k policy.Key)
	add = func(k policy.Key) {
		if next[k] != nil {
			return
		}
		next[k] = w[k] // before what it names, for vendors may own each other in turn
		for _, named := range references(w[k]) {
			add(named)
		}
	}
	size := 1 + d.IntN(max(12, len(w)/10))
	for _, k := range keys {
		add(k)
		if len(next)-len(r.world) >= size {
			r = r.then(t, d, maps.Clone(next))
		}
	}
	return r.then(t, d, next)
}

// load reads the record back as a checkpoint would.
func (r record) load(t testing.TB) record {
	t.Helper()
	snapshot, err := policy.Load(r.snapshot.Revision(), func(yield func(policy.Resource, policy.Revision) bool) {
		for _, k := range r.world.keys() {
			if !yield(r.world[k], r.revisions[k]) {
				return
			}
		}
	})
	if err != nil {
		t.Fatalf("Load(%d, %s) = %v", r.snapshot.Revision(), render(r.world), err)
	}
	return record{r.world, snapshot, r.revisions}
}
