package teishiv1_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "github.com/teishi-dev/teishi/api/teishi/v1" // registers the messages
)

// TestEveryRuleRefusesABadValue puts each value of badValues into an otherwise good message, sees it refused at its field by
// its rule, and then asks that no rule of the protos went without.
func TestEveryRuleRefusesABadValue(t *testing.T) {
	refused := map[string]bool{}
	for _, bad := range badValues {
		for _, field := range strings.Fields(bad.fields) {
			for _, value := range bad.values {
				checkRefused(t, bad, field, value)
			}
			refused[field+": "+bad.rule] = true
		}
	}
	rules := declaredRules()
	for _, rule := range rules {
		if !refused[rule] {
			t.Errorf("no bad value for %s", rule)
		}
	}
	t.Logf("%d rules", len(rules))
}

// checkRefused checks that value is refused in field where and by what bad says, and that nothing else is.
func checkRefused(t *testing.T, bad badValue, field, value string) {
	t.Helper()
	got, want := violations(t, withValue(t, field, value)), violation{fieldName(field) + bad.at, bad.rule}
	if !slices.Contains(got, want) {
		t.Errorf("%s = %.60s: refused for %v, want %v", field, value, got, want)
	}
	for _, v := range got {
		if !strings.HasPrefix(v.path, fieldName(field)) {
			t.Errorf("%s = %.60s: refused for %v too", field, value, v)
		}
	}
}

func TestGoodMessagesAreNotRefused(t *testing.T) {
	for _, md := range ourMessages() {
		if len(messageRules(md)) == 0 {
			continue
		}
		text, ok := goodMessages[string(md.Name())]
		if !ok {
			t.Errorf("no good message for %s", md.Name())
			continue
		}
		if got := violations(t, fromText(t, md, text)); got != nil {
			t.Errorf("%s {%s}: refused for %v", md.Name(), text, got)
		}
	}
}

func TestEdgeValuesAreNotRefused(t *testing.T) {
	for _, edge := range edgeValues {
		for _, field := range strings.Fields(edge.fields) {
			for _, value := range edge.values {
				if got := violations(t, withValue(t, field, value)); got != nil {
					t.Errorf("%s = %.60s: refused for %v", field, value, got)
				}
			}
		}
	}
}

// TestRefusalNamesThePath looks at a fault deep inside a request, where the path has to lead an administrator.
func TestRefusalNamesThePath(t *testing.T) {
	request := fromText(t, messageNamed(t, "IssueDirectiveRequest"), `reason: "r" directive { `+goodDirective+`
		provisions { id: "b" force: FORCE_ADVISORY selector { targets { in { app: "line" } in { country: "kr" } } } } }`)
	want := []violation{{"directive.provisions[1].selector.targets.in[1].country", "string.pattern"}}
	if got := violations(t, request); !slices.Equal(got, want) {
		t.Errorf("refused for %v, want %v", got, want)
	}
}

// declaredRules returns every rule of the protos as `Message.field: rule`, such as `Vendor.names: map.keys.string.pattern`.
func declaredRules() []string {
	var rules []string
	for _, md := range ourMessages() {
		rules = append(rules, messageRules(md)...)
	}
	return rules
}

func messageRules(md protoreflect.MessageDescriptor) []string {
	var rules []string
	own := proto.GetExtension(md.Options(), validate.E_Message).(*validate.MessageRules)
	for _, cel := range own.GetCel() {
		rules = append(rules, fmt.Sprintf("%s.: %s", md.Name(), cel.GetId()))
	}
	for i := range md.Oneofs().Len() {
		oneof := md.Oneofs().Get(i)
		if proto.GetExtension(oneof.Options(), validate.E_Oneof).(*validate.OneofRules).GetRequired() {
			rules = append(rules, fmt.Sprintf("%s.%s: required", md.Name(), oneof.Name()))
		}
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		for _, rule := range fieldRules("", proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)) {
			rules = append(rules, fmt.Sprintf("%s.%s: %s", md.Name(), fd.Name(), rule))
		}
	}
	return rules
}

// fieldRules returns the rules set in rules, each with what it is inside of: `repeated.items.string.pattern`.
func fieldRules(inside string, rules *validate.FieldRules) []string {
	var names []string
	rules.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case fd.Name() == "ignore":
		case fd.Message() == nil:
			names = append(names, inside+string(fd.Name()))
		case fd.IsList():
			panic("a rule of a kind that this test does not know: " + fd.FullName())
		default:
			names = append(names, typeRules(inside+string(fd.Name())+".", value.Message())...)
		}
		return true
	})
	return names
}

func typeRules(inside string, rules protoreflect.Message) []string {
	var names []string
	span := inside == "timestamp." || inside == "duration." || inside == "int32." && rules.Has(rules.Descriptor().Fields().ByName("lte"))
	rules.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		nested, isNested := value.Interface().(protoreflect.Message)
		switch {
		case isNested && nested.Descriptor().Name() == "FieldRules":
			names = append(names, fieldRules(inside+string(fd.Name())+".", nested.Interface().(*validate.FieldRules))...)
		case span && fd.Name() == "lte": // reported together with gte
		case span && fd.Name() == "gte":
			names = append(names, inside+"gte_lte")
		default:
			names = append(names, inside+string(fd.Name()))
		}
		return true
	})
	return names
}

type violation struct{ path, rule string }

// violations validates message, and names rules as declaredRules does.
func violations(t *testing.T, message proto.Message) []violation {
	t.Helper()
	err := protovalidate.Validate(message)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		t.Fatal(err)
	}
	var found []violation
	for _, v := range invalid.Violations {
		rule := protovalidate.FieldPathString(v.Proto.GetRule())
		inside := ""
		for _, container := range []string{"repeated.items.", "map.keys.", "map.values."} {
			if strings.HasPrefix(rule, container) {
				inside = container
			}
		}
		found = append(found, violation{protovalidate.FieldPathString(v.Proto.GetField()), inside + v.Proto.GetRuleId()})
	}
	return found
}

// withValue returns the good message of field, written `Message.field`, with value, in text format, in its place. No field
// means the whole message.
func withValue(t *testing.T, field, value string) proto.Message {
	t.Helper()
	name, _, _ := strings.Cut(field, ".")
	md := messageNamed(t, name)
	fd := md.Fields().ByName(protoreflect.Name(fieldName(field)))
	if fd == nil {
		return fromText(t, md, value)
	}
	message := fromText(t, md, goodMessages[name])
	message.ProtoReflect().Clear(fd)
	if value != absent {
		proto.Merge(message, fromText(t, md, fieldName(field)+": "+value))
	}
	return message
}

func fieldName(field string) string {
	_, name, _ := strings.Cut(field, ".")
	return name
}

func fromText(t *testing.T, md protoreflect.MessageDescriptor, text string) proto.Message {
	t.Helper()
	message := dynamicpb.NewMessage(md)
	if err := prototext.Unmarshal([]byte(text), message); err != nil {
		t.Fatalf("%s: %v", md.Name(), err)
	}
	return message
}

func messageNamed(t *testing.T, name string) protoreflect.MessageDescriptor {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("teishi.v1." + name))
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MessageDescriptor)
}

// ourMessages returns every message of the package but map entries, ordered by name.
func ourMessages() []protoreflect.MessageDescriptor {
	var all []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("teishi.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Messages().Len() {
			all = append(all, file.Messages().Get(i))
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.MessageDescriptor) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	return all
}
