package service_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// imports sends messages in text format.
func (h *house) imports(messages ...string) (*teishiv1.ImportResponse, error) {
	h.t.Helper()
	stream, err := h.registry.Import(h.t.Context())
	h.must(err)
	for _, m := range messages {
		if stream.Send(text(h.t, &teishiv1.ImportRequest{}, m)) != nil {
			break // the server has answered
		}
	}
	return stream.CloseAndRecv()
}

const first = `reason: "load" request_id: "import"`

func TestImport(t *testing.T) {
	h := open(t)
	resp, err := h.imports(first,
		`resource { app { id: "line" ownerships { vendor: "z" } } }`,
		`resource { organization { id: "city" parent: "jp" } }`,
		`resource { organization { id: "jp" } }`,
		`resource { vendor { id: "z" parents { vendor: "naver" } } }`,
		`resource { vendor { id: "naver" } }`,
		`resource { purpose { id: "a.b.c" } }`,
		`resource { attribute { id: "mood" values: "good" } }`)
	if err != nil {
		t.Fatal(describe(err))
	}
	if resp.Revision != 2 || !slices.Equal(resp.Revisions, []int64{2}) || resp.Count != 7 || resp.RequestId != "import" || resp.Epoch != 1 {
		t.Errorf("Import = %v", resp)
	}
	do(h, h.registry.GetPurpose, &teishiv1.GetPurposeRequest{}, `id: "a.b"`)
	h.answers(`organization: "city" app: "line" purpose: "a"`, allowed, teishiv1.Reason_REASON_NO_DIRECTIVE)
}

func TestBadImport(t *testing.T) {
	h := open(t)
	h.suspend()
	app := `resource { app { id: "new" } }`
	for _, c := range []struct {
		name     string
		messages []string
		want     problem
		message  string
	}{
		{"nothing", nil, invalid("reason"), ""},
		{"no reason", []string{``, app}, invalid("reason"), "1"},
		{"no resources", []string{first}, invalid("resource"), ""},
		{"resource at first", []string{first + app}, invalid("resource"), "1"},
		{"slash", []string{`reason: "x" request_id: "a/2"`, app}, invalid("request_id"), "1"},
		{"write fields later", []string{first, app, `reason: "x" resource { app { id: "b" } }`}, invalid("reason"), "3"},
		{"empty message", []string{first, app, ``}, invalid("resource"), "3"},
		{"empty resource", []string{first, app, `resource {}`}, invalid("resource.kind"), "3"},
		{"directive", []string{first, app, `resource { directive { ` + halt + ` effective_time {} } }`}, invalid("resource"), "3"},
		{"twice", []string{first, app, app}, invalid("resource.app.id"), "3"},
		{"unknown value", []string{first, app, `resource { app { id: "b" on_stale: 99 } }`}, unknownField("resource.app.on_stale"), "3"},
		{"bad id", []string{first, app, `resource { app { id: "B" } }`}, invalid("resource.app.id"), "3"},
		{"unknown vendor", []string{first, app, `resource { app { id: "b" ownerships { vendor: "nobody" } } }`}, unknownReference("resource.app.ownerships[0].vendor"), "3"},
		{"held", []string{first, app, `resource { app { id: "b" identifiers: "ios:jp.naver.line" } }`}, problem{codes.AlreadyExists, "IDENTIFIER_HELD", "resource.app.identifiers[0]"}, "3"},
		{"cycle", []string{first, `resource { organization { id: "a" parent: "b" } }`, `resource { organization { id: "b" parent: "a" } }`}, invalid("resource.organization.parent"), "3"},
		{"head", []string{first + ` expect_revision: 1`, app}, problem{codes.Aborted, "REVISION_MISMATCH", "expect_revision"}, ""},
		{"validated", []string{first + ` validate_only: true`, app, `resource { app { id: "b" ownerships { vendor: "nobody" } } }`}, unknownReference("resource.app.ownerships[0].vendor"), "3"},
	} {
		h.unchanged(func() {
			_, err := h.imports(c.messages...)
			c.want.check(t, c.name, err)
			if got := metadataOf(err, "message"); got != c.message && c.name != "cycle" {
				t.Errorf("%s is refused at message %q, want %q: %s", c.name, got, c.message, describe(err))
			}
		})
	}
}

