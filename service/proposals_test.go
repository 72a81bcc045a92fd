package service_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// guardedText is a directive that takes two people beside whoever proposes to loosen it.
const guardedText = `id: "halt" authority: "home" lift_approvals: 2 effective_time { seconds: 1600000000 }
	provisions { id: "p" force: FORCE_BINDING selector { organizations { in: "home" } targets { in { tag: "sns" } } } }
	concerns { id: "abroad" } concerns { id: "leak" } lift_mode: LIFT_MODE_WHEN_CONCERNS_RESOLVED
	exemption_rules { approver: APPROVER_SUBJECT grounds { id: "g" } }`

const guardedQuestion = `organization: "school" app: "line"`

// deliberating is a record with such a directive, and people who may lift it or exempt from it.
func deliberating(t *testing.T, change ...func(*service.Config)) (*house, *guard) {
	t.Helper()
	h, g := openGuarded(t, change...)
	for _, o := range []string{`id: "home"`, `id: "city" parent: "home"`, `id: "school" parent: "city"`, `id: "zz"`} {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+o+` } reason: "r"`)
	}
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "line" tags: "sns" } reason: "r"`)
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+guardedText+` } reason: "r"`)
	do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "leak" evidence: "e" reason: "r"`)
	for _, name := range []string{"ann", "ben", "cyd", "dan"} {
		h.grant("cn:"+name, "issuer", "home", `id: "`+name+`"`)
	}
	h.grant("cn:ben2", "issuer", "home", `identity: "ben"`)
	h.grant("cn:ben3", "issuer", "home", `identity: "ben"`)
	h.grant("group:iss#issuers", "issuer", "home", `id: "issuers"`)
	h.grant("cn:eve", "issuer", "zz")
	h.grant("cn:root", "administrator", "*")
	for _, name := range []string{"city1", "city2", "city3"} {
		h.grant("cn:"+name, "approver", "city", `id: "`+name+`"`)
	}
	return h, g
}

const (
	withdrawal = `withdraw_directive { directive: "halt" reason: "void" }`
	fullLift   = `lift_directive { directive: "halt" release: "lift" reason: "over" }`
	approve    = `id: "it" reason: "r"`
)

// proposes has somebody propose a change under the id `it`.
func (g *guard) proposes(t *testing.T, principal, change string, more ...string) {
	t.Helper()
	g.does(t, principal, "AccessService/ProposeChange", `id: "it" change { `+change+` } reason: "r"`+strings.Join(more, " "))
}

// proposal is the one of the id `it`, as everybody who may sees it.
func (g *guard) proposal(t *testing.T) *teishiv1.ListedProposal {
	t.Helper()
	resp := &teishiv1.ListProposalsResponse{}
	list := text(t, resp, g.does(t, "cn:root", "AccessService/ListProposals", ``)).Proposals
	i := slices.IndexFunc(list, func(p *teishiv1.ListedProposal) bool { return p.Proposal.Id == "it" })
	if i < 0 {
		t.Fatal("the proposal is not listed")
	}
	return list[i]
}

func (g *guard) stands(t *testing.T, want teishiv1.ProposalState) {
	t.Helper()
	if got := g.proposal(t).State; got != want {
		t.Errorf("the proposal is %v, want %v", got, want)
	}
}

