package policy_test

import (
	"fmt"
	"reflect"
	"strings"

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
			if f := v.Field(i); !f.IsZero() && (f.Kind() != reflect.Slice || f.Len() > 0) {
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
