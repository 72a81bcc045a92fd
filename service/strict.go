package service

import (
	"fmt"
	"strconv"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// withinLimit refuses a message that is larger than its method takes.
func withinLimit(c *call, m proto.Message) error {
	if c.manner.limit == 0 {
		return nil
	}
	if size := sizeOf(m); size > c.manner.limit {
		return &messageSizeError{size: size, limit: c.manner.limit}
	}
	return nil
}

// sizeOf returns the size of a message in bytes. That of the question everybody waits for is a sum of what can be long in
// it: to measure it exactly would cost as much as to answer it.
func sizeOf(m proto.Message) int {
	q, ok := m.(*teishiv1.CheckRequest)
	if !ok {
		return proto.Size(m)
	}
	size := len(q.Organization) + len(q.App) + len(q.Purpose) + len(q.Language) + len(q.ProtoReflect().GetUnknown())
	for name, value := range q.Attributes {
		size += len(name) + len(value)
	}
	return size
}

// A messageSizeError says that a message is larger than its method takes.
type messageSizeError struct{ size, limit int } // bytes

func (e *messageSizeError) Error() string {
	return fmt.Sprintf("the message has %d bytes; this method takes %d", e.size, e.limit)
}

// An unknownError says that a message has a field or enum value that is not known here: its writer may mean more than we
// would do.
type unknownError struct{ Field, Problem string }

func (e *unknownError) Error() string { return e.Field + ": " + e.Problem }

// known refuses what is not known, at any depth of a message.
func known(c *call, m proto.Message) error {
	if c.manner.plain {
		return nil
	}
	if e := unknownIn(m.ProtoReflect()); e != nil {
		return e
	}
	return nil
}

// unknownIn returns the first unknown field or enum value of the message, nil if there is none.
func unknownIn(m protoreflect.Message) (found *unknownError) {
	if raw := m.GetUnknown(); len(raw) > 0 {
		number, _, _ := protowire.ConsumeTag(raw)
		return &unknownError{strconv.Itoa(int(number)), "this field is not known"}
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if found = unknownInField(field, value); found != nil {
			found.Field = join(string(field.Name()), found.Field)
		}
		return found == nil
	})
	return found
}

func unknownInField(field protoreflect.FieldDescriptor, value protoreflect.Value) (found *unknownError) {
	switch {
	case field.IsMap():
		value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			if found = unknownInValue(field.MapValue(), value); found != nil {
				found.Field = join("["+strconv.Quote(key.String())+"]", found.Field)
			}
			return found == nil
		})
	case field.IsList():
		for i := range value.List().Len() {
			if found = unknownInValue(field, value.List().Get(i)); found != nil {
				found.Field = join("["+strconv.Itoa(i)+"]", found.Field)
				return found
			}
		}
	default:
		return unknownInValue(field, value)
	}
	return found
}

func unknownInValue(field protoreflect.FieldDescriptor, value protoreflect.Value) *unknownError {
	switch {
	case field.Message() != nil:
		return unknownIn(value.Message())
	case field.Enum() != nil && field.Enum().Values().ByNumber(value.Enum()) == nil:
		return &unknownError{"", fmt.Sprintf("the value %d is not known", value.Enum())}
	}
	return nil
}

// join puts a field path beneath another: a, b give a.b, and a, [1] give a[1].
func join(above, below string) string {
	if above == "" || below == "" || below[0] == '[' {
		return above + below
	}
	return above + "." + below
}

// validator holds messages to the constraints of the protos. It is made when first needed: most calls ask questions.
type validator struct {
	once  sync.Once
	rules protovalidate.Validator
	err   error
}

func (v *validator) valid(c *call, m proto.Message) error {
	if c.manner.plain {
		return nil
	}
	v.once.Do(func() { v.rules, v.err = protovalidate.New() })
	if v.err != nil {
		return fmt.Errorf("make the validator: %w", v.err)
	}
	return v.rules.Validate(m)
}

// violationsOf returns what a message breaks, each a path and a problem.
func violationsOf(e *protovalidate.ValidationError) []violation {
	list := make([]violation, len(e.Violations))
	for i, v := range e.Violations {
		list[i] = violation{protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetMessage()}
	}
	return list
}
