package service_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

const question = `organization: "mic" app: "line" purpose: "feedback.opinion" language: "ja-JP"`

// TestAdministrator walks from an empty record to a suspension that is lifted again, as an administrator does.
func TestAdministrator(t *testing.T) {
	h := open(t)
	h.answers(question, denied, teishiv1.Reason_REASON_UNKNOWN_ORGANIZATION)
	h.settle()
	h.answers(question, allowed, teishiv1.Reason_REASON_NO_DIRECTIVE)
	h.issue()
	h.exempt()
	h.resolve()
	h.withdraw()
	verified := do(h, h.audit.VerifyLog, &teishiv1.VerifyLogRequest{}, ``)
	if verified.EntriesVerified != h.head() || verified.Position.Revision != h.head() || verified.Problem != "" {
		t.Errorf("VerifyLog = %v, want %d entries verified", verified, h.head())
	}
}

func (h *house) issue() {
	h.t.Helper()
	issued := do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+halt+` } reason: "concerns"`)
	if issued.Directive.EffectiveTime == nil || issued.Directive.Revision != issued.Revision || issued.Revision != h.head() {
		h.t.Errorf("IssueDirective = %v at revision %d", issued.Directive, issued.Revision)
	}
	answer := h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	want := []*teishiv1.Citation{{
		Directive: "halt", Provision: "all", Authority: "mic", Number: "Notice 1", Title: "停止", Message: "使わないこと",
		EffectiveTime: issued.Directive.EffectiveTime, Sources: []*teishiv1.Source{{Uri: "https://www.soumu.go.jp/"}},
	}}
	if diff := cmp.Diff(want, answer.Citations, protocmp.Transform()); diff != "" {
		h.t.Errorf("citations (-want +got):\n%s", diff)
	}
	if len(answer.Alternatives) != 1 || answer.Alternatives[0].Id != "phone" {
		h.t.Errorf("alternatives = %v, want the telephone", answer.Alternatives)
	}
}

// exempt grants the ministry an exemption and revokes it.
func (h *house) exempt() {
	h.t.Helper()
	granted, err := h.directives.GrantExemption(h.t.Context(), exemption(h))
	if err != nil {
		h.t.Fatal(describe(err))
	}
	if r := granted.Release; r.Kind != teishiv1.ReleaseKind_RELEASE_KIND_EXEMPTION || r.Selector.EffectiveTime == nil {
		h.t.Errorf("GrantExemption = %v", r)
	}
	answer := h.answers(question, allowed, teishiv1.Reason_REASON_RELEASED)
	want := []*teishiv1.Obligation{
		{Id: "no-names", Directive: "halt", Release: "typhoon"},
		{Id: "report", Text: "Report monthly", Directive: "halt", Release: "typhoon"},
	}
	if diff := cmp.Diff(want, answer.Obligations, protocmp.Transform()); diff != "" {
		h.t.Errorf("obligations (-want +got):\n%s", diff)
	}
	if c := answer.Citations[0]; c.Release != "typhoon" || c.Instrument != "halt" || c.EndTime == nil {
		h.t.Errorf("citation = %v, want the release with its instrument and window", c)
	}
	revoked := do(h, h.directives.RevokeRelease, &teishiv1.RevokeReleaseRequest{}, `directive: "halt" release: "typhoon" reason: "calm"`)
	if revoked.Release.EndTime == nil {
		h.t.Errorf("RevokeRelease = %v, want an end", revoked.Release)
	}
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
}

func exemption(h *house) *teishiv1.GrantExemptionRequest {
	return &teishiv1.GrantExemptionRequest{
		Directive: "halt",
		Release:   "typhoon",
		Selector: &teishiv1.Selector{
			Organizations: &teishiv1.OrganizationSelector{In: []string{"mic"}},
			ExpireTime:    timestamppb.New(time.Now().Add(7 * 24 * time.Hour).Truncate(time.Microsecond)),
		},
		Ground:         "disaster",
		Justification:  "Typhoon 19",
		Obligations:    []*teishiv1.Obligation{{Id: "no-names"}},
		Reason:         "typhoon",
		ExpectRevision: proto.Int64(0),
	}
}

