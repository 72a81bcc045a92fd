package policystore

import (
	"reflect"
	"testing"
	"unsafe"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// A resource that is kept does not keep the payload or the checkpoint it was read from.
func TestResourcesOutliveWhatTheyWereReadFrom(t *testing.T) {
	changes := []policy.Change{
		{Put: &policy.Organization{ID: "jp-mic", Names: policy.TextOf(map[string]string{"ja": "総務省"}), Aliases: []string{"mic"}, Labels: map[string]string{"region": "kanto"}}},
		{Put: &policy.Directive{ID: "halt", Authority: "jp-mic", Provisions: []policy.Provision{{ID: "all", Force: policy.Binding}}}},
		{Delete: policy.Key{Kind: policy.KindStatement, ID: "reply", Directive: "halt"}},
	}
	payload, err := EncodeChanges(changes)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(payload)
	read, err := readChanges(whole)
	if err != nil {
		t.Fatal(err)
	}
	wantNoneIn(t, whole, reflect.ValueOf(read), len(changes))

	message := &teishiv1.Checkpoint{}
	for _, c := range changes[:2] {
		message.Resources = append(message.Resources, &teishiv1.StoredResource{Resource: ResourceToProto(c.Put, 0), Revision: 3})
	}
	chunk, err := marshal.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	whole = string(chunk)
	list, err := readResources(whole)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		wantNoneIn(t, whole, reflect.ValueOf(list[i].resource), 1)
	}
}

// wantNoneIn checks that of the strings in v, which are so many at least, none is part of whole.
func wantNoneIn(t *testing.T, whole string, v reflect.Value, least int) {
	t.Helper()
	start := uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	found := 0
	eachString(v, func(s string) {
		found++
		if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); at >= start && at < start+uintptr(len(whole)) {
			t.Errorf("%q is part of what it was read from", s)
		}
	})
	if found < least {
		t.Errorf("%d strings were found, want %d", found, least)
	}
}

// eachString visits every string in v but the empty ones.
func eachString(v reflect.Value, visit func(string)) {
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 0 {
			visit(v.String())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachString(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), visit)
		}
	case reflect.Map:
		for entry := v.MapRange(); entry.Next(); {
			eachString(entry.Key(), visit)
			eachString(entry.Value(), visit)
		}
	}
}
