package policy_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// render writes a value in Go's way but without what is zero, so that a failing world can be read.
func render(v any) string {
	var b strings.Builder
	write(&b, reflect.ValueOf(v))
	return b.String()
}

func write(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			write(b, v.Elem())
		}
	case reflect.Struct:
		b.WriteString(v.Type().Name() + "{")
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				b.WriteString(v.Type().Field(i).Name + ":")
				write(b, v.Field(i))
				b.WriteByte(' ')
			}
		}
		b.WriteByte('}')
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			write(b, v.Index(i))
			b.WriteByte(' ')
		}
		b.WriteByte(']')
	default:
		writeValue(b, v)
	}
}

func writeValue(b *strings.Builder, v reflect.Value) {
	switch x := v.Interface().(type) {
	case policy.Instant:
		fmt.Fprint(b, shortInstant(x))
	case world:
		for _, k := range x.keys() {
			b.WriteString("\n\t")
			write(b, reflect.ValueOf(x[k]))
		}
	default:
		fmt.Fprintf(b, "%#v", x)
	}
}

func shortInstant(t policy.Instant) string {
	if !t.Finite() {
		return t.String()
	}
	return fmt.Sprint(int64(t))
}

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
	for shrunk := true; shrunk; {
		shrunk = false
		for smaller := range simpler(w, q) {
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

// simpler yields the worlds and queries that lack one thing.
func simpler(w world, q policy.Query) func(yield func(counterexample) bool) {
	return func(yield func(counterexample) bool) {
		for _, k := range slices.Backward(w.keys()) {
			c := maps.Clone(w)
			delete(c, k)
			if !yield(counterexample{c, q}) {
				return
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