// resolve resolves both concerns, which lifts, reopens one and resolves it again.
func (h *house) resolve() {
	h.t.Helper()
	first := do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "abroad" evidence: "Moved" reason: "moved"`)
	if first.Release != nil || first.Concern.State != teishiv1.ConcernState_STATE_RESOLVED || first.Concern.ResolvedBy != "local" {
		h.t.Errorf("ResolveConcern = %v", first)
	}
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	last := do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "transparency" evidence: "Report" reason: "report"`)
	if last.Release.GetKind() != teishiv1.ReleaseKind_RELEASE_KIND_LIFT || last.Release.Revision != last.Revision {
		h.t.Errorf("ResolveConcern of the last = %v, want a lift with it", last)
	}
	h.answers(question, allowed, teishiv1.Reason_REASON_RELEASED)
	h.stands(teishiv1.DirectiveState_DIRECTIVE_STATE_LIFTED)
	reopened := do(h, h.directives.ReopenConcern, &teishiv1.ReopenConcernRequest{}, `directive: "halt" concern: "abroad" reason: "again"`)
	if reopened.Release.GetId() != last.Release.Id || reopened.Release.EndTime == nil || reopened.Concern.State != teishiv1.ConcernState_STATE_OPEN {
		h.t.Errorf("ReopenConcern = %v, want the lift %s ended", reopened, last.Release.Id)
	}
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	h.stands(teishiv1.DirectiveState_DIRECTIVE_STATE_IN_FORCE)
}

// withdraw records a statement, and withdraws the directive, after which it takes nothing.
func (h *house) withdraw() {
	h.t.Helper()
	said := do(h, h.directives.RecordStatement, &teishiv1.RecordStatementRequest{}, `statement { directive: "halt" id: "s" author: "LINE" text: "Sorry" } reason: "statement"`)
	if said.Statement.Time == nil || said.Statement.Revision != said.Revision {
		h.t.Errorf("RecordStatement = %v", said)
	}
	void := do(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "halt" reason: "in error"`)
	if void.Directive.Withdrawn.GetReason() != "in error" || void.Directive.Withdrawn.Time == nil {
		h.t.Errorf("WithdrawDirective = %v", void.Directive)
	}
	h.answers(question, allowed, teishiv1.Reason_REASON_NO_DIRECTIVE)
	got := h.stands(teishiv1.DirectiveState_DIRECTIVE_STATE_WITHDRAWN)
	if len(got.Statements) != 1 || len(got.Releases) != 2 || len(got.Concerns) != 2 || got.Concerns[0].Concern != "abroad" {
		h.t.Errorf("GetDirective = %v", got)
	}
	refused(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "x"`, notPermitted("directive"))
	refused(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { `+halt+` effective_time {} } reason: "x"`, notPermitted("directive"))
	refused(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "halt" reason: "x"`, notPermitted("directive"))
}

// stands fails unless halt stands so.
func (h *house) stands(want teishiv1.DirectiveState) *teishiv1.GetDirectiveResponse {
	h.t.Helper()
	got := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "halt"`)
	if got.State != want {
		h.t.Errorf("state = %v, want %v", got.State, want)
	}
	return got
}

// TestClockSetBack writes entries that are ahead of the clock: what suspends binds at once, what resumes use waits.
func TestClockSetBack(t *testing.T) {
	clock := time.Now().Add(-time.Hour)
	h := open(t, func(c *service.Config) { c.Clock = func() (time.Time, []time.Time) { return clock, nil } })
	h.settle()
	directive := func(id, force, organizations string) string {
		return `directive { id: "` + id + `" authority: "mic" provisions { id: "all" force: ` + force + `
			selector { organizations { ` + organizations + ` } targets { in { app: "line" } } } } } reason: "x"`
	}
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, directive("advice", "FORCE_ADVISORY", "all: true"))
	do(h, h.directives.AdoptDirective, &teishiv1.AdoptDirectiveRequest{}, `directive: "advice" id: "copy" authority: "city" reason: "x"`)
	h.answers(`organization: "city" app: "line" purpose: "service"`, denied, teishiv1.Reason_REASON_SUSPENDED)

	h.issue()
	lifted := do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "x"`)
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	clock = lifted.Release.Selector.EffectiveTime.AsTime()
	resp := h.ask(question)
	if resp.Outcome != allowed {
		t.Errorf("once the lift holds, Check = %v, %v, want it allowed", resp.Outcome, resp.Reason)
	}
	do(h, h.directives.RevokeRelease, &teishiv1.RevokeReleaseRequest{}, `directive: "halt" release: "`+lifted.Release.Id+`" reason: "x"`)
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)

	for _, concern := range []string{"abroad", "transparency"} {
		do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "`+concern+`" evidence: "x" reason: "x"`)
	}
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	clock = time.Now()
	if resp := h.ask(question); resp.Outcome != allowed {
		t.Errorf("once all concerns are resolved, Check = %v, %v, want it allowed", resp.Outcome, resp.Reason)
	}
	do(h, h.directives.ReopenConcern, &teishiv1.ReopenConcernRequest{}, `directive: "halt" concern: "abroad" reason: "x"`)
	h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
}
