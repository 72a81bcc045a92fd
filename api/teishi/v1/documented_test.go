package teishiv1_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

func TestDocumentationHasEveryFileWithItsComments(t *testing.T) {
	var documentation teishiv1.Documentation
	for _, generated := range []protoreflect.FileDescriptor{
		teishiv1.File_teishi_v1_audit_proto, teishiv1.File_teishi_v1_decision_proto, teishiv1.File_teishi_v1_directive_proto,
		teishiv1.File_teishi_v1_error_reason_proto, teishiv1.File_teishi_v1_instrument_proto, teishiv1.File_teishi_v1_log_proto,
		teishiv1.File_teishi_v1_registry_proto, teishiv1.File_teishi_v1_resource_proto, teishiv1.File_teishi_v1_scenario_proto,
	} {
		file, err := documentation.FindFileByPath(generated.Path())
		if err != nil {
			t.Errorf("FindFileByPath(%s): %v", generated.Path(), err)
			continue
		}
		for i := range file.Messages().Len() {
			message := file.Messages().Get(i)
			if file.SourceLocations().ByDescriptor(message).LeadingComments == "" {
				t.Errorf("%s has no comment", message.FullName())
			}
		}
	}
	if _, err := documentation.FindDescriptorByName("google.protobuf.Timestamp"); err != nil {
		t.Errorf("what is imported is not found: %v", err)
	}
}
