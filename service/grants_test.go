package service_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// TestGrantsAreNotChanged: who approves needs a grant that is older than the proposal.
func TestGrantsAreNotChanged(t *testing.T) {
	_, g := guarded(t)
	exists := problem{codes.AlreadyExists, "RESOURCE_EXISTS", ""}
	g.refuses(t, "cn:administrator-all", "AccessService/Grant", `grant { id: "home-grant" principal: "cn:home" role: ROLE_ISSUER organization: "home-city" } reason: "r"`, exists)
	g.refuses(t, "cn:administrator", "AccessService/Grant", `grant { id: "home-grant" principal: "cn:home" role: ROLE_CHECKER organization: "home-city" } reason: "r"`, exists)
	g.refuses(t, "cn:administrator", "AccessService/Grant", `grant { id: "zzother-grant" principal: "cn:home" role: ROLE_CHECKER organization: "home-city" } reason: "r"`, notGranted)
}

// TestLastAdministrator: whoever administers everything cannot leave nobody who does.
func TestLastAdministrator(t *testing.T) {
	h, g := openGuarded(t)
	do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "home" } reason: "r"`)
	h.grant("cn:root", "administrator", "*", `id: "root"`)
	g.does(t, "cn:root", "AccessService/Grant", `grant { principal: "cn:home" role: ROLE_ADMINISTRATOR organization: "home" } reason: "r"`)
	g.does(t, "cn:root", "AccessService/Grant", `grant { principal: "cn:root" role: ROLE_AUDITOR organization: "*" } reason: "r"`)
	h.unchanged(func() {
		g.refuses(t, "cn:root", "AccessService/Revoke", `id: "root" reason: "r"`, lastOne)
		g.refuses(t, "cn:root", "AccessService/Revoke", `id: "root" reason: "r" validate_only: true`, lastOne)
		g.refuses(t, "cn:home", "AccessService/Revoke", `id: "root" reason: "r"`, notGranted)
	})
	refused(h, h.access().Revoke, &teishiv1.RevokeRequest{}, `id: "root" reason: "r"`, lastOne)
	g.does(t, "cn:root", "AccessService/Grant", `grant { id: "staff" principal: "group:iss#staff" role: ROLE_ADMINISTRATOR organization: "*" } reason: "r"`)
	g.does(t, "cn:root", "AccessService/Revoke", `id: "root" reason: "r"`)
	g.refuses(t, "cn:root", "AccessService/Revoke", `id: "staff" reason: "r"`, notGranted)
	g.refuses(t, "cn:new group:iss#staff", "AccessService/Revoke", `id: "staff" reason: "r"`, lastOne)
}

// TestAdministratorOfSubtree grants what it has, where it has it.
func TestAdministratorOfSubtree(t *testing.T) {
	h, g := guarded(t)
	give := func(role, over string) string {
		return `grant { principal: "cn:new" role: ROLE_` + role + ` organization: "` + over + `" } reason: "r"`
	}
	for _, role := range matrixRoles[:5] {
		g.does(t, "cn:administrator", "AccessService/Grant", give(strings.ToUpper(role), "home-city"))
	}
	h.unchanged(func() {
		for _, over := range []string{"*", "nation", "zzother", "zzother-city", "nowhere"} {
			g.refuses(t, "cn:administrator", "AccessService/Grant", give("CHECKER", over), notGranted)
		}
		g.refuses(t, "cn:administrator", "AccessService/Revoke", `id: "zzother-grant" reason: "r"`, notGranted)
		g.refuses(t, "cn:administrator", "AccessService/Revoke", `id: "nothing" reason: "r"`, notGranted)
		g.refuses(t, "cn:administrator", "AccessService/Revoke", `id: "zzother-grant" expect_revision: 1 reason: "r"`, notGranted)
		g.refuses(t, "cn:issuer", "AccessService/Grant", give("CHECKER", "home"), notGranted)
	})
	g.does(t, "cn:administrator-all", "RegistryService/PutOrganization", `organization { id: "home-school" parent: "home" } reason: "r"`)
	g.does(t, "cn:administrator", "AccessService/Grant", give("CHECKER", "home-school"))
	g.does(t, "cn:administrator-all", "RegistryService/PutOrganization", `organization { id: "home-school" parent: "zzother" } reason: "r"`)
	g.refuses(t, "cn:administrator", "AccessService/Grant", give("CHECKER", "home-school"), notGranted)
	g.refuses(t, "cn:administrator-all", "RegistryService/DeleteOrganization", `id: "home-school" reason: "r"`, problem{codes.FailedPrecondition, "REFERENCED", ""})
}

// TestGroups: their grants are those of whoever belongs to them, for as long.
func TestGroups(t *testing.T) {
	h, g := guarded(t)
	const ask = `organization: "home-city" app: "line"`
	h.grant("group:iss#staff", "checker", "home", `id: "staff"`)
	g.refuses(t, "user:iss#ann", "DecisionService/Check", ask, notGranted)
	g.refuses(t, "user:iss#ann group:iss#other", "DecisionService/Check", ask, notGranted)
	g.does(t, "user:iss#ann group:iss#other group:iss#staff", "DecisionService/Check", ask)
	g.does(t, "cn:administrator", "AccessService/Revoke", `id: "staff" reason: "r"`)
	g.refuses(t, "user:iss#ann group:iss#staff", "DecisionService/Check", ask, notGranted)
}

// TestWhoAmI tells callers how they are known, and by what they may do it.
func TestWhoAmI(t *testing.T) {
	h, g := guarded(t)
	h.grant("group:iss#staff", "checker", "home", `id: "staff"`)
	who := func(conn *grpc.ClientConn, principal string) *teishiv1.WhoAmIResponse {
		t.Helper()
		resp, err := teishiv1.NewAccessServiceClient(conn).WhoAmI(asPrincipal(t.Context(), principal), &teishiv1.WhoAmIRequest{})
		h.must(err)
		return resp
	}
	for _, c := range []struct {
		conn           *grpc.ClientConn
		caller, is     string
		authentication teishiv1.Authentication
		grants         int
	}{
		{h.conn, "", "local", teishiv1.Authentication_AUTHENTICATION_NONE, 0},
		{g.conn, "cn:nothing", "cn:nothing", teishiv1.Authentication_AUTHENTICATION_CERTIFICATE, 0},
		{g.conn, "cn:checker", "cn:checker", teishiv1.Authentication_AUTHENTICATION_CERTIFICATE, 1},
		{g.conn, "user:iss#ann group:iss#staff", "user:iss#ann", teishiv1.Authentication_AUTHENTICATION_TOKEN, 1},
		{g.conn, "cn:checker group:iss#staff", "cn:checker", teishiv1.Authentication_AUTHENTICATION_CERTIFICATE, 2},
	} {
		got := who(c.conn, c.caller)
		if got.Principal != c.is || got.Authentication != c.authentication || len(got.Grants) != c.grants || got.Revision != h.head() {
			t.Errorf("WhoAmI as %q = %v, want %s by %s with %d grants", c.caller, got, c.is, c.authentication, c.grants)
		}
	}
}

// TestRevocationEndsStreams: what was granted no longer counts for those who are connected, nor does it over what is elsewhere now.
func TestRevocationEndsStreams(t *testing.T) {
	const revoked, moved = `id: "mine" reason: "r"`, `organization { id: "home-school" parent: "zzother" aliases: "name:school" } reason: "r"`
	for _, c := range []struct{ role, over, method, ask, by, change string }{
		{"checker", "home", "DecisionService/WatchDecisions", `selectors { organizations: "home-school" apps: "line" }`, "AccessService/Revoke", revoked},
		{"checker", "home", "DecisionService/WatchDecisions", `selectors { organizations: "home-school" apps: "line" }`, "RegistryService/PutOrganization", moved},
		{"checker", "home", "DecisionService/WatchDecisions", `selectors { organizations: "name:school" apps: "line" }`, "RegistryService/PutOrganization", moved},
		{"checker", "home", "RestrictionService/WatchRestrictions", `organization: "home-school" platform: "ios"`, "AccessService/Revoke", revoked},
		{"checker", "home", "RestrictionService/WatchRestrictions", `organization: "home-school" platform: "ios"`, "RegistryService/PutOrganization", moved},
		{"replica", "*", "LogService/Tail", `domain: "teishi"`, "AccessService/Revoke", revoked},
	} {
		t.Run(c.method+" "+c.by, func(t *testing.T) {
			h, g := guarded(t)
			do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "home-school" parent: "home" aliases: "name:school" } reason: "r"`)
			h.grant("cn:mine", c.role, c.over, `id: "mine"`)
			h.grant("cn:mine", "auditor", "zzother") // the streams do not end for want of any grant
			next := g.listens(t, "cn:mine", c.method, c.ask)
			for range 2 {
				h.must(next())
			}
			g.does(t, "cn:administrator-all", c.by, c.change)
			var err error
			for err == nil {
				err = next()
			}
			notGranted.check(t, c.method, err)
			if said := describe(err); strings.Contains(said, "zzother") {
				t.Errorf("%s tells of zzother: %s", c.method, said)
			}
		})
	}
}

