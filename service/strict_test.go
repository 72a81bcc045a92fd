package service_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// foreign is a message with something that is not known in it, and the path of that.
type foreign struct {
	message protoreflect.Message
	path    string
}

var unknownBytes = protowire.AppendString(protowire.AppendTag(nil, 999, protowire.BytesType), "from the future")

// foreigners returns the message with an unknown field, and with an unknown field or enum value at every place beneath it.
func foreigners(md protoreflect.MessageDescriptor) []foreign {
	m := dynamicpb.NewMessage(md)
	m.SetUnknown(unknownBytes)
	list := []foreign{{m, "999"}}
	for i := range md.Fields().Len() {
		list = append(list, foreignersIn(md, md.Fields().Get(i))...)
	}
	return list
}

func foreignersIn(md protoreflect.MessageDescriptor, field protoreflect.FieldDescriptor) (list []foreign) {
	within := func(value protoreflect.Value, path string) {
		m := dynamicpb.NewMessage(md)
		if field.IsList() {
			m.Mutable(field).List().Append(value)
			path = join("[0]", path)
		} else {
			m.Set(field, value)
		}
		list = append(list, foreign{m, join(string(field.Name()), path)})
	}
	switch {
	case field.IsMap():
	case field.Message() != nil:
		for _, f := range foreigners(field.Message()) {
			within(protoreflect.ValueOfMessage(f.message), f.path)
		}
	case field.Enum() != nil:
		within(protoreflect.ValueOfEnum(99), "")
	}
	return list
}

func join(above, below string) string {
	if below == "" || below[0] == '[' {
		return above + below
	}
	return above + "." + below
}

// TestUnknown sends what is not known, at every depth of every request that is not a question, as raw bytes.
func TestUnknown(t *testing.T) {
	h := open(t)
	sent := 0
	h.unchanged(func() {
		for _, service := range []string{"RegistryService", "DirectiveService", "AuditService"} {
			methods := teishiv1.File_teishi_v1_registry_proto.Services().ByName(protoreflect.Name(service))
			for _, file := range []protoreflect.FileDescriptor{teishiv1.File_teishi_v1_directive_proto, teishiv1.File_teishi_v1_audit_proto} {
				if methods == nil {
					methods = file.Services().ByName(protoreflect.Name(service))
				}
			}
			for i := range methods.Methods().Len() {
				sent += h.sendForeigners(methods.Methods().Get(i))
			}
		}
	})
	t.Logf("%d requests", sent)
	if sent < 200 {
		t.Errorf("%d requests were sent, want more", sent)
	}
}

func (h *house) sendForeigners(method protoreflect.MethodDescriptor) (sent int) {
	h.t.Helper()
	full := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	for _, f := range foreigners(method.Input()) {
		b, err := proto.Marshal(f.message.Interface())
		h.must(err)
		err = h.send(full, method.IsStreamingClient(), b)
		unknownField(f.path).check(h.t, strings.TrimPrefix(full, "/teishi.v1.")+" "+f.path, err)
		sent++
	}
	return sent
}

// send calls a method with the bytes, after the write fields if it is an import.
func (h *house) send(method string, imports bool, b []byte) error {
	if !imports {
		return h.conn.Invoke(h.t.Context(), method, &teishiv1.CheckRequest{}, &teishiv1.CheckResponse{}, rawBytes(b))
	}
	stream, err := h.registry.Import(h.t.Context(), rawBytes(b))
	h.must(err)
	if err := stream.Send(&teishiv1.ImportRequest{}); err != nil {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}