// TestLooseningWaitsForApproval by whatever call it is tried, be it by who may do everything. Tightening never waits.
func TestLooseningWaitsForApproval(t *testing.T) {
	h, g := deliberating(t)
	tagged := func(tags string) string { return `app { id: "line" ` + tags + ` } reason: "r"` }
	amended := func(old, new string) string {
		return `directive { ` + strings.Replace(guardedText, old, new, 1) + ` } reason: "r"`
	}
	const organizations = `in: "home"`
	loosening := []struct{ method, ask string }{
		{"DirectiveService/LiftDirective", `directive: "halt" reason: "r"`},
		{"DirectiveService/WithdrawDirective", `directive: "halt" reason: "r"`},
		{"DirectiveService/ResolveConcern", `directive: "halt" concern: "abroad" evidence: "e" reason: "r"`},
		{"DirectiveService/GrantExemption", `directive: "halt" ground: "g" justification: "j" selector { organizations { in: "school" } expire_time { seconds: 4000000000 } } reason: "r"`},
		{"DirectiveService/AmendDirective", amended(organizations, organizations+` out: "school"`)},
		{"DirectiveService/AmendDirective", amended(`lift_approvals: 2`, `lift_approvals: 1`)},
		{"DirectiveService/AmendDirective", amended(`lift_approvals: 2`, ``)},
		{"DirectiveService/AmendDirective", amended(`authority: "home"`, `authority: "home" expire_time { seconds: 4000000000 }`)},
		{"DirectiveService/IssueDirective", `directive { id: "next" authority: "home" supersedes: "halt" } reason: "r"`},
		{"RegistryService/PutApp", tagged(``)},
		{"RegistryService/PutOrganization", `organization { id: "school" parent: "zz" } reason: "r"`},
		{"RegistryService/Import", `reason: "r"---resource { app { id: "line" } }`},
		{"RegistryService/Import", `reason: "r"---resource { organization { id: "school" parent: "zz" } }---resource { organization { id: "new" } }`},
	}
	h.unchanged(func() {
		for _, c := range loosening {
			for _, only := range []string{"", " validate_only: true"} {
				head, rest, items := strings.Cut(c.ask, "---")
				if items {
					rest = "---" + rest
				}
				g.refuses(t, "cn:root", c.method, head+only+rest, approvalRequired)
			}
		}
	})
	_, err := g.call(t, "cn:root", full(loosening[0].method), loosening[0].ask)
	if got := metadataOf(err, "directives"); got != "halt (2)" {
		t.Errorf("the refusal names %q, want what asks for approval, and of how many", got)
	}
	for _, c := range []struct{ method, ask string }{
		{"RegistryService/PutApp", tagged(`tags: "sns" tags: "new"`)},
		{"RegistryService/PutOrganization", `organization { id: "office" parent: "city" } reason: "r"`},
		{"DirectiveService/ReopenConcern", `directive: "halt" concern: "leak" reason: "r"`},
		{"DirectiveService/ResolveConcern", `directive: "halt" concern: "leak" evidence: "e" reason: "r"`},
		{"DirectiveService/AmendDirective", amended(`lift_approvals: 2`, `lift_approvals: 3`)},
	} {
		g.does(t, "cn:root", c.method, c.ask)
	}
	h.answers(guardedQuestion, denied, teishiv1.Reason_REASON_SUSPENDED)
}

// TestDistinctPeople: whoever proposes does not count, nor whoever had no power then, nor one person twice. The last approval writes one
// entry, with everything.
func TestDistinctPeople(t *testing.T) {
	h, g := deliberating(t)
	g.proposes(t, "cn:ann", withdrawal)
	h.grant("cn:late", "issuer", "home")
	approved := func(who string) {
		t.Helper()
		g.does(t, who, "AccessService/ApproveChange", approve)
	}
	refused := func(who string, want problem) {
		t.Helper()
		h.unchanged(func() { g.refuses(t, who, "AccessService/ApproveChange", approve, want) })
	}
	refused("cn:ann", notApprovable)
	refused("cn:ann group:iss#issuers", notApprovable)
	refused("cn:eve", notGranted)
	refused("cn:late", notGranted)
	refused("cn:checker", notGranted)
	approved("cn:ben2")
	refused("cn:ben2", notApprovable)
	refused("cn:ben3", notApprovable)
	g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_OPEN)
	h.answers(guardedQuestion, denied, teishiv1.Reason_REASON_SUSPENDED)
	h.unchanged(func() {
		g.does(t, "user:iss#fay group:iss#issuers", "AccessService/ApproveChange", approve+` validate_only: true`)
	})
	approved("user:iss#fay group:iss#issuers")
	h.answers(guardedQuestion, allowed, teishiv1.Reason_REASON_NO_DIRECTIVE)
	refused("cn:dan", notApprovable)
	p := g.proposal(t)
	if p.State != teishiv1.ProposalState_PROPOSAL_STATE_APPLIED || p.Proposal.AppliedRevision != h.head() || len(p.Proposal.Approvals) != 2 {
		t.Errorf("the proposal is %v, want it applied by two at the head", p)
	}
	e := do(h, h.audit.GetEntry, &teishiv1.GetEntryRequest{}, fmt.Sprintf("revision: %d", h.head())).Entry
	var kinds []string
	for _, c := range e.Changes.Changes {
		kinds = append(kinds, string(c.GetPut().ProtoReflect().WhichOneof(c.GetPut().ProtoReflect().Descriptor().Oneofs().Get(0)).Name()))
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"directive", "proposal"}) || e.Entry.Principal != "user:iss#fay" {
		t.Errorf("the entry of %s changes %q, want the directive and the proposal by who approved last", e.Entry.Principal, kinds)
	}
}

