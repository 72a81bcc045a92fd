package policystore_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Output-only fields, which are no part of a resource.
func outputOnly(f protoreflect.FieldDescriptor) bool {
	switch f.FullName() {
	case "teishi.v1.Obligation.directive", "teishi.v1.Obligation.release":
		return true
	}
	return f.Name() == "revision" && f.ContainingMessage().Name() != "AdoptedFrom"
}

// What there is goes through the messages and back unchanged, through the bytes too; and nothing in the samples is left
// zero, so a field that somebody adds and does not convert fails here.
func TestCodecRoundTrip(t *testing.T) {
	for _, want := range samples() {
		t.Run(want.Key().Kind.String(), func(t *testing.T) {
			wantNoZero(t, reflect.ValueOf(want).Elem(), reflect.TypeOf(want).Elem().Name())
			m := policystore.ResourceToProto(want, 0)
			got, err := policystore.ResourceFromProto(m)
			if err != nil {
				t.Fatalf("ResourceFromProto = %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("policy, message, policy (-want +got):\n%s", diff)
			}
			payload, err := policystore.EncodeChanges([]policy.Change{{Put: want}})
			if err != nil {
				t.Fatal(err)
			}
			changes, err := policystore.DecodeChanges(payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]policy.Change{{Put: want}}, changes); diff != "" {
				t.Errorf("policy, bytes, policy (-want +got):\n%s", diff)
			}
		})
	}
}

// Every field of the messages is set by some sample, but those for output only, which never enter a payload.
func TestCodecSetsEveryField(t *testing.T) {
	set := make(map[protoreflect.FullName]bool)
	for _, r := range samples() {
		eachMessage(policystore.ResourceToProto(r, 0).ProtoReflect(), func(m protoreflect.Message) {
			m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
				set[f.FullName()] = true
				if outputOnly(f) {
					t.Errorf("%s is set in a payload", f.FullName())
				}
				return true
			})
		})
	}
	for _, d := range reachable((&teishiv1.Resource{}).ProtoReflect().Descriptor()) {
		for i := range d.Fields().Len() {
			if f := d.Fields().Get(i); !set[f.FullName()] && !outputOnly(f) {
				t.Errorf("no sample sets %s", f.FullName())
			}
		}
	}
}

// The defaults of enums, the kinds of release, and what is left out: whatever the message, it is what it was.
func TestCodecRoundTripOfDefaults(t *testing.T) {
	always := policy.Selector{Window: policy.Always}
	for _, want := range []policy.Resource{
		&policy.Organization{ID: "a"},
		&policy.Vendor{ID: "a", Parents: []policy.VendorPeriod{{Vendor: "b", Window: policy.Always}}},
		&policy.App{ID: "a", OnStale: policy.StaleServe},
		&policy.Directive{ID: "a", Window: policy.Always, ExemptionRules: &policy.ExemptionRules{}},
		&policy.Directive{ID: "a", Window: policy.Window{Start: 0, End: policy.Forever}, Provisions: []policy.Provision{{Force: policy.Binding, Selector: always}}},
		&policy.Release{ID: "a", Kind: policy.Lift, Selector: always, EndTime: policy.Forever},
		&policy.Release{ID: "a", Kind: policy.CarveOut, Selector: always, EndTime: 0},
		&policy.Release{ID: "a", Selector: always, EndTime: policy.Forever},
		&policy.ConcernState{Directive: "a", Concern: "b", Time: policy.Beginning},
		&policy.Statement{Directive: "a", ID: "b", Time: policy.Beginning},
	} {
		payload, err := policystore.EncodeChanges([]policy.Change{{Put: want}})
		if err != nil {
			t.Fatal(err)
		}
		changes, err := policystore.DecodeChanges(payload)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]policy.Change{{Put: want}}, changes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Key(), diff)
		}
	}
}

// What a directive without a device action was written as, before there were any, it is still; one that states the default is
// written as that.
func TestCodecLeavesDeviceActionOut(t *testing.T) {
	d := &teishiv1.Directive{Id: "a", LiftMode: teishiv1.LiftMode_LIFT_MODE_MANUAL}
	former := marshal(t, d)
	for _, d.DeviceAction = range []teishiv1.DeviceAction{teishiv1.DeviceAction_DEVICE_ACTION_UNSPECIFIED, teishiv1.DeviceAction_DEVICE_ACTION_ALLOW} {
		read, err := policystore.DirectiveFromProto(d)
		if err != nil || read.DeviceAction != policy.DeviceAllow {
			t.Fatalf("%v is read as %v, %v", d.DeviceAction, read, err)
		}
		if got := marshal(t, policystore.DirectiveToProto(read, 0)); !bytes.Equal(got, former) {
			t.Errorf("%v is written as %x, want %x", d.DeviceAction, got, former)
		}
	}
}

func TestCodecShowsRevision(t *testing.T) {
	for _, r := range samples() {
		m := policystore.ResourceToProto(r, 7).ProtoReflect()
		oneof := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
		inner := m.Get(oneof).Message()
		if got := inner.Get(inner.Descriptor().Fields().ByName("revision")).Int(); got != 7 {
			t.Errorf("%s is shown at revision %d, want 7", r.Key(), got)
		}
	}
}

func TestCodecInstants(t *testing.T) {
	for _, i := range []policy.Instant{-62135596800_000_000, -1, 0, 1, 253402300799_999_999} {
		if got, err := policystore.InstantFromProto(policystore.InstantToProto(i), 0); got != i || err != nil {
			t.Errorf("%d comes back as %d, %v", i, got, err)
		}
	}
	for _, i := range []policy.Instant{policy.Beginning, policy.Forever} {
		if got := policystore.InstantToProto(i); got != nil {
			t.Errorf("InstantToProto(%s) = %v, want unset", i, got)
		}
	}
	for _, bad := range []*timestamppb.Timestamp{{Nanos: 1}, {Nanos: -1000}, {Nanos: 1_000_000_000}, {Seconds: -62135596801}, {Seconds: 253402300800}} {
		if got, err := policystore.InstantFromProto(bad, 0); !errors.Is(err, policystore.ErrFormat) {
			t.Errorf("%v is taken for %d", bad, got)
		}
	}
}

func TestCodecDeletes(t *testing.T) {
	var want []policy.Change
	for _, r := range samples() {
		want = append(want, policy.Change{Delete: r.Key()})
	}
	payload, err := policystore.EncodeChanges(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := policystore.DecodeChanges(payload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deletions (-want +got):\n%s", diff)
	}
}
