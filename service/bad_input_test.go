package service_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// provision is a directive with one provision of a selector.
func provision(selector string) string {
	return `directive { id: "d" authority: "mic" provisions { id: "p" force: FORCE_BINDING selector { ` + selector + ` } } } reason: "x"`
}

const whole = `organizations { in: "mic" } targets { in { app: "line" } } `

func TestBadDirective(t *testing.T) {
	h := open(t)
	h.suspend()
	at := func(below string) string { return "directive.provisions[0].selector." + below }
	for _, c := range []struct {
		request string
		want    problem
	}{
		{provision(`targets { in { app: "line" } }`), invalid(at("organizations"))},
		{provision(`organizations { in: "mic" }`), invalid(at("targets"))},
		{provision(`organizations { in: "mic" } targets { in { } }`), invalid(at("targets.in[0]"))},
		{provision(`organizations { in: "nobody" } targets { all: true }`), unknownReference(at("organizations.in[0]"))},
		{provision(`organizations { in: "corporate-number:2000012020001" } targets { all: true }`), invalid(at("organizations.in[0]"))},
		{provision(`organizations { in: "mic" } targets { in { app: "nothing" } }`), unknownReference(at("targets.in[0].app"))},
		{provision(whole + `purposes { in: "feedback.nothing" }`), unknownReference(at("purposes.in[0]"))},
		{provision(whole + `conditions { attribute: "nothing" values: "x" }`), unknownReference(at("conditions[0].attribute"))},
		{provision(whole + `conditions { attribute: "account" values: "x" }`), invalid(at("conditions[0].values[0]"))},
		{provision(whole + `conditions { attribute: "account" values: "official" values: "personal" }`), invalid(at("conditions[0].values"))},
		{provision(whole + `effective_time { seconds: 9 } expire_time { seconds: 9 }`), invalid(at("expire_time"))},
		{provision(whole + `expire_time { seconds: 9 nanos: 10 }`), invalid(at("expire_time"))},
		{provision(`organizations { in: "city" } targets { all: true }`), notPermitted(at("organizations.in[0]"))},
		{provision(`organizations { all: true } targets { all: true }`), notPermitted(at("organizations.all"))},
		{`directive { id: "d" authority: "mic" effective_time { seconds: 9 } expire_time { seconds: 8 } } reason: "x"`, invalid("directive.expire_time")},
		{`directive { id: "d" authority: "mic" supersedes: "d" } reason: "x"`, invalid("directive.supersedes[0]")},
		{`directive { id: "d" authority: "city" supersedes: "halt" } reason: "x"`, notPermitted("directive.supersedes[0]")},
		{`directive { id: "d" authority: "nobody" } reason: "x"`, unknownReference("directive.authority")},
		{`directive { id: "d" authority: "mic" lift_mode: LIFT_MODE_WHEN_CONCERNS_RESOLVED } reason: "x"`, invalid("directive.lift_mode")},
		{`directive { id: "d" authority: "mic" lift_mode: 99 } reason: "x"`, unknownField("directive.lift_mode")},
		{`directive { id: "d" authority: "mic" device_action: 99 } reason: "x"`, unknownField("directive.device_action")},
		{`directive { id: "d" authority: "mic" lift_approvals: 17 } reason: "x"`, invalid("directive.lift_approvals")},
		{`directive { id: "d" authority: "mic" } `, invalid("reason")},
		{`directive { id: "d" authority: "mic" } reason: "x" request_id: "a/2"`, invalid("request_id")},
		{`directive { id: "d" authority: "mic" } reason: "x" expect_revision: -1`, invalid("expect_revision")},
		{`reason: "x"`, invalid("directive")},
		{`directive { ` + halt + ` } reason: "x"`, problem{codes.AlreadyExists, "RESOURCE_EXISTS", ""}},
	} {
		refused(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, c.request, c.want)
	}
	amend := strings.Replace(halt, `id: "all"`, `id: "other"`, 1)
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" provisions: "all" reason: "x"`)
	refused(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { `+amend+` effective_time {} } reason: "x"`, notPermitted("directive.provisions"))
	refused(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { `+halt+` } reason: "x"`, invalid("directive.effective_time"))
	refused(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { id: "none" authority: "mic" effective_time {} } reason: "x"`,
		problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""})
}

func TestBadExemption(t *testing.T) {
	h := open(t)
	h.suspend()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "strict" authority: "mic" } reason: "x"`)
	day := func(n int) *timestamppb.Timestamp {
		return timestamppb.New(time.Now().Add(time.Duration(n) * 24 * time.Hour).Truncate(time.Microsecond))
	}
	for name, c := range map[string]struct {
		change func(*teishiv1.GrantExemptionRequest)
		want   problem
	}{
		"ground of no list":   {func(r *teishiv1.GrantExemptionRequest) { r.Ground = "fun" }, notPermitted("ground")},
		"no ground":           {func(r *teishiv1.GrantExemptionRequest) { r.Ground = "" }, invalid("ground")},
		"no expiry":           {func(r *teishiv1.GrantExemptionRequest) { r.Selector.ExpireTime = nil }, invalid("selector.expire_time")},
		"too long":            {func(r *teishiv1.GrantExemptionRequest) { r.Selector.ExpireTime = day(40) }, notPermitted("selector.expire_time")},
		"expiry before start": {func(r *teishiv1.GrantExemptionRequest) { r.Selector.ExpireTime = day(-1) }, invalid("selector.expire_time")},
		"no selector":         {func(r *teishiv1.GrantExemptionRequest) { r.Selector = nil }, invalid("selector")},
		"no justification":    {func(r *teishiv1.GrantExemptionRequest) { r.Justification = "" }, invalid("justification")},
		"no such provision":   {func(r *teishiv1.GrantExemptionRequest) { r.Provisions = []string{"none"} }, invalid("provisions[0]")},
		"no such instrument":  {func(r *teishiv1.GrantExemptionRequest) { r.Instrument = "none" }, unknownReference("instrument")},
		"whole city":          {func(r *teishiv1.GrantExemptionRequest) { r.Selector.Organizations.In = []string{"city"} }, notPermitted("selector.purposes.in")},
		"no rules":            {func(r *teishiv1.GrantExemptionRequest) { r.Directive = "strict" }, notPermitted("directive")},
		"no directive":        {func(r *teishiv1.GrantExemptionRequest) { r.Directive = "none" }, problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""}},
		"reserved id":         {func(r *teishiv1.GrantExemptionRequest) { r.Release = "concerns-99" }, invalid("release")},
	} {
		h.unchanged(func() {
			req := exemption(h)
			c.change(req)
			_, err := h.directives.GrantExemption(t.Context(), req)
			c.want.check(t, name, err)
		})
	}
	refused(h, h.directives.RevokeRelease, &teishiv1.RevokeReleaseRequest{}, `directive: "halt" release: "none" reason: "x"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""})
	refused(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, `directive: "halt" concern: "none" evidence: "x" reason: "x"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""})
	refused(h, h.directives.ReopenConcern, &teishiv1.ReopenConcernRequest{}, `directive: "halt" concern: "abroad" reason: "x"`, notPermitted("concern"))
	refused(h, h.directives.RecordStatement, &teishiv1.RecordStatementRequest{}, `statement { directive: "halt" id: "S" author: "a" text: "t" } reason: "x"`, invalid("statement.id"))
	refused(h, h.directives.AdoptDirective, &teishiv1.AdoptDirectiveRequest{}, `directive: "halt" id: "copy" authority: "city" reason: "x"`, notPermitted("authority"))
	refused(h, h.directives.AdoptDirective, &teishiv1.AdoptDirectiveRequest{}, `directive: "halt" id: "copy" authority: "nobody" reason: "x"`, unknownReference("authority"))
}

