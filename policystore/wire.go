package policystore

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/teishi-dev/teishi/policy"
)

// What is in the log is decoded from its bytes, in files wire_*.go, without a message in between: a start from a checkpoint
// decodes some 200,000 resources, and here every reader refuses a field that it does not name, so that nothing is ever
// skipped. Requests come through the codec instead, in files codec_*.go.

// wire reads one marshalled message, field by field. What it reads shares the memory of the string.
//
//	w := wire{rest: s}
//	for w.next() {
//		switch w.field {
//		case 1:
//			o.ID = w.text()
//		default:
//			w.unknown()
//		}
//	}
//	return o, w.err
type wire struct {
	rest   string
	field  int    // the number of the field read
	number uint64 // its value, if it is a varint
	data   string // its value, if it is of any length
	isData bool
	seen   uint64 // a bit for each field that may come once and did
	err    error  // the first; nothing is read after it
}

// next reads the next field and reports whether there is one.
func (w *wire) next() bool {
	if w.err != nil || w.rest == "" {
		return false
	}
	tag := w.varint()
	w.field = int(tag >> 3)
	switch protowire.Type(tag & 7) {
	case protowire.VarintType:
		w.number, w.isData = w.varint(), false
	case protowire.BytesType:
		n := w.varint()
		if n > uint64(len(w.rest)) {
			w.fail("is cut short")
			return false
		}
		w.data, w.rest, w.isData = w.rest[:n], w.rest[n:], true
	default:
		w.unknown()
	}
	return w.err == nil
}

func (w *wire) varint() uint64 {
	var v uint64
	for i := 0; i < len(w.rest) && i < 10; i++ {
		b := w.rest[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 && (i < 9 || b <= 1) {
			w.rest = w.rest[i+1:]
			return v
		}
	}
	w.fail("has a number that does not end")
	return 0
}

func (w *wire) fail(problem string) {
	if w.err == nil {
		w.err = &FormatError{Problem: problem}
	}
}

// unknown refuses the field.
func (w *wire) unknown() {
	if w.err == nil {
		w.err = &FormatError{Problem: fmt.Sprintf("field %d is not known", w.field), Unknown: true}
	}
}

// once refuses a field that came before: nobody writes that, and not everybody reads it alike.
func (w *wire) once() {
	if w.seen&(1<<w.field) != 0 {
		w.fail(fmt.Sprintf("field %d is repeated", w.field))
	}
	w.seen |= 1 << w.field
}

// bytes returns the value of a field of any length.
func (w *wire) bytes() string {
	if !w.isData {
		w.fail(fmt.Sprintf("field %d is of another type", w.field))
		return ""
	}
	return w.data
}

// text returns the value of a string field.
func (w *wire) text() string {
	w.once()
	return w.utf8()
}

func (w *wire) utf8() string {
	s := w.bytes()
	if !utf8.ValidString(s) {
		w.fail(fmt.Sprintf("field %d is not UTF-8", w.field))
	}
	return s
}

func (w *wire) integer() int64 {
	w.once()
	if w.isData {
		w.fail(fmt.Sprintf("field %d is of another type", w.field))
	}
	return int64(w.number)
}

// count returns the value of a field of 32 bits.
func (w *wire) count() int {
	number := w.integer()
	if int64(int32(number)) != number {
		w.fail(fmt.Sprintf("field %d has more than 32 bits", w.field))
	}
	return int(number)
}

func (w *wire) flag() bool { return w.integer() != 0 }

// texts adds to a repeated string.
func (w *wire) texts(to *[]string) { *to = append(*to, w.utf8()) }

// pair adds to a map of strings.
func (w *wire) pair(field string, to *map[string]string) {
	key, value := w.entry(field)
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[key] = value
}

// wording adds to a text by language.
func (w *wire) wording(field string, to *policy.Text) {
	language, text := w.entry(field)
	*to = to.With(language, text)
}

// entry reads an entry of a map of strings.
func (w *wire) entry(field string) (key, value string) {
	entry := wire{rest: w.bytes()}
	for entry.next() {
		switch entry.field {
		case 1:
			key = entry.text()
		case 2:
			value = entry.text()
		default:
			entry.unknown()
		}
	}
	if entry.err != nil {
		w.absorb(within(field+"["+key+"]", entry.err))
	}
	return key, value
}

// absorb takes an error found in a field.
func (w *wire) absorb(err error) {
	if w.err == nil {
		w.err = err
	}
}

// parts reads two integers, as timestamps and durations have them.
func (w *wire) parts(field string) (seconds, nanos int64) {
	w.once()
	m := wire{rest: w.bytes()}
	for m.next() {
		switch m.field {
		case 1:
			seconds = m.integer()
		case 2:
			if nanos = m.integer(); int64(int32(nanos)) != nanos {
				m.fail("nanos are no 32-bit number")
			}
		default:
			m.unknown()
		}
	}
	w.absorb(within(field, m.err))
	return seconds, nanos
}

func (w *wire) instant(field string, to *policy.Instant) {
	seconds, nanos := w.parts(field)
	var err error
	*to, err = instant(seconds, nanos)
	w.absorb(within(field, err))
}

// message reads a field that is a message.
func message[T any](w *wire, field string, to *T, read func(string) (T, error)) {
	w.once()
	var err error
	*to, err = read(w.bytes())
	w.absorb(within(field, err))
}

// item adds to a repeated message.
func item[T any](w *wire, field string, to *[]T, read func(string) (T, error)) {
	v, err := read(w.bytes())
	if err != nil {
		w.absorb(within(field+"["+strconv.Itoa(len(*to))+"]", err))
		return
	}
	*to = append(*to, v)
}

// value reads an enum.
func value[E ~int32, T any](w *wire, to *T, from func(E) (T, error)) {
	var err error
	number := w.integer()
	if int64(E(number)) != number {
		w.fail(fmt.Sprintf("field %d is no value of an enum", w.field))
		return
	}
	*to, err = from(E(number))
	w.absorb(err)
}