// TestSamePersonLater: credentials turn out to be of one person before the change is applied, and one of those who approved to be who
// proposed it.
func TestSamePersonLater(t *testing.T) {
	h, g := deliberating(t)
	g.proposes(t, "cn:ann", withdrawal)
	h.grant("cn:cyd", "checker", "zz", `identity: "ann"`)
	h.grant("cn:ann", "checker", "zz", `identity: "ann"`)
	g.refuses(t, "cn:cyd", "AccessService/ApproveChange", approve, notApprovable)
	g.does(t, "cn:ben", "AccessService/ApproveChange", approve)
	h.grant("cn:ben", "checker", "zz", `identity: "ben"`)
	g.refuses(t, "cn:ben2", "AccessService/ApproveChange", approve, notApprovable)
	h.grant("cn:ben", "checker", "zz", `identity: "ann"`)
	g.does(t, "cn:dan", "AccessService/ApproveChange", approve)
	g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_OPEN)
	g.does(t, "user:iss#fay group:iss#issuers", "AccessService/ApproveChange", approve)
	g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_APPLIED)
}

// TestPowerIsLost: what somebody proposed or approved who could no longer do it comes to nothing.
func TestPowerIsLost(t *testing.T) {
	t.Run("of the proposer", func(t *testing.T) {
		_, g := deliberating(t)
		g.proposes(t, "cn:ann", withdrawal)
		g.does(t, "cn:ben", "AccessService/ApproveChange", approve)
		g.does(t, "cn:root", "AccessService/Revoke", `id: "ann" reason: "r"`)
		g.refuses(t, "cn:cyd", "AccessService/ApproveChange", approve, notGranted)
		g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_OPEN)
	})
	t.Run("of one who approved", func(t *testing.T) {
		h, g := deliberating(t)
		g.proposes(t, "cn:ann", withdrawal)
		g.does(t, "cn:ben", "AccessService/ApproveChange", approve)
		g.does(t, "cn:root", "AccessService/Revoke", `id: "ben" reason: "r"`)
		h.grant("cn:ben", "issuer", "home") // it is younger than the proposal
		g.does(t, "cn:cyd", "AccessService/ApproveChange", approve)
		g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_OPEN)
		h.answers(guardedQuestion, denied, teishiv1.Reason_REASON_SUSPENDED)
		g.does(t, "cn:dan", "AccessService/ApproveChange", approve)
		g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_APPLIED)
	})
}

// TestEveryProposal is applied as its own call would, once two have approved.
func TestEveryProposal(t *testing.T) {
	exempted := `grant_exemption { directive: "halt" release: "hole" ground: "g" justification: "j" selector { organizations { in: "school" } expire_time { seconds: 4000000000 } } reason: "r" }`
	for _, c := range []struct {
		change string
		by     string // who proposes
		others []string
		want   teishiv1.Reason
	}{
		{fullLift, "cn:ann", []string{"cn:ben", "cn:cyd"}, teishiv1.Reason_REASON_RELEASED},
		{`resolve_concern { directive: "halt" concern: "abroad" evidence: "e" reason: "r" }`, "cn:ann", []string{"cn:ben", "cn:cyd"}, teishiv1.Reason_REASON_RELEASED},
		{exempted, "cn:city1", []string{"cn:city2", "cn:city3"}, teishiv1.Reason_REASON_RELEASED},
		{exempted, "cn:city1", []string{"cn:city2", "cn:ann"}, teishiv1.Reason_REASON_RELEASED},
		{`put_organization { organization { id: "school" parent: "zz" } reason: "r" }`, "cn:root", []string{"cn:ben", "cn:cyd"}, teishiv1.Reason_REASON_NO_DIRECTIVE},
		{`put_app { app { id: "line" } reason: "r" }`, "cn:root", []string{"cn:ben", "cn:cyd"}, teishiv1.Reason_REASON_NO_DIRECTIVE},
		{`amend_directive { directive { ` + strings.Replace(guardedText, "sns", "other", 1) + ` } reason: "r" }`, "cn:ann", []string{"cn:ben", "cn:cyd"}, teishiv1.Reason_REASON_NO_DIRECTIVE},
		{`issue_directive { directive { id: "next" authority: "home" supersedes: "halt" } reason: "r" }`, "cn:ann", []string{"cn:ben", "cn:cyd"}, teishiv1.Reason_REASON_NO_DIRECTIVE},
	} {
		h, g := deliberating(t)
		g.proposes(t, c.by, c.change)
		h.answers(guardedQuestion, denied, teishiv1.Reason_REASON_SUSPENDED)
		g.does(t, c.others[0], "AccessService/ApproveChange", approve)
		before := h.head()
		g.does(t, c.others[1], "AccessService/ApproveChange", approve)
		if h.head() != before+1 {
			t.Errorf("%s takes %d entries, want one", c.change, h.head()-before)
		}
		h.answers(guardedQuestion, allowed, c.want)
	}
}