// listens opens a stream as a principal, and returns what waits for its next message.
func (g *guard) listens(t *testing.T, principal, method, ask string) (next func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(asPrincipal(t.Context(), principal), time.Minute)
	t.Cleanup(cancel)
	stream, err := g.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, full(method))
	if err != nil {
		t.Fatal(err)
	}
	m := methodOf(t, full(method))
	if err := stream.SendMsg(text(t, newMessage(m.Input()), ask)); err != nil {
		t.Fatal(err)
	}
	return func() error { return stream.RecvMsg(newMessage(m.Output())) }
}

// TestRevocationOfItems: each question of a stream is judged by the grants of its own time.
func TestRevocationOfItems(t *testing.T) {
	h, g := guarded(t)
	h.grant("cn:mine", "checker", "home", `id: "first"`)
	h.grant("cn:mine", "checker", "zzother", `id: "second"`)
	stream, err := teishiv1.NewDecisionServiceClient(g.conn).StreamCheck(asPrincipal(t.Context(), "cn:mine"))
	h.must(err)
	ask := func(organization string) error {
		err := stream.Send(&teishiv1.StreamCheckRequest{Check: &teishiv1.CheckRequest{Organization: organization, App: "line"}})
		h.must(err)
		resp, err := stream.Recv()
		if err == nil && resp.GetError() != nil {
			return status.ErrorProto(resp.GetError())
		}
		return err
	}
	h.must(ask("home-city"))
	g.does(t, "cn:administrator", "AccessService/Revoke", `id: "first" reason: "r"`)
	notGranted.check(t, "a question about what is no longer one's own", ask("home-city"))
	h.must(ask("zzother-city"))
	g.does(t, "cn:administrator-all", "AccessService/Revoke", `id: "second" reason: "r"`)
	notGranted.check(t, "a question of nobody", ask("zzother-city"))
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the stream of nobody ends with %v", err)
	}
}

