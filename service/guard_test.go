package service_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// guard is a server that asks who calls, on the record of a house that does not.
type guard struct {
	server *service.Server
	conn   *grpc.ClientConn
	built  int64 // the revision when everything was there
}

// principalKey is the metadata that says who calls. How that is proven is another matter, and another package's.
const principalKey = "test-principal"

// byMetadata believes what callers say of themselves: `PRINCIPAL` or `PRINCIPAL GROUP…`. Users have tokens, all others certificates.
func byMetadata(ctx context.Context) (service.Caller, error) {
	said := metadata.ValueFromIncomingContext(ctx, principalKey)
	if len(said) == 0 {
		return service.Caller{}, &service.UnauthenticatedError{Problem: "who calls is not said"}
	}
	words := strings.Fields(said[0])
	c := service.Caller{Principal: words[0], Groups: words[1:], Means: service.ByCertificate}
	if strings.HasPrefix(c.Principal, "user:") {
		c.Means = service.ByToken
	}
	return c, nil
}

// asPrincipal is the context of a caller; an empty one says nothing.
func asPrincipal(ctx context.Context, principal string) context.Context {
	if principal == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, principalKey, principal)
}

// openGuarded opens a house, and beside it a server on the same record that asks who calls, and lets them ask as much as they want.
func openGuarded(t *testing.T, change ...func(*service.Config)) (*house, *guard) {
	t.Helper()
	var config service.Config
	h := open(t, append(change, func(c *service.Config) { config = *c })...)
	config.Identify = byMetadata
	config.Limits = service.Limits{Checks: -1, Writes: -1, Reads: -1, Streams: -1}
	g := &guard{server: service.New(config)}
	listener := bufconn.Listen(1 << 20)
	beside := *h
	beside.server = g.server
	beside.serve(listener)
	var err error
	g.conn, err = grpc.NewClient("passthrough:///guard", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	h.must(err)
	t.Cleanup(func() { h.must(g.conn.Close()) })
	return h, g
}

// access is the callers of a house's AccessService, as whom nobody asks.
func (h *house) access() teishiv1.AccessServiceClient { return teishiv1.NewAccessServiceClient(h.conn) }

// grant gives a role, without which a test goes no further.
func (h *house) grant(principal, role, over string, more ...string) {
	h.t.Helper()
	do(h, h.access().Grant, &teishiv1.GrantRequest{}, `grant { principal: "`+principal+`" role: ROLE_`+strings.ToUpper(role)+
		` organization: "`+over+`" `+strings.Join(more, " ")+` } reason: "r"`)
}

// guarded is a record of two subtrees that are alike, home and zzother, with everybody who has a role over home, or over all.
func guarded(t *testing.T) (*house, *guard) {
	t.Helper()
	h, g := openGuarded(t)
	put := func(format string) {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+format+` } reason: "r"`)
	}
	issue := func(format string) {
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, format+` reason: "r"`)
	}
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "line" identifiers: "ios:jp.naver.line" } reason: "r"`)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "spare" } reason: "r"`)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "unused" } reason: "r"`)
	do(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { id: "spare" } reason: "r"`)
	put(`id: "nation"`)
	for _, s := range []string{"home", "zzother"} {
		in := func(format string) string { return strings.ReplaceAll(format, "$s", s) }
		put(in(`id: "$s"`))
		put(in(`id: "$s-city" parent: "$s" kind: "municipality" aliases: "name:$s"`))
		put(in(`id: "$s-free" parent: "$s"`))
		issue(in(matrixText))
		do(h, h.directives.GrantExemption, &teishiv1.GrantExemptionRequest{}, in(`directive: "$s-halt" release: "$s-hole" ground: "g" justification: "j"
			selector { organizations { in: "$s-city" } conditions { attribute: "act" values: "develop" } expire_time { seconds: 4000000000 } } reason: "r"`))
		do(h, h.directives.ResolveConcern, &teishiv1.ResolveConcernRequest{}, in(`directive: "$s-halt" concern: "done" evidence: "e" reason: "r"`))
		issue(in(`directive { id: "$s-guarded" authority: "$s" lift_approvals: 3 provisions { id: "p" force: FORCE_BINDING
			selector { organizations { in: "$s-city" } targets { in { app: "spare" } } } } }`))
		do(h, h.access().Grant, &teishiv1.GrantRequest{}, in(`grant { id: "$s-grant" principal: "cn:$s" role: ROLE_CHECKER organization: "$s-city" } reason: "r"`))
	}
	issue(`directive { id: "advice" authority: "nation" provisions { id: "p" force: FORCE_ADVISORY
		selector { organizations { all: true } targets { in { app: "line" } } } } }`)
	issue(`directive { id: "shared" authority: "nation" provisions { id: "p" force: FORCE_ADVISORY
		selector { organizations { all: true } targets { in { app: "spare" } } } } }`)
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "shared" release: "zzother-lift" selector { organizations { in: "zzother-city" } } reason: "r"`)
	h.grant("cn:proposer", "issuer", "*")
	for _, who := range askers() {
		if who.role != "" {
			h.grant(who.principal, who.role, who.over)
		}
	}
	for _, s := range []string{"home", "zzother"} {
		_, err := teishiv1.NewAccessServiceClient(g.conn).ProposeChange(asPrincipal(t.Context(), "cn:proposer"), text(t, &teishiv1.ProposeChangeRequest{},
			`id: "`+s+`-proposal" change { withdraw_directive { directive: "`+s+`-guarded" reason: "r" } } reason: "r"`))
		h.must(err)
	}
	g.built = h.head()
	return h, g
}

// does makes a call as a principal, without which a test goes no further, and returns what was said.
func (g *guard) does(t *testing.T, principal, method, ask string) string {
	t.Helper()
	said, err := g.call(t, principal, full(method), ask)
	if err != nil {
		t.Fatalf("%s as %s: %s", short(method+" "+ask), principal, describe(err))
	}
	return said
}

// refuses makes a call as a principal, which must end so.
func (g *guard) refuses(t *testing.T, principal, method, ask string, want problem) {
	t.Helper()
	_, err := g.call(t, principal, full(method), ask)
	want.check(t, short(method+" "+ask)+" as "+principal, err)
}

// How callers are refused.
var (
	notGranted       = problem{codes.PermissionDenied, "NOT_GRANTED", ""}
	approvalRequired = problem{codes.FailedPrecondition, "APPROVAL_REQUIRED", ""}
	notApprovable    = problem{codes.FailedPrecondition, "NOT_APPROVABLE", ""}
	lastOne          = problem{codes.FailedPrecondition, "LAST_ADMINISTRATOR", ""}
)

// services returns the names of the services that the server serves.
func (g *guard) services(t *testing.T) []string {
	t.Helper()
	said, err := g.call(t, "cn:administrator-all", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", `list_services: ""`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(said) {
		if _, name, ok := strings.Cut(line, `name:`); ok {
			names = append(names, strings.Trim(strings.TrimSpace(name), `"`))
		}
	}
	return names
}
