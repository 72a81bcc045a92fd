package policystore_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// A field that is not known is refused wherever it stands: in each message of each type that a payload can hold.
func TestCodecRefusesUnknownFields(t *testing.T) {
	seen := make(map[protoreflect.FullName]bool)
	payload := payloadOf(t, samples())
	count := 0
	eachMessage(payload.ProtoReflect(), func(m protoreflect.Message) {
		seen[m.Descriptor().FullName()] = true
		count++
		m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1999, protowire.VarintType), 1))
		defer m.SetUnknown(nil)
		for reader, err := range bothReaders(t, payload, m) {
			if f, ok := errors.AsType[*policystore.FormatError](err); !ok || !f.Unknown || !errors.Is(err, policystore.ErrFormat) {
				t.Errorf("%s with an unknown field from %s: %v, want ErrFormat", m.Descriptor().FullName(), reader, err)
			} else if !strings.Contains(f.Problem, "1999") {
				t.Errorf("%s with an unknown field from %s: %v does not name it", m.Descriptor().FullName(), reader, err)
			}
		}
	})
	for _, d := range reachable((&teishiv1.Changes{}).ProtoReflect().Descriptor()) {
		if !seen[d.FullName()] {
			t.Errorf("no sample holds a %s", d.FullName())
		}
	}
	t.Logf("%d messages of %d types", count, len(seen))
}

// A number that an enum does not have is refused wherever it stands.
func TestCodecRefusesUnknownEnumNumbers(t *testing.T) {
	seen := make(map[protoreflect.FullName]bool)
	payload := payloadOf(t, samples())
	eachMessage(payload.ProtoReflect(), func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if f.Enum() == nil {
				return true
			}
			seen[f.Enum().FullName()] = true
			m.Set(f, protoreflect.ValueOfEnum(99))
			defer m.Set(f, v)
			for reader, err := range bothReaders(t, payload, m) {
				if !errors.Is(err, policystore.ErrFormat) {
					t.Errorf("%s = 99 from %s: %v, want ErrFormat", f.FullName(), reader, err)
				}
			}
			return true
		})
	})
	for _, d := range reachable((&teishiv1.Changes{}).ProtoReflect().Descriptor()) {
		for i := range d.Fields().Len() {
			if e := d.Fields().Get(i).Enum(); e != nil && !seen[e.FullName()] {
				t.Errorf("no sample holds a %s", e.FullName())
			}
		}
	}
	t.Logf("%d enums", len(seen))
}

// bothReaders reads the payload's bytes as the log does, and, unless m only surrounds resources, its resources as requests
// are, and returns what each says.
func bothReaders(t *testing.T, payload *teishiv1.Changes, m protoreflect.Message) map[string]error {
	t.Helper()
	_, err := policystore.DecodeChanges(marshal(t, payload))
	errs := map[string]error{"the log": err}
	switch m.Interface().(type) {
	case *teishiv1.Changes, *teishiv1.Change, *teishiv1.ResourceKey:
		return errs
	}
	errs["a request"] = nil
	for _, c := range payload.Changes {
		if put := c.GetPut(); put != nil && errs["a request"] == nil {
			_, errs["a request"] = policystore.ResourceFromProto(put)
		}
	}
	return errs
}

func TestCodecRefuses(t *testing.T) {
	directive := func(change func(*teishiv1.Directive)) *teishiv1.Resource {
		d := policystore.DirectiveToProto(sampleDirective(), 0)
		change(d)
		return &teishiv1.Resource{Kind: &teishiv1.Resource_Directive{Directive: d}}
	}
	for where, m := range map[string]*teishiv1.Resource{
		"":                         {},
		"directive.effective_time": directive(func(d *teishiv1.Directive) { d.EffectiveTime.Nanos = 999 }),
		"directive.expire_time":    directive(func(d *teishiv1.Directive) { d.ExpireTime = &timestamppb.Timestamp{Seconds: 1 << 40} }),
		"directive.provisions[0].force": directive(func(d *teishiv1.Directive) {
			d.Provisions[0].Force = teishiv1.Force_FORCE_UNSPECIFIED
		}),
		"directive.carve_outs[0].kind": directive(func(d *teishiv1.Directive) {
			d.CarveOuts[0].Kind = teishiv1.ReleaseKind_RELEASE_KIND_LIFT
		}),
		"directive.carve_outs[0].directive": directive(func(d *teishiv1.Directive) { d.CarveOuts[0].Directive = "another" }),
		"directive.carve_outs[0].end_time":  directive(func(d *teishiv1.Directive) { d.CarveOuts[0].EndTime = d.EffectiveTime }),
		"directive.exemption_rules.approver": directive(func(d *teishiv1.Directive) {
			d.ExemptionRules.Approver = teishiv1.Approver_APPROVER_UNSPECIFIED
		}),
		"directive.exemption_rules.longest_duration": directive(func(d *teishiv1.Directive) {
			d.ExemptionRules.LongestDuration = &durationpb.Duration{Seconds: 1 << 40}
		}),
		"concern_state.state": {Kind: &teishiv1.Resource_ConcernState{ConcernState: &teishiv1.ConcernState{}}},
	} {
		_, err := policystore.ResourceFromProto(m)
		if f, ok := errors.AsType[*policystore.FormatError](err); !ok || f.Where != where || f.Unknown {
			t.Errorf("%q from a request: %v", where, err)
		}
		_, err = policystore.DecodeChanges(marshal(t, &teishiv1.Changes{Changes: []*teishiv1.Change{{Change: &teishiv1.Change_Put{Put: m}}}}))
		where = strings.TrimSuffix("changes[0].put."+where, ".")
		if f, ok := errors.AsType[*policystore.FormatError](err); !ok || f.Where != where || f.Unknown {
			t.Errorf("%q from the log: %v", where, err)
		}
	}
}

func TestDecodeRefusesRubbish(t *testing.T) {
	for name, payload := range map[string][]byte{
		"rubbish":          []byte("\xff\xff\xff"),
		"an empty change":  marshal(t, &teishiv1.Changes{Changes: []*teishiv1.Change{{}}}),
		"an unknown kind":  marshal(t, &teishiv1.Changes{Changes: []*teishiv1.Change{{Change: &teishiv1.Change_Delete{Delete: &teishiv1.ResourceKey{}}}}}),
		"a future change":  {0x0a, 0x02, 0x1a, 0x00},             // Change's field 3
		"a future kind":    {0x0a, 0x05, 0x0a, 0x03, 0x52, 0, 0}, // Resource's field 10, cut
		"a field of notes": {0x12, 0x00},                         // Changes' field 2
	} {
		if _, err := policystore.DecodeChanges(payload); !errors.Is(err, policystore.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func payloadOf(t *testing.T, resources []policy.Resource) *teishiv1.Changes {
	t.Helper()
	var changes []policy.Change
	for _, r := range resources {
		changes = append(changes, policy.Change{Put: r}, policy.Change{Delete: r.Key()})
	}
	payload, err := policystore.EncodeChanges(changes)
	if err != nil {
		t.Fatal(err)
	}
	m := &teishiv1.Changes{}
	if err := proto.Unmarshal(payload, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