// TestRepeatAfterRevocation: who may no longer write is not told again what it wrote.
func TestRepeatAfterRevocation(t *testing.T) {
	h, g := guarded(t)
	h.grant("cn:mine", "issuer", "home", `id: "mine"`)
	const lift = `directive: "home-halt" reason: "r" request_id: "once"`
	g.does(t, "cn:mine", "DirectiveService/LiftDirective", lift)
	h.unchanged(func() {
		g.does(t, "cn:mine", "DirectiveService/LiftDirective", lift)
		g.refuses(t, "cn:issuer", "DirectiveService/LiftDirective", `directive: "zzother-halt" reason: "r" request_id: "once"`, notGranted)
	})
	g.does(t, "cn:administrator", "AccessService/Revoke", `id: "mine" reason: "r"`)
	g.refuses(t, "cn:mine", "DirectiveService/LiftDirective", lift, notGranted)
}

// TestFormerNames: who may ask about an organization may not ask what another was answered that was once called like it.
func TestFormerNames(t *testing.T) {
	h, g := guarded(t)
	put := func(format string) {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+format+` } reason: "r"`)
	}
	put(`id: "zzother-old" parent: "zzother" aliases: "name:school"`)
	before := h.head()
	put(`id: "zzother-old" parent: "zzother"`)
	put(`id: "home-school" parent: "home" aliases: "name:school"`)
	asked := strings.NewReplacer("$now", strconv.FormatInt(h.head(), 10), "$then", strconv.FormatInt(before, 10))
	for _, method := range []string{"DecisionService/Check", "DecisionService/BatchCheck"} {
		for when, want := range map[string]bool{"$now": true, "$then": false} {
			question := `organization: "name:school" app: "line"`
			if method == "DecisionService/BatchCheck" {
				question = `queries { ` + question + ` }`
			}
			question = asked.Replace(question + ` as_of_revision: ` + when)
			if want {
				g.does(t, "cn:auditor", method, question)
			} else {
				g.refuses(t, "cn:auditor", method, question, notGranted)
			}
			g.does(t, "cn:auditor-all", method, question)
		}
	}
	page := g.does(t, "cn:auditor", "DecisionService/ListDecisions", asked.Replace(`organization: "name:school" app: "*" as_of_revision: $then`))
	if strings.Contains(page, "decisions") {
		t.Errorf("a list tells what another was answered that was once called so: %s", page)
	}
}

