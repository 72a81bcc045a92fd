package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// twice does a write twice under one request id: the second time nothing is written, and the answer is the same.
func twice[Q, R proto.Message](h *house, call caller[Q, R], req Q, format string) R {
	h.t.Helper()
	format += fmt.Sprintf(` reason: "x" request_id: "request-%d"`, h.head())
	first := do(h, call, req, format)
	h.unchanged(func() {
		again := do(h, call, req.ProtoReflect().New().Interface().(Q), format)
		if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
			h.t.Errorf("%s: (-first +again):\n%s", format, diff)
		}
	})
	return first
}

// TestRepeats does every write twice, after others have followed the first.
func TestRepeats(t *testing.T) {
	h := open(t)
	h.suspend()
	twice(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "town" parent: "jp" }`)
	twice(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { id: "v" }`)
	twice(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "a" }`)
	twice(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "a.b.c" }`)
	twice(h, h.registry.PutAttribute, &teishiv1.PutAttributeRequest{}, `attribute { id: "a" values: "v" }`)
	for _, call := range []func(){
		func() {
			twice(h, h.registry.DeleteOrganization, &teishiv1.DeleteOrganizationRequest{}, `id: "town"`)
		},
		func() { twice(h, h.registry.DeleteVendor, &teishiv1.DeleteVendorRequest{}, `id: "v"`) },
		func() { twice(h, h.registry.DeleteApp, &teishiv1.DeleteAppRequest{}, `id: "a"`) },
		func() { twice(h, h.registry.DeletePurpose, &teishiv1.DeletePurposeRequest{}, `id: "a.b.c"`) },
		func() { twice(h, h.registry.DeleteAttribute, &teishiv1.DeleteAttributeRequest{}, `id: "a"`) },
	} {
		call()
	}
	twice(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "d" authority: "jp"
		provisions { id: "p" force: FORCE_ADVISORY selector { organizations { all: true } targets { all: true } } } }`)
	twice(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { id: "d" authority: "jp" effective_time {}
		provisions { id: "p" force: FORCE_ADVISORY selector { organizations { all: true } targets { in { app: "line" } } } } }`)
	adopted := twice(h, h.directives.AdoptDirective, &teishiv1.AdoptDirectiveRequest{}, `directive: "d" id: "copy" authority: "city"`)
	if from := adopted.Directive.AdoptedFrom; from.GetDirective() != "d" || adopted.Directive.Provisions[0].Force != teishiv1.Force_FORCE_BINDING {
		t.Errorf("adopted %v", adopted.Directive)
	}
	lifted := twice(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt"`)
	if lifted.Release.Id != fmt.Sprintf("lift-%d", lifted.Revision) {
		t.Errorf("the lift is %s at revision %d", lifted.Release.Id, lifted.Revision)
	}
	twice(h, h.directives.RevokeRelease, &teishiv1.RevokeReleaseRequest{}, `directive: "halt" release: "`+lifted.Release.Id+`"`)
	twice(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "abroad" evidence: "x"`)
	twice(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "transparency" evidence: "x"`)
	twice(h, h.directives.ReopenConcern, &teishiv1.ReopenConcernRequest{}, `directive: "halt" concern: "abroad"`)
	twice(h, h.directives.RecordStatement, &teishiv1.RecordStatementRequest{}, `statement { directive: "halt" id: "s" author: "a" text: "t" }`)
	twice(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "halt"`)
}

// TestRequestIDs reuses one, gets one made, and keeps one for a request that was only validated before.
func TestRequestIDs(t *testing.T) {
	h := open(t)
	put := h.registry.PutPurpose
	first := do(h, put, &teishiv1.PutPurposeRequest{}, `purpose { id: "a" } reason: "x" request_id: "mine"`)
	reused := problem{codes.AlreadyExists, "REQUEST_ID_REUSED", "request_id"}
	for _, other := range []string{
		`purpose { id: "b" } reason: "x" request_id: "mine"`,
		`purpose { id: "a" } reason: "y" request_id: "mine"`,
		`purpose { id: "a" } reason: "x" request_id: "mine" expect_revision: 0`,
	} {
		refused(h, put, &teishiv1.PutPurposeRequest{}, other, reused)
	}
	refused(h, h.registry.DeletePurpose, &teishiv1.DeletePurposeRequest{}, `id: "a" reason: "x" request_id: "mine"`, reused)
	_, err := put(t.Context(), text(t, &teishiv1.PutPurposeRequest{}, `purpose { id: "b" } reason: "x" request_id: "mine"`))
	if got := metadataOf(err, "revision"); got != fmt.Sprint(first.Revision) {
		t.Errorf("the reused id is of revision %s, want %d", got, first.Revision)
	}
	made := do(h, put, &teishiv1.PutPurposeRequest{}, `purpose { id: "a" } reason: "x"`)
	other := do(h, put, &teishiv1.PutPurposeRequest{}, `purpose { id: "a" } reason: "x"`)
	if made.RequestId == "" || made.RequestId == other.RequestId || made.Revision == other.Revision {
		t.Errorf("made %q at %d, then %q at %d", made.RequestId, made.Revision, other.RequestId, other.Revision)
	}
	h.unchanged(func() {
		do(h, put, &teishiv1.PutPurposeRequest{}, `purpose { id: "c" } reason: "x" request_id: "later" validate_only: true`)
	})
	do(h, put, &teishiv1.PutPurposeRequest{}, `purpose { id: "c" } reason: "x" request_id: "later"`)
}

// TestExpectRevision states what is written to be at another revision than it is.
func TestExpectRevision(t *testing.T) {
	h := open(t)
	h.suspend()
	mismatch := problem{codes.Aborted, "REVISION_MISMATCH", "expect_revision"}
	city := do(h, h.registry.GetOrganization, &teishiv1.GetOrganizationRequest{}, `id: "city"`).Organization.Revision
	put := `organization { id: "city" parent: "jp" } reason: "x" expect_revision: %d`
	refused(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(put, 0), mismatch)
	refused(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(put, city+1), mismatch)
	_, err := h.registry.PutOrganization(t.Context(), text(t, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(put, city+1)))
	if got := metadataOf(err, "current_revision"); got != fmt.Sprint(city) {
		t.Errorf("current_revision = %s, want %d", got, city)
	}
	now := do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(put, city))
	if now.Organization.Revision != now.Revision {
		t.Errorf("the city is at revision %d, written at %d", now.Organization.Revision, now.Revision)
	}
	refused(h, h.registry.DeleteOrganization, &teishiv1.DeleteOrganizationRequest{}, `id: "school" reason: "x" expect_revision: 1`, mismatch)
	refused(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "new" } reason: "x" expect_revision: 4`, mismatch)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "new" } reason: "x" expect_revision: 0`)

	refused(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+halt+` } reason: "x" expect_revision: 0`, mismatch)
	refused(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { `+halt+` effective_time {} } reason: "x" expect_revision: 1`, mismatch)
	refused(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "halt" reason: "x" expect_revision: 1`, mismatch)
	refused(h, h.directives.AdoptDirective, &teishiv1.AdoptDirectiveRequest{}, `directive: "halt" id: "copy" authority: "mic" reason: "x" expect_revision: 1`, mismatch)
	refused(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "x" expect_revision: 1`, mismatch)
	lift := do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" release: "l" reason: "x" expect_revision: 0`)
	refused(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" release: "l" reason: "x" expect_revision: 0`, mismatch)
	refused(h, h.directives.RevokeRelease, &teishiv1.RevokeReleaseRequest{}, `directive: "halt" release: "l" reason: "x" expect_revision: 1`, mismatch)
	do(h, h.directives.RevokeRelease, &teishiv1.RevokeReleaseRequest{}, fmt.Sprintf(`directive: "halt" release: "l" reason: "x" expect_revision: %d`, lift.Release.Revision))
	refused(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "abroad" evidence: "x" reason: "x" expect_revision: 1`, mismatch)
	resolved := do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "abroad" evidence: "x" reason: "x" expect_revision: 0`)
	refused(h, h.directives.ReopenConcern, &teishiv1.ReopenConcernRequest{}, `directive: "halt" concern: "abroad" reason: "x" expect_revision: 0`, mismatch)
	do(h, h.directives.ReopenConcern, &teishiv1.ReopenConcernRequest{}, fmt.Sprintf(`directive: "halt" concern: "abroad" reason: "x" expect_revision: %d`, resolved.Concern.Revision))
	refused(h, h.directives.RecordStatement, &teishiv1.RecordStatementRequest{}, `statement { directive: "halt" id: "s" author: "a" text: "t" } reason: "x" expect_revision: 1`, mismatch)
}