// TestNotProposed is what cannot be proposed, and by whom.
func TestNotProposed(t *testing.T) {
	h, g := deliberating(t)
	h.grant("cn:registrar", "registrar", "*")
	h.unchanged(func() {
		for _, c := range []struct {
			who, change, more string
			want              problem
		}{
			{"cn:eve", withdrawal, "", notGranted},
			{"cn:city1", withdrawal, "", notGranted},
			{"cn:city1", `grant_exemption { directive: "halt" ground: "g" justification: "j" selector { organizations { in: "home" } expire_time { seconds: 4000000000 } } reason: "r" }`, "", notGranted},
			{"cn:city1", `grant_exemption { directive: "halt" ground: "g" justification: "j" selector { expire_time { seconds: 4000000000 } } reason: "r" }`, "", notGranted},
			{"cn:registrar", `put_app { app { id: "line" } reason: "r" }`, "", notGranted},
			{"cn:ann", `put_app { app { id: "line" } reason: "r" }`, "", notGranted},
			{"cn:ann", `put_organization { organization { id: "school" parent: "zz" } reason: "r" }`, "", notGranted},
			{"cn:ann", `issue_directive { directive { id: "next" authority: "home" } reason: "r" }`, "", invalid("change")},
			{"cn:ann", withdrawal, `expire_time { seconds: 1 }`, invalid("expire_time")},
			{"cn:ann", withdrawal, `expire_time { seconds: 4000000000 }`, invalid("expire_time")},
			{"cn:ann", `withdraw_directive { directive: "halt" reason: "r" request_id: "x" }`, "", invalid("change.request_id")},
			{"cn:ann", `withdraw_directive { directive: "halt" reason: "r" validate_only: true }`, "", invalid("change.validate_only")},
			{"cn:ann", `withdraw_directive { directive: "halt" reason: "r" expect_revision: 1 }`, "", problem{codes.Aborted, "REVISION_MISMATCH", "expect_revision"}},
		} {
			g.refuses(t, c.who, "AccessService/ProposeChange", `change { `+c.change+` } reason: "r" `+c.more, c.want)
		}
	})
	refused(h, h.access().ProposeChange, &teishiv1.ProposeChangeRequest{}, `change { `+withdrawal+` } reason: "r"`, invalid("change"))
	g.refuses(t, "cn:ann", "AccessService/ApproveChange", `id: "nothing" reason: "r"`, notGranted)
}

// TestProposalLapses by the server's clock, and what has lapsed cannot be approved.
func TestProposalLapses(t *testing.T) {
	h, g := deliberating(t)
	soon := timestamppb.New(time.Now().Add(2 * time.Second).Truncate(time.Microsecond))
	g.proposes(t, "cn:ann", withdrawal, `expire_time { `+fmt.Sprintf("seconds: %d nanos: %d", soon.Seconds, soon.Nanos)+` }`)
	g.does(t, "cn:ben", "AccessService/ApproveChange", approve)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for g.proposal(t).State != teishiv1.ProposalState_PROPOSAL_STATE_EXPIRED {
		<-look.C
	}
	g.refuses(t, "cn:cyd", "AccessService/ApproveChange", approve, notApprovable)
	h.answers(guardedQuestion, denied, teishiv1.Reason_REASON_SUSPENDED)
}

