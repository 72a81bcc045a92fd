package teishiv1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

var (
	writeRequestFields  = []string{"string reason = 10", "string request_id = 11", "optional int64 expect_revision = 12", "bool validate_only = 13"}
	writeResponseFields = []string{"int64 revision = 10", "int64 epoch = 11", "string request_id = 12"}
	readResponseFields  = []string{"int64 revision = 10", "int64 epoch = 11"}
)

// TestWritesHaveTheSameFields holds every write to the fields that callers and the write loop rely on, and lets no other
// message have some of them.
func TestWritesHaveTheSameFields(t *testing.T) {
	for _, md := range ourMessages() {
		name := string(md.Name())
		var want []string
		switch {
		case isWriteRequest(md):
			want = writeRequestFields
		case isResponseOfWrite(t, name):
			want = writeResponseFields
		case strings.HasSuffix(name, "Response") && md.Fields().ByNumber(10) != nil && !isDecision(name):
			want = readResponseFields
		default:
			continue
		}
		if got := fieldsFrom10(md); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}

// TestQueryIsNumberedAsInCheckRequest holds the messages that repeat fields of CheckRequest to its names, kinds and numbers.
func TestQueryIsNumberedAsInCheckRequest(t *testing.T) {
	check := messageNamed(t, "CheckRequest").Fields()
	for _, name := range []string{"Query", "BatchCheckRequest", "ListDecisionsRequest"} {
		fields := messageNamed(t, name).Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			if fd.Name() == "queries" || strings.HasPrefix(string(fd.Name()), "page_") {
				continue
			}
			same := check.ByName(fd.Name())
			if same == nil || same.Number() != fd.Number() || same.Kind() != fd.Kind() {
				t.Errorf("%s.%s = %d is not as in CheckRequest", name, fd.Name(), fd.Number())
			}
		}
	}
}

// isWriteRequest reports whether md is a request that writes: only those give a reason.
func isWriteRequest(md protoreflect.MessageDescriptor) bool {
	return strings.HasSuffix(string(md.Name()), "Request") && md.Fields().ByName("reason") != nil
}

func isResponseOfWrite(t *testing.T, name string) bool {
	t.Helper()
	method, isResponse := strings.CutSuffix(name, "Response")
	return isResponse && isWriteRequest(messageNamed(t, method+"Request"))
}

func isDecision(name string) bool {
	return name == "CheckResponse"
}

// fieldsFrom10 returns the fields of md numbered 10 and above as a proto file writes them.
func fieldsFrom10(md protoreflect.MessageDescriptor) []string {
	var fields []string
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if fd.Number() < 10 {
			continue
		}
		optional := ""
		if fd.HasOptionalKeyword() {
			optional = "optional "
		}
		fields = append(fields, fmt.Sprintf("%s%s %s = %d", optional, fd.Kind(), fd.Name(), fd.Number()))
	}
	return fields
}