// TestValidateOnly is told what would be, and changes nothing.
func TestValidateOnly(t *testing.T) {
	h := open(t)
	h.suspend()
	h.unchanged(func() {
		lift := do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "x" validate_only: true`)
		if lift.Revision != h.head() || lift.Release.Id != fmt.Sprintf("lift-%d", h.head()+1) || lift.Release.Selector.EffectiveTime == nil {
			t.Errorf("a lift that is only validated = %v at revision %d", lift.Release, lift.Revision)
		}
		h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	})
	refused(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "none" reason: "x" validate_only: true`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""})
	done := do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "x" request_id: "r"`)
	h.unchanged(func() {
		again := do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "x" request_id: "r" validate_only: true`)
		if !proto.Equal(done, again) {
			t.Errorf("a repeat that is only validated = %v, want %v", again, done)
		}
	})
}

// TestOutputOnly sends back what only the server says.
func TestOutputOnly(t *testing.T) {
	h := open(t)
	h.suspend()
	got := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "halt"`).Directive
	got.Withdrawn = &teishiv1.Withdrawal{Reason: "mine"}
	got.AdoptedFrom = &teishiv1.AdoptedFrom{Directive: "elsewhere"}
	got.Revision = 99
	amended, err := h.directives.AmendDirective(t.Context(), &teishiv1.AmendDirectiveRequest{Directive: got, Reason: "x"})
	if err != nil {
		t.Fatal(describe(err))
	}
	if d := amended.Directive; d.Withdrawn != nil || d.AdoptedFrom != nil || d.Revision != amended.Revision {
		t.Errorf("amended to %v", d)
	}
}

// TestLogLines has one line for each administrative call, and none for a question.
func TestLogLines(t *testing.T) {
	h := open(t)
	h.ask(`organization: "o" app: "a"`)
	do(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "a" } reason: "x" request_id: "mine"`)
	refused(h, h.registry.DeleteVendor, &teishiv1.DeleteVendorRequest{}, `id: "v" reason: "x"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""})
	lines := strings.Split(strings.TrimSpace(h.lines.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("logged %q, want two lines", lines)
	}
	for i, want := range [][]string{
		{"msg=answered", "method=teishi.v1.RegistryService/PutPurpose", "principal=local", "request_id=mine", "revision=2", "call="},
		{"msg=refused", "method=teishi.v1.RegistryService/DeleteVendor", "principal=local", "code=NotFound", "vendor v does not exist"},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %q lacks %q", lines[i], part)
			}
		}
	}
}