// TestProposalIsVoid once what it is about was written by another.
func TestProposalIsVoid(t *testing.T) {
	for what, c := range map[string]struct{ change, method, ask string }{
		"the text":         {fullLift, "DirectiveService/AmendDirective", `directive { ` + guardedText + ` number: "2" } reason: "r"`},
		"the number":       {fullLift, "DirectiveService/AmendDirective", `directive { ` + strings.Replace(guardedText, "lift_approvals: 2", "lift_approvals: 3", 1) + ` } reason: "r"`},
		"the organization": {`put_organization { organization { id: "school" parent: "zz" } reason: "r" }`, "RegistryService/PutOrganization", `organization { id: "school" parent: "city" names { key: "en" value: "School" } } reason: "r"`},
		"a concern":        {`resolve_concern { directive: "halt" concern: "abroad" evidence: "e" reason: "r" }`, "DirectiveService/ReopenConcern", `directive: "halt" concern: "leak" reason: "r"`},
		"where it is":      {`put_organization { organization { id: "city" parent: "zz" } reason: "r" }`, "RegistryService/PutOrganization", `organization { id: "city" parent: "home" kind: "municipality" } reason: "r"`},
	} {
		t.Run(what, func(t *testing.T) {
			h, g := deliberating(t)
			g.proposes(t, "cn:root", c.change)
			g.does(t, "cn:ben", "AccessService/ApproveChange", approve)
			g.does(t, "cn:root", c.method, c.ask)
			if what != "a concern" { // a state is no part of what is proposed
				g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_VOID)
			}
			g.refuses(t, "cn:cyd", "AccessService/ApproveChange", approve, notApprovable)
			h.answers(guardedQuestion, denied, teishiv1.Reason_REASON_SUSPENDED)
		})
	}
}

// TestNumberBeforeTheChange: it takes as many to ask for fewer as the text asks for that is changed.
func TestNumberBeforeTheChange(t *testing.T) {
	h, g := deliberating(t)
	fewer := strings.Replace(guardedText, "lift_approvals: 2", "lift_approvals: 1", 1)
	g.proposes(t, "cn:ann", `amend_directive { directive { `+fewer+` } reason: "r" }`)
	g.does(t, "cn:ben", "AccessService/ApproveChange", approve)
	g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_OPEN)
	g.does(t, "cn:cyd", "AccessService/ApproveChange", approve)
	g.stands(t, teishiv1.ProposalState_PROPOSAL_STATE_APPLIED)
	g.does(t, "cn:ann", "AccessService/ProposeChange", `id: "next" change { `+fullLift+` } reason: "r"`)
	g.does(t, "cn:ben", "AccessService/ApproveChange", `id: "next" reason: "r"`)
	h.answers(guardedQuestion, allowed, teishiv1.Reason_REASON_RELEASED)
}

// TestProposalsAreSeen by those whom they concern, and approvers see only exemptions that they could grant.
func TestProposalsAreSeen(t *testing.T) {
	h, g := deliberating(t)
	do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "other" parent: "home" } reason: "r"`)
	h.grant("cn:elsewhere", "approver", "other")
	h.grant("cn:auditor", "auditor", "home")
	h.grant("cn:watcher", "auditor", "zz")
	g.proposes(t, "cn:city1", `grant_exemption { directive: "halt" ground: "g" justification: "zzother" selector { organizations { in: "school" } expire_time { seconds: 4000000000 } } reason: "r" }`)
	for who, sees := range map[string]bool{"cn:city1": true, "cn:city2": true, "cn:ann": true, "cn:auditor": true, "cn:root": true,
		"cn:elsewhere": false, "cn:eve": false, "cn:watcher": false} {
		for _, open := range []string{"", "open: true"} {
			if said := g.does(t, who, "AccessService/ListProposals", open); strings.Contains(said, "zzother") != sees {
				t.Errorf("%s sees the proposal: %t, want %t", who, !sees, sees)
			}
		}
	}
	for _, id := range []string{"it", "nothing"} {
		g.refuses(t, "cn:elsewhere", "AccessService/ApproveChange", `id: "`+id+`" expect_revision: 1 reason: "r"`, notGranted)
	}
	if change := g.proposal(t).Change; !proto.Equal(change.GetGrantExemption().GetSelector().GetOrganizations(), &teishiv1.OrganizationSelector{In: []string{"school"}}) {
		t.Errorf("the proposal is listed as %v", change)
	}
}
