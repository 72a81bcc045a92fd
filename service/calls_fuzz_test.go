package service_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// methods are all of ours, in the order of their names.
func methods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("teishi.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				all = append(all, f.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.MethodDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	return all
}

// FuzzCalls sends bytes to every method of a server whose record they may change, and looks for what it has no answer to: a message
// is answered or refused for a reason, and nothing that is received is our own fault.
func FuzzCalls(f *testing.F) {
	h := open(f)
	h.suspend()
	all := methods()
	for i, m := range all {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), filled(f, m.Input()))
	}
	f.Fuzz(func(t *testing.T, number uint8, b []byte) {
		m := all[int(number)%len(all)]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := h.sends(ctx, m, b)
		undecodable := proto.Unmarshal(b, dynamicpb.NewMessage(m.Input())) != nil
		switch code := status.Code(err); code {
		case codes.Unknown:
			t.Errorf("%s answers %x by %v", m.FullName(), b, err)
		case codes.Internal:
			if !undecodable {
				t.Errorf("%s answers %x by %v\n%s", m.FullName(), b, err, h.lines)
			}
		case codes.OK:
			if undecodable {
				t.Errorf("%s answers what is no message: %x", m.FullName(), b)
			}
		}
	})
}

// sends sends one message to a method, and receives what it answers: of a stream, the first message.
func (h *house) sends(ctx context.Context, m protoreflect.MethodDescriptor, b []byte) error {
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	out := dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		return h.conn.Invoke(ctx, name, b, out, rawBytes(b))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, name, rawBytes(b))
	if err != nil {
		return err
	}
	_ = stream.SendMsg(b) // whoever has ended the stream says why when asked for a message
	_ = stream.CloseSend()
	return stream.RecvMsg(out)
}

// filled is a message in which something stands in every field, two deep.
func filled(tb testing.TB, d protoreflect.MessageDescriptor) []byte {
	tb.Helper()
	m := dynamicpb.NewMessage(d)
	fill(m, 4)
	b, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func fill(m protoreflect.Message, deep int) {
	for i := range m.Descriptor().Fields().Len() {
		switch field := m.Descriptor().Fields().Get(i); {
		case field.IsMap():
		case field.Message() != nil && deep == 0:
		case field.IsList():
			list := m.Mutable(field).List()
			list.Append(something(field, list.NewElement(), deep))
		default:
			m.Set(field, something(field, m.NewField(field), deep))
		}
	}
}

// something is a value that a field may have.
func something(field protoreflect.FieldDescriptor, v protoreflect.Value, deep int) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.MessageKind:
		fill(v.Message(), deep-1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("mic")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("mic"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	}
	return v
}