// TestReleasesOfOthers: whoever may exempt some is not told of the releases of others, be they there or not.
func TestReleasesOfOthers(t *testing.T) {
	_, g := guarded(t)
	for _, release := range []string{"zzother-lift", "nothing"} {
		for _, more := range []string{"", ` expect_revision: 3`} {
			g.refuses(t, "cn:approver", "DirectiveService/RevokeRelease", `directive: "shared" release: "`+release+`" reason: "r"`+more, notGranted)
		}
	}
	g.refuses(t, "cn:approver", "DirectiveService/GrantExemption", `directive: "home-halt" ground: "none" justification: "j" selector { organizations { in: "home-city" } expire_time { seconds: 4000000000 } } reason: "r"`,
		notPermitted("ground"))
}

// TestHashesOfReplicas: the hash of an entry seals page tokens, so nobody is told it who may not read the log.
func TestHashesOfReplicas(t *testing.T) {
	h, g := guarded(t)
	h.grant("cn:all", "auditor", "*")
	h.grant("cn:part", "auditor", "home")
	h.reports("point", h.head())
	if said := g.does(t, "cn:all", "FleetService/ListReplicas", ``); !strings.Contains(said, "hash:") {
		t.Errorf("who audits everything is told %s, want a hash", said)
	}
	if said := g.does(t, "cn:part", "FleetService/ListReplicas", ``); !strings.Contains(said, `"point"`) || strings.Contains(said, "hash:") {
		t.Errorf("who audits a part is told %s, want no hash", said)
	}
}

// TestReplicaReportsForItself has a principal report as what another reports as.
func TestReplicaReportsForItself(t *testing.T) {
	h, g := openGuarded(t)
	h.grant("cn:point", "replica", "*")
	h.grant("cn:thief", "replica", "*")
	h.grant("cn:admin", "administrator", "*")
	logs, fleet := teishiv1.NewLogServiceClient(g.conn), teishiv1.NewFleetServiceClient(g.conn)
	report := func(principal string, goodbye bool) error {
		req := text(t, &teishiv1.ReportRequest{}, `domain: "teishi" id: "point-0" position { epoch: 1 revision: 1 hash: "01234567890123456789012345678901" }`)
		req.Goodbye = goodbye
		_, err := logs.Report(asPrincipal(t.Context(), principal), req)
		return err
	}
	taken := problem{codes.PermissionDenied, "NOT_GRANTED", "id"}
	h.must(report("cn:point", false))
	taken.check(t, "a report as another", report("cn:thief", false))
	taken.check(t, "a goodbye for another", report("cn:thief", true))
	h.must(report("cn:point", true))
	h.must(report("cn:thief", false)) // whoever has left has left its name
	taken.check(t, "a report as who took the name", report("cn:point", false))
	until(t, "it to be on the roll", func() bool {
		_, err := fleet.ForgetReplica(asPrincipal(t.Context(), "cn:admin"), &teishiv1.ForgetReplicaRequest{Id: "point-0"})
		return err == nil
	})
	h.must(report("cn:point", false))
}