func TestBadRegistry(t *testing.T) {
	h := open(t)
	h.suspend()
	organization := func(o string, want problem) {
		t.Helper()
		refused(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+o+` } reason: "x"`, want)
	}
	organization(`id: "jp" parent: "school"`, invalid("organization.parent"))
	organization(`id: "a" parent: "a"`, invalid("organization.parent"))
	organization(`id: "a" parent: "nobody"`, unknownReference("organization.parent"))
	organization(`id: "a" aliases: "jis:131016"`, problem{codes.AlreadyExists, "IDENTIFIER_HELD", "organization.aliases[0]"})
	organization(`id: "a" aliases: "jis:131017"`, invalid("organization.aliases[0]"))
	organization(`id: "a" aliases: "corporate-number:7000012050003"`, invalid("organization.aliases[0]"))
	organization(`id: "Tokyo 都"`, invalid("organization.id"))
	organization(`id: "a" names { key: "not a tag" value: "x" }`, invalid(`organization.names["not a tag"]`))

	vendor := func(v string, want problem) {
		t.Helper()
		refused(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { `+v+` } reason: "x"`, want)
	}
	vendor(`id: "naver" parents { vendor: "z" start_time { seconds: 100 } end_time { seconds: 200 } }`, invalid("vendor.parents[0]"))
	vendor(`id: "v" parents { vendor: "nobody" }`, unknownReference("vendor.parents[0].vendor"))
	vendor(`id: "v" countries { country: "KR" end_time { seconds: 9 } } countries { country: "JP" start_time { seconds: 8 } }`, invalid("vendor.countries[1]"))
	vendor(`id: "v" countries { country: "kr" }`, invalid("vendor.countries[0].country"))

	app := func(a string, want problem) {
		t.Helper()
		refused(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { `+a+` } reason: "x"`, want)
	}
	app(`id: "a" ownerships { vendor: "z" end_time { seconds: 9 } } ownerships { vendor: "naver" start_time { seconds: 8 } }`, invalid("app.ownerships[1]"))
	app(`id: "a" identifiers: "ios:JP.naver.LINE"`, problem{codes.AlreadyExists, "IDENTIFIER_HELD", "app.identifiers[0]"})
	app(`id: "a" identifiers: "iso:jp.naver.line"`, invalid("app.identifiers[0]"))
	app(`id: "a" identifiers: "domain:me"`, invalid("app.identifiers[0]"))
	app(`id: "a" on_stale: 99`, unknownField("app.on_stale"))

	values := ""
	for i := range 65 {
		values += fmt.Sprintf(`values: "v%d" `, i)
	}
	refused(h, h.registry.PutAttribute, &teishiv1.PutAttributeRequest{}, `attribute { id: "a" `+values+` } reason: "x"`, invalid("attribute.values"))
	refused(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "a..b" } reason: "x"`, invalid("purpose.id"))
	referenced := problem{codes.FailedPrecondition, "REFERENCED", ""}
	refused(h, h.registry.DeleteOrganization, &teishiv1.DeleteOrganizationRequest{}, `id: "mic" reason: "x"`, referenced)
	refused(h, h.registry.DeleteApp, &teishiv1.DeleteAppRequest{}, `id: "line" reason: "x"`, referenced)
	refused(h, h.registry.DeleteVendor, &teishiv1.DeleteVendorRequest{}, `id: "nobody" reason: "x"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""})
}

