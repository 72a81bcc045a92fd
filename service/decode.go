package service

import (
	"unicode/utf8"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// codec is that of gRPC, but that it decodes questions by hand as long as they hold nothing out of the ordinary. The
// library makes a map by reflection, at a dozen allocations for two attributes, which is most of what is left to save in
// a Check and more than half of a decision in a batch. Here all strings of a message are parts of one.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Unmarshal leaves to the library every message that is no question, and whatever of a question is out of the ordinary.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	var decode func(d *decoder) bool
	switch m := v.(type) {
	case *teishiv1.CheckRequest:
		decode = func(d *decoder) bool { return d.check(m) }
	case *teishiv1.BatchCheckRequest:
		decode = func(d *decoder) bool { return d.batch(m) }
	default:
		return c.CodecV2.Unmarshal(data, v)
	}
	if decode(&decoder{rest: flat(data)}) {
		return nil
	}
	proto.Reset(v.(proto.Message))
	return c.CodecV2.Unmarshal(data, v)
}

// flat returns the data as one string.
func flat(data mem.BufferSlice) string {
	if len(data) == 1 {
		return string(data[0].ReadOnlyData())
	}
	return string(data.Materialize())
}

// decoder reads fields off the front of a message. Whatever it does not expect makes it give up.
type decoder struct{ rest string }

// varint reads a varint.
func (d *decoder) varint() (uint64, bool) {
	var v uint64
	for i := 0; i < len(d.rest) && i < 10; i++ {
		b := d.rest[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.rest = d.rest[i+1:]
			return v, i < 9 || b < 2
		}
	}
	return 0, false
}

// tag reads the number and the type of a field.
func (d *decoder) tag() (protowire.Number, protowire.Type, bool) {
	v, ok := d.varint()
	number, kind := protowire.DecodeTag(v)
	return number, kind, ok && number > 0
}

// bytes reads a field of bytes.
func (d *decoder) bytes() (string, bool) {
	n, ok := d.varint()
	if !ok || n > uint64(len(d.rest)) {
		return "", false
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b, true
}

// text reads a string.
func (d *decoder) text(to *string) (ok bool) {
	*to, ok = d.bytes()
	return ok && utf8.ValidString(*to)
}

// attribute reads an entry of a map.
func (d *decoder) attribute(to *map[string]string) bool {
	b, ok := d.bytes()
	if !ok {
		return false
	}
	entry := decoder{rest: b}
	var name, value string
	for entry.rest != "" {
		number, kind, ok := entry.tag()
		switch {
		case !ok || kind != protowire.BytesType:
			return false
		case number == 1:
			ok = entry.text(&name)
		case number == 2:
			ok = entry.text(&value)
		default:
			return false
		}
		if !ok {
			return false
		}
	}
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[name] = value
	return true
}

// question reads the field of that number, if it is one that all questions have.
func (d *decoder) question(number protowire.Number, organization, app, purpose *string, attributes *map[string]string) bool {
	switch number {
	case 1:
		return d.text(organization)
	case 2:
		return d.text(app)
	case 3:
		return d.text(purpose)
	case 4:
		return d.attribute(attributes)
	}
	return false
}

// check reads a question that asks for now and is not explained.
func (d *decoder) check(m *teishiv1.CheckRequest) bool {
	for d.rest != "" {
		number, kind, ok := d.tag()
		switch {
		case !ok:
			return false
		case kind == protowire.BytesType && number < 5:
			ok = d.question(number, &m.Organization, &m.App, &m.Purpose, &m.Attributes)
		default:
			ok = d.term(number, kind, &m.MinRevision, &m.Epoch, &m.Language)
		}
		if !ok {
			return false
		}
	}
	return true
}

// term reads the field of that number, if it is one of those that ordinary questions and batches have beside the question.
func (d *decoder) term(number protowire.Number, kind protowire.Type, minRevision, epoch *int64, language *string) bool {
	switch {
	case kind == protowire.VarintType && number == 6:
		return d.integer(minRevision)
	case kind == protowire.VarintType && number == 7:
		return d.integer(epoch)
	case kind == protowire.BytesType && number == 12:
		return d.text(language)
	}
	return false
}

func (d *decoder) integer(to *int64) bool {
	v, ok := d.varint()
	*to = int64(v)
	return ok
}

// batch reads questions that are asked for now and are not explained.
func (d *decoder) batch(m *teishiv1.BatchCheckRequest) bool {
	n, ok := decoder{rest: d.rest}.count()
	if !ok {
		return false
	}
	if n > maxQueries { // it will be refused for that: only their number matters, and memory is spared
		m.Queries = make([]*teishiv1.Query, n)
		return true
	}
	memory := make([]teishiv1.Query, n)
	m.Queries = make([]*teishiv1.Query, 0, n)
	for d.rest != "" {
		number, kind, _ := d.tag()
		switch {
		case kind == protowire.BytesType && number == 1:
			q := &memory[len(m.Queries)]
			m.Queries = append(m.Queries, q)
			ok = d.query(q)
		default:
			ok = d.term(number, kind, &m.MinRevision, &m.Epoch, &m.Language)
		}
		if !ok {
			return false
		}
	}
	return true
}

// count returns how many questions a batch has.
func (d decoder) count() (n int, ok bool) {
	for d.rest != "" {
		number, kind, ok := d.tag()
		switch {
		case !ok:
			return 0, false
		case kind == protowire.BytesType:
			_, ok = d.bytes()
		case kind == protowire.VarintType:
			_, ok = d.varint()
		default:
			return 0, false
		}
		if !ok {
			return 0, false
		}
		if number == 1 {
			n++
		}
	}
	return n, true
}

func (d *decoder) query(m *teishiv1.Query) bool {
	b, ok := d.bytes()
	if !ok {
		return false
	}
	q := decoder{rest: b}
	for q.rest != "" {
		number, kind, ok := q.tag()
		if !ok || kind != protowire.BytesType || !q.question(number, &m.Organization, &m.App, &m.Purpose, &m.Attributes) {
			return false
		}
	}
	return true
}
