package policy_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// mostAttempts bounds the search for the least world.
const mostAttempts = 3000

// explain shows the least world found in which the engine still differs about q, written in one entry.
func explain(t testing.TB, w world, q policy.Query) string {
	differs := func(w world, q policy.Query) bool {
		snapshot, err := policy.New().Apply(1, changes(world{}, w))
		if err != nil {
			return false
		}
		want, wantExpired := newReference(w).answers(q)
		got, gotExpired := observe(snapshot, q)
		return !equal(got, want) || !equal(gotExpired, wantExpired)
	}
	if !differs(w, q) {
		return "It does not differ when the world is written in one entry:" + render(w)
	}
	attempts := 0
	for shrunk := true; shrunk; {
		shrunk = false
		for smaller := range simpler(w, q) {
			if attempts++; attempts > mostAttempts {
				break
			}
			if !smaller.world.dangling() && differs(smaller.world, smaller.query) {
				w, q, shrunk = smaller.world, smaller.query, true
				break
			}
		}
	}
	snapshot, err := policy.New().Apply(1, changes(world{}, w))
	if err != nil {
		t.Error(err)
	}
	want, wantExpired := newReference(w).answers(q)
	got, gotExpired := observe(snapshot, q)
	return fmt.Sprintf("The least world found:%s\nasked %s\n%s\nexpired:\n%s", render(w), render(q), difference(want, got), difference(wantExpired, gotExpired))
}

type counterexample struct {
	world world
	query policy.Query
}

// simpler yields worlds that lack many resources, then few, then worlds and queries in which one thing is simpler.
func simpler(w world, q policy.Query) func(yield func(counterexample) bool) {
	return func(yield func(counterexample) bool) {
		keys := w.keys()
		for size := (len(keys) + 1) / 2; size > 0; size /= 2 {
			for some := range slices.Chunk(keys, size) {
				if !yield(counterexample{w.lacking(some), q}) {
					return
				}
			}
		}
		for _, k := range w.keys() {
			for _, v := range lessOf(reflect.ValueOf(w[k]).Elem()) {
				p := reflect.New(v.Type())
				p.Elem().Set(v)
				r := p.Interface().(policy.Resource)
				if r.Key() == k && !yield(counterexample{w.with(r), q}) {
					return
				}
			}
		}
		for _, v := range lessOf(reflect.ValueOf(q)) {
			if !yield(counterexample{w, v.Interface().(policy.Query)}) {
				return
			}
		}
	}
}

// lacking is the world without the resources and without whatever names them.
func (w world) lacking(keys []policy.Key) world {
	c := maps.Clone(w)
	for _, k := range keys {
		delete(c, k)
	}
	for names := true; names; {
		names = false
		for k, r := range c {
			if slices.ContainsFunc(references(r), func(named policy.Key) bool { return c[named] == nil }) {
				delete(c, k)
				names = true
			}
		}
	}
	return c
}

// lessOf are the values that lack one element or field of v, or in which one is simpler.
func lessOf(v reflect.Value) []reflect.Value {
	var less []reflect.Value
	switch v.Kind() {
	case reflect.Struct:
		if w, ok := v.Interface().(policy.Window); ok {
			return lessOfWindow(w)
		}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name == "ID" || name == "Directive" {
				continue
			}
			for _, simpler := range lessOf(v.Field(i)) {
				c := reflect.New(v.Type()).Elem()
				c.Set(v)
				c.Field(i).Set(simpler)
				less = append(less, c)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			less = append(less, reflect.AppendSlice(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v.Slice(0, i)), v.Slice(i+1, v.Len())))
		}
		for i := range v.Len() {
			for _, simpler := range lessOf(v.Index(i)) {
				c := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v)
				c.Index(i).Set(simpler)
				less = append(less, c)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			c := reflect.MakeMap(v.Type())
			for _, other := range v.MapKeys() {
				if !other.Equal(key) {
					c.SetMapIndex(other, v.MapIndex(other))
				}
			}
			less = append(less, c)
		}
	case reflect.String, reflect.Bool, reflect.Pointer:
		if !v.IsZero() {
			less = append(less, reflect.Zero(v.Type()))
		}
	}
	return less
}

func lessOfWindow(w policy.Window) []reflect.Value {
	var less []reflect.Value
	for _, wider := range []policy.Window{{Start: policy.Beginning, End: w.End}, {Start: w.Start, End: policy.Forever}} {
		if wider != w {
			less = append(less, reflect.ValueOf(wider))
		}
	}
	return less
}