// TestMoveOutOfReach moves an organization out of what binds it.
func TestMoveOutOfReach(t *testing.T) {
	h := open(t)
	h.settle()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "rule" authority: "city"
		provisions { id: "p" force: FORCE_BINDING selector { organizations { in: "school" } targets { all: true } } } } reason: "x"`)
	req := text(t, &teishiv1.PutOrganizationRequest{}, `organization { id: "school" parent: "mic" } reason: "x"`)
	_, err := h.registry.PutOrganization(t.Context(), req)
	notPermitted("organization.parent").check(t, "the move", err)
	if got := metadataOf(err, "directive"); got != "rule" {
		t.Errorf("the move is refused for directive %q, want rule", got)
	}
}

func TestBadRead(t *testing.T) {
	h := open(t)
	h.settle()
	absent := problem{codes.NotFound, "RESOURCE_NOT_FOUND", ""}
	refused(h, h.registry.GetOrganization, &teishiv1.GetOrganizationRequest{}, `id: "nobody"`, absent)
	refused(h, h.registry.GetApp, &teishiv1.GetAppRequest{}, `id: "nothing"`, absent)
	refused(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "none"`, absent)
	refused(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, ``, invalid("id"))
	refused(h, h.audit.GetEntry, &teishiv1.GetEntryRequest{}, `revision: 999`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "revision"})
	refused(h, h.audit.GetEntry, &teishiv1.GetEntryRequest{}, `revision: 0`, invalid("revision"))
	refused(h, h.registry.ListApps, &teishiv1.ListAppsRequest{}, `page_size: -1`, invalid("page_size"))
	refused(h, h.registry.ListApps, &teishiv1.ListAppsRequest{}, `page_token: "nonsense"`, invalid("page_token"))
	refused(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, `under: "nobody"`, unknownReference("under"))
	refused(h, h.directives.ListDirectives, &teishiv1.ListDirectivesRequest{}, `authority: "nobody"`, unknownReference("authority"))
	refused(h, h.directives.ListReleases, &teishiv1.ListReleasesRequest{}, `directive: "none"`, absent)
	refused(h, h.directives.ListReleases, &teishiv1.ListReleasesRequest{}, ``, invalid("directive"))
}

// TestHugeRequest sends 10 MB to a write and to a question, and more than a question may have to Check.
func TestHugeRequest(t *testing.T) {
	h := open(t)
	h.unchanged(func() {
		huge := strings.Repeat("x", 10<<20)
		_, err := h.registry.PutApp(t.Context(), &teishiv1.PutAppRequest{App: &teishiv1.App{Id: "a"}, Reason: huge})
		problem{code: codes.ResourceExhausted}.check(t, "a write of 10 MB", err)
		_, err = h.decisions.Check(t.Context(), &teishiv1.CheckRequest{Organization: huge})
		problem{code: codes.ResourceExhausted}.check(t, "a question of 10 MB", err)
		_, err = h.decisions.Check(t.Context(), &teishiv1.CheckRequest{Organization: huge[:64<<10+1]})
		problem{code: codes.ResourceExhausted, reason: "MESSAGE_TOO_LARGE"}.check(t, "a question of 64 KiB and more", err)
	})
}

// TestUndecodable sends bytes that are no message.
func TestUndecodable(t *testing.T) {
	h := open(t)
	h.unchanged(func() {
		for _, method := range []string{teishiv1.DecisionService_Check_FullMethodName, teishiv1.RegistryService_PutApp_FullMethodName} {
			err := h.conn.Invoke(t.Context(), method, &teishiv1.CheckRequest{}, &teishiv1.CheckResponse{}, rawBytes([]byte{0xff, 0xff, 0xff}))
			problem{code: codes.Internal}.check(t, method, err)
		}
	})
}

// TestUnknownFieldInQuestion sees decision methods ignore what they do not know.
func TestUnknownFieldInQuestion(t *testing.T) {
	h := open(t)
	req := &teishiv1.CheckRequest{Organization: "o", App: "a"}
	req.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
	if _, err := h.decisions.Check(t.Context(), req); err != nil {
		t.Errorf("Check with an unknown field: %v", err)
	}
}
