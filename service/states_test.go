package service_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// TestStates sees a directive in every state.
func TestStates(t *testing.T) {
	h := open(t)
	h.settle()
	issue := func(d string) {
		t.Helper()
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { authority: "mic" `+d+` } reason: "x"`)
	}
	issue(`id: "scheduled" effective_time { seconds: 4000000000 }`)
	issue(`id: "in-force"`)
	issue(`id: "partly-lifted"`)
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "partly-lifted" selector { purposes { in: "service" } } reason: "x"`)
	issue(`id: "lifted"`)
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "lifted" reason: "x"`)
	issue(`id: "to-be-lifted"`)
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "to-be-lifted" selector { effective_time { seconds: 4000000000 } } reason: "x"`)
	issue(`id: "expired" effective_time { seconds: 1 } expire_time { seconds: 2 }`)
	issue(`id: "superseded" effective_time { seconds: 1 }`)
	issue(`id: "successor" supersedes: "superseded" effective_time { seconds: 2 } expire_time { seconds: 3 }`)
	issue(`id: "superseded-when-expired" effective_time { seconds: 1 } expire_time { seconds: 2 }`)
	issue(`id: "late-successor" supersedes: "superseded-when-expired" effective_time { seconds: 3 }`)
	issue(`id: "withdrawn"`)
	do(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "withdrawn" reason: "x"`)

	for id, want := range map[string]teishiv1.DirectiveState{
		"scheduled":               teishiv1.DirectiveState_DIRECTIVE_STATE_SCHEDULED,
		"in-force":                teishiv1.DirectiveState_DIRECTIVE_STATE_IN_FORCE,
		"partly-lifted":           teishiv1.DirectiveState_DIRECTIVE_STATE_IN_FORCE,
		"lifted":                  teishiv1.DirectiveState_DIRECTIVE_STATE_LIFTED,
		"to-be-lifted":            teishiv1.DirectiveState_DIRECTIVE_STATE_IN_FORCE,
		"expired":                 teishiv1.DirectiveState_DIRECTIVE_STATE_EXPIRED,
		"superseded":              teishiv1.DirectiveState_DIRECTIVE_STATE_SUPERSEDED,
		"superseded-when-expired": teishiv1.DirectiveState_DIRECTIVE_STATE_SUPERSEDED,
		"successor":               teishiv1.DirectiveState_DIRECTIVE_STATE_EXPIRED,
		"withdrawn":               teishiv1.DirectiveState_DIRECTIVE_STATE_WITHDRAWN,
	} {
		if got := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "`+id+`"`).State; got != want {
			t.Errorf("%s is %v, want %v", id, got, want)
		}
	}
}

// TestLiftable is said of a directive whose concerns are resolved and that only an authority lifts.
func TestLiftable(t *testing.T) {
	h := open(t)
	h.settle()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "d" authority: "mic" concerns { id: "c" } } reason: "x"`)
	liftable := func(want bool) {
		t.Helper()
		got := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "d"`)
		if got.Liftable != want || len(got.Concerns) != 1 {
			t.Errorf("liftable = %v, want %v, with concerns %v", got.Liftable, want, got.Concerns)
		}
	}
	liftable(false)
	do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "d" concern: "c" evidence: "e" reason: "x"`)
	liftable(true)
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "d" reason: "x"`)
	liftable(false)
}

// TestOriginal shows that what was adopted has changed since.
func TestOriginal(t *testing.T) {
	h := open(t)
	h.settle()
	text := `directive { id: "advice" authority: "jp" %s provisions { id: "p" force: FORCE_ADVISORY selector { organizations { all: true } targets { in { app: "line" } } } } } reason: "x"`
	advised := do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, fmt.Sprintf(text, ""))
	do(h, h.directives.AdoptDirective, &teishiv1.AdoptDirectiveRequest{}, `directive: "advice" id: "copy" authority: "city" reason: "x"`)
	copied := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "copy"`)
	if copied.OriginalRevision != advised.Revision || copied.Directive.AdoptedFrom.Revision != advised.Revision {
		t.Errorf("the copy is of revision %d of %d, want %d", copied.Directive.AdoptedFrom.Revision, copied.OriginalRevision, advised.Revision)
	}
	amended := do(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, fmt.Sprintf(text, "effective_time {}"))
	copied = do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "copy"`)
	if copied.OriginalRevision != amended.Revision || copied.Directive.AdoptedFrom.Revision != advised.Revision {
		t.Errorf("the copy is of revision %d of %d, want %d of %d", copied.Directive.AdoptedFrom.Revision, copied.OriginalRevision, advised.Revision, amended.Revision)
	}
	h.answers(`organization: "school" app: "line"`, denied, teishiv1.Reason_REASON_SUSPENDED)
}

// TestLimit registers as many purposes as there may be, and one more.
func TestLimit(t *testing.T) {
	h := open(t)
	n := len(do(h, h.registry.ListPurposes, &teishiv1.ListPurposesRequest{}, `page_size: 1000`).Purposes)
	messages := []string{`reason: "many"`}
	for i := n; i < 256; i++ {
		messages = append(messages, fmt.Sprintf(`resource { purpose { id: "p%d" } }`, i))
	}
	if _, err := h.imports(messages...); err != nil {
		t.Fatal(describe(err))
	}
	refused(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "one-more" } reason: "x"`,
		problem{code: codes.ResourceExhausted, reason: "LIMIT_EXCEEDED"})
}