// large is an import of organizations that does not fit into one entry: children stand before their parents.
func large(n int) []string {
	name := strings.Repeat("停止", 1000)
	messages := []string{first}
	for i := range n {
		messages = append(messages, fmt.Sprintf(`resource { organization { id: "o%04d" parent: "o%04d" names { key: "ja" value: "%s" } } }`, i, n-1-(n-1-i)%7, name))
	}
	messages[n] = fmt.Sprintf(`resource { organization { id: "o%04d" } }`, n-1)
	for i := n - 7; i < n-1; i++ {
		messages[i+1] = fmt.Sprintf(`resource { organization { id: "o%04d" parent: "o%04d" } }`, i, n-1)
	}
	return messages
}

// TestSplitImport loads more than an entry holds, again, and from the middle.
func TestSplitImport(t *testing.T) {
	h := open(t)
	messages := large(400)
	h.unchanged(func() {
		dry, err := h.imports(append([]string{first + ` validate_only: true`}, messages[1:]...)...)
		if err != nil || dry.Revision != 1 || len(dry.Revisions) != 0 || dry.Count != 400 {
			t.Errorf("a validated import = %v, %v", dry, describe(err))
		}
	})
	resp, err := h.imports(messages...)
	if err != nil {
		t.Fatal(describe(err))
	}
	if !slices.Equal(resp.Revisions, []int64{2, 3, 4}) || resp.Revision != 4 {
		t.Errorf("revisions = %v, want 2, 3, 4", resp.Revisions)
	}
	for i, id := range []string{"import", "import/2", "import/3"} {
		e := do(h, h.audit.GetEntry, &teishiv1.GetEntryRequest{}, fmt.Sprintf("revision: %d", i+2)).Entry
		if e.Entry.RequestId != id || proto.Size(e.Entry) > 1<<20 {
			t.Errorf("entry %d is of request %s and %d bytes, want %s", i+2, e.Entry.RequestId, proto.Size(e.Entry), id)
		}
	}
	h.unchanged(func() {
		again, err := h.imports(messages...)
		if !proto.Equal(again, resp) {
			t.Errorf("repeated = %v, %v, want %v", again, err, resp)
		}
		changed := slices.Clone(messages)
		changed[1] = `resource { organization { id: "other" } }`
		_, err = h.imports(changed...)
		problem{codes.AlreadyExists, "REQUEST_ID_REUSED", "request_id"}.check(t, "other content", err)
	})
}

// TestImportContinues finds a part of an import in the record and adds the rest.
func TestImportContinues(t *testing.T) {
	h := open(t)
	messages := large(400)
	messages[0] = first + ` expect_revision: 1`
	broken := slices.Clone(messages)
	broken[1] = strings.Replace(broken[1], `id: "o0000"`, `id: "o0000" aliases: "jis:131017"`, 1) // in the last entry
	slices.Reverse(messages[1:])
	slices.Reverse(broken[1:])
	if _, err := h.imports(broken...); problemOf(err) != invalid("resource.organization.aliases[0]") {
		t.Fatal(describe(err))
	}
	if h.head() != 3 {
		t.Fatalf("the head is at %d, want two entries of the import", h.head())
	}
	resp, err := h.imports(messages...)
	if err != nil || !slices.Equal(resp.Revisions, []int64{2, 3, 4}) {
		t.Errorf("continued = %v, %s", resp, describe(err))
	}
	if info := detail[*errdetails.ErrorInfo](err); info != nil {
		t.Errorf("continued with %v", info)
	}
}

// TestImportGuarded does not continue over what others wrote since, if the caller expects the head.
func TestImportGuarded(t *testing.T) {
	h := open(t)
	messages := large(400)
	messages[0] = first + ` expect_revision: 1`
	broken := slices.Clone(messages)
	broken[1] = strings.Replace(broken[1], `id: "o0000"`, `id: "o0000" aliases: "jis:131017"`, 1)
	slices.Reverse(messages[1:])
	slices.Reverse(broken[1:])
	_, err := h.imports(broken...)
	invalid("resource.organization.aliases[0]").check(t, "broken", err)
	do(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "between" } reason: "x"`)
	h.unchanged(func() {
		_, err := h.imports(messages...)
		problem{codes.Aborted, "REVISION_MISMATCH", "expect_revision"}.check(t, "the rest", err)
	})
}
