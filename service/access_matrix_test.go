package service_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// reach says over what a role must be held for a row to be permitted.
type reach int

const (
	anywhere reach = iota // over whatever
	there                 // over what the row is about
	overAll               // over everything
	known                 // not at all: it is enough to be authenticated
	public                // not even that
)

// row is a call that some may make. In what it asks, $s is the subtree it is about: `home`, or `zzother`, which a caller who has
// grants over home must never hear of.
type row struct {
	method string
	ask    string // in text format; messages of a stream are separated by ---
	roles  string // those that permit it beside administrator; any: each
	reach  reach
}

const writes = ` reason: "r" validate_only: true`

const matrixText = `directive { id: "$s-halt" authority: "$s" effective_time { seconds: 1600000000 } provisions { id: "p" force: FORCE_BINDING
	selector { organizations { in: "$s-city" } targets { in { app: "line" } } } } concerns { id: "open" } concerns { id: "done" }
	exemption_rules { approver: APPROVER_SUBJECT grounds { id: "g" } } }`

// matrix has at least one row for every method.
var matrix = []row{
	{"DecisionService/Check", `organization: "$s-city" app: "line"`, "checker", there},
	{"DecisionService/Check", `organization: "name:$s" app: "line"`, "checker", there},
	{"DecisionService/Check", `organization: "$s-city" app: "line" explain: true`, "checker", there},
	{"DecisionService/Check", `organization: "$s-city" app: "line" at { seconds: 1700000000 }`, "auditor", there},
	{"DecisionService/Check", `organization: "$s-city" app: "line" as_of_revision: 3 explain: true`, "auditor", there},
	{"DecisionService/Check", `organization: "$s-city" app: "line" as_of_time { seconds: 4000000000 }`, "auditor", there},
	{"DecisionService/Check", `organization: "nowhere" app: "line"`, "checker", overAll},
	{"DecisionService/BatchCheck", `queries { organization: "$s-city" app: "line" } explain: true`, "checker", there},
	{"DecisionService/BatchCheck", `queries { organization: "$s-city" app: "line" } at { seconds: 1700000000 }`, "auditor", there},
	{"DecisionService/StreamCheck", `check { organization: "$s-city" app: "line" }`, "checker", there},
	{"DecisionService/StreamCheck", `check { organization: "$s-city" app: "line" as_of_revision: 3 }`, "auditor", there},
	{"DecisionService/ListDecisions", `organization: "$s-city" app: "*"`, "checker", there},
	{"DecisionService/ListDecisions", `organization: "*" app: "line"`, "checker auditor", anywhere},
	{"DecisionService/ListDecisions", `organization: "$s-city" app: "*" as_of_revision: 3`, "auditor", there},
	{"DecisionService/WatchDecisions", `selectors { organizations: "$s-city" apps: "line" }`, "checker", there},
	{"RestrictionService/GetRestrictions", `organization: "$s-city" platform: "ios"`, "checker", there},
	{"RestrictionService/WatchRestrictions", `organization: "$s-city" platform: "ios"`, "checker", there},

	{"RegistryService/PutOrganization", `organization { id: "$s-new" parent: "$s-city" }` + writes, "registrar", there},
	{"RegistryService/PutOrganization", `organization { id: "$s-new" parent: "$s-city" kind: "police" }` + writes, "registrar", overAll},
	{"RegistryService/PutOrganization", `organization { id: "$s-new" parent: "$s-city" aliases: "name:new" }` + writes, "registrar", overAll},
	{"RegistryService/PutOrganization", `organization { id: "$s-new" }` + writes, "registrar", overAll},
	{"RegistryService/PutOrganization", `organization { id: "$s-city" parent: "$s" kind: "municipality" aliases: "name:$s" names { key: "en" value: "City" } }` + writes, "registrar", there},
	{"RegistryService/PutOrganization", `organization { id: "$s-city" parent: "$s" kind: "municipality" aliases: "name:$s" retired: true }` + writes, "registrar", overAll},
	{"RegistryService/PutOrganization", `organization { id: "$s-free" parent: "$s-city" }` + writes, "registrar", overAll},
	{"RegistryService/GetOrganization", `id: "$s-city"`, "any", there},
	{"RegistryService/ListOrganizations", ``, "any", anywhere},
	{"RegistryService/ListOrganizations", `under: "$s"`, "any", there},
	{"RegistryService/DeleteOrganization", `id: "$s-free"` + writes, "registrar", overAll},
	{"RegistryService/PutVendor", `vendor { id: "v" }` + writes, "registrar", overAll},
	{"RegistryService/GetVendor", `id: "spare"`, "any", anywhere},
	{"RegistryService/ListVendors", ``, "any", anywhere},
	{"RegistryService/DeleteVendor", `id: "spare"` + writes, "registrar", overAll},
	{"RegistryService/PutApp", `app { id: "a" }` + writes, "registrar", overAll},
	{"RegistryService/GetApp", `id: "line"`, "any", anywhere},
	{"RegistryService/ListApps", ``, "any", anywhere},
	{"RegistryService/DeleteApp", `id: "unused"` + writes, "registrar", overAll},
	{"RegistryService/PutPurpose", `purpose { id: "service.new" }` + writes, "registrar", overAll},
	{"RegistryService/GetPurpose", `id: "service"`, "any", anywhere},
	{"RegistryService/ListPurposes", ``, "any", anywhere},
	{"RegistryService/DeletePurpose", `id: "service.payment"` + writes, "registrar", overAll},
	{"RegistryService/PutAttribute", `attribute { id: "new" values: "a" values: "b" }` + writes, "registrar", overAll},
	{"RegistryService/GetAttribute", `id: "act"`, "any", anywhere},
	{"RegistryService/ListAttributes", ``, "any", anywhere},
	{"RegistryService/DeleteAttribute", `id: "account"` + writes, "registrar", overAll},
	{"RegistryService/Import", writes + `---resource { organization { id: "$s-new" parent: "$s-city" } }---resource { organization { id: "$s-newer" parent: "$s-new" } }`, "registrar", there},
	{"RegistryService/Import", writes + `---resource { organization { id: "$s-new" parent: "$s-city" kind: "police" } }`, "registrar", overAll},
	{"RegistryService/Import", writes + `---resource { app { id: "a" } }`, "registrar", overAll},

	{"DirectiveService/IssueDirective", `directive { id: "$s-fresh" authority: "$s" provisions { id: "p" force: FORCE_BINDING
		selector { organizations { in: "$s-city" } targets { in { app: "line" } } } } }` + writes, "issuer", there},
	{"DirectiveService/IssueDirective", `directive { id: "$s-fresh" authority: "$s" supersedes: "$s-halt" provisions { id: "p" force: FORCE_BINDING
		selector { organizations { in: "$s-city" } targets { in { app: "line" } } } } }` + writes, "issuer", there},
	{"DirectiveService/AmendDirective", matrixText + writes, "issuer", there},
	{"DirectiveService/WithdrawDirective", `directive: "$s-halt"` + writes, "issuer", there},
	{"DirectiveService/LiftDirective", `directive: "$s-halt"` + writes, "issuer", there},
	{"DirectiveService/GrantExemption", `directive: "$s-halt" ground: "g" justification: "j" selector { organizations { in: "$s-city" } expire_time { seconds: 4000000000 } }` + writes, "issuer approver", there},
	{"DirectiveService/RevokeRelease", `directive: "$s-halt" release: "$s-hole"` + writes, "issuer", there},
	{"DirectiveService/ResolveConcern", `directive: "$s-halt" concern: "open" evidence: "e"` + writes, "issuer", there},
	{"DirectiveService/ReopenConcern", `directive: "$s-halt" concern: "done"` + writes, "issuer", there},
	{"DirectiveService/RecordStatement", `statement { directive: "$s-halt" id: "s" author: "a" text: "t" }` + writes, "issuer", there},
	{"DirectiveService/AdoptDirective", `directive: "advice" id: "$s-adopted" authority: "$s"` + writes, "issuer", there},
	{"DirectiveService/GetDirective", `id: "$s-halt"`, "any", there},
	{"DirectiveService/GetDirective", `id: "advice"`, "any", anywhere},
	{"DirectiveService/ListDirectives", ``, "any", anywhere},
	{"DirectiveService/ListDirectives", `authority: "$s"`, "any", there},
	{"DirectiveService/ListReleases", `directive: "$s-halt"`, "any", there},
	{"DirectiveService/ListReleases", `directive: "shared"`, "any", anywhere},
	{"DirectiveService/GetDirective", `id: "shared"`, "any", anywhere},

	{"AuditService/ListEntries", ``, "auditor", overAll},
	{"AuditService/GetEntry", `revision: 1`, "auditor", overAll},
	{"AuditService/VerifyLog", ``, "auditor", overAll},

	{"AccessService/WhoAmI", ``, "", known},
	{"AccessService/Grant", `grant { principal: "cn:new" role: ROLE_CHECKER organization: "$s-city" }` + writes, "", there},
	{"AccessService/Grant", `grant { principal: "cn:new" role: ROLE_CHECKER organization: "*" }` + writes, "", overAll},
	{"AccessService/Grant", `grant { principal: "cn:new" role: ROLE_REPLICA organization: "*" }` + writes, "", overAll},
	{"AccessService/Revoke", `id: "$s-grant"` + writes, "", there},
	{"AccessService/ListGrants", ``, "auditor", anywhere},
	{"AccessService/ProposeChange", `change { withdraw_directive { directive: "$s-guarded" reason: "r" } }` + writes, "issuer", there},
	{"AccessService/ApproveChange", `id: "$s-proposal"` + writes, "issuer", there},
	{"AccessService/ListProposals", ``, "issuer approver registrar auditor", anywhere},

	{"LogService/Tail", `domain: "teishi"`, "replica", overAll},
	{"LogService/Tail", `domain: "teishi" checkpoint: true`, "replica", overAll},
	{"LogService/Report", `domain: "teishi" id: "$who" position { epoch: 1 revision: 1 hash: "01234567890123456789012345678901" }`, "replica", overAll},
	{"LogService/GetHead", ``, "replica", overAll},

	{"FleetService/ListReplicas", ``, "auditor", anywhere},
	{"FleetService/WaitForRevision", `revision: 1 timeout { nanos: 100000000 }`, "auditor", anywhere},
	{"FleetService/ForgetReplica", `id: "gone"`, "", overAll},

	{"grpc.health.v1.Health/Check", ``, "", public},
	{"grpc.health.v1.Health/List", ``, "", public},
	{"grpc.health.v1.Health/Watch", ``, "", public},
	{"grpc.reflection.v1.ServerReflection/ServerReflectionInfo", `list_services: ""`, "", known},
}

var matrixRoles = []string{"checker", "reporter", "issuer", "approver", "registrar", "replica", "auditor", "administrator"}

// asker is one who calls: with a role over a subtree, or everything, or with no role, or not known at all.
type asker struct{ principal, role, over string }

func (a asker) String() string { return strings.TrimSpace(a.role + " over " + a.over) }

func askers() []asker {
	list := []asker{{principal: ""}, {principal: "cn:nothing"}}
	for _, role := range matrixRoles {
		list = append(list, asker{"cn:" + role + "-all", role, "*"})
		if role != "replica" {
			list = append(list, asker{"cn:" + role, role, "home"})
		}
	}
	return list
}

// permits reports whether the design lets the asker make the row's call about a subtree.
func (a asker) permits(r row, subtree string) bool {
	role := a.role == "administrator" || r.roles == "any" && a.role != "" || slices.Contains(strings.Fields(r.roles), a.role) && a.role != ""
	switch r.reach {
	case public:
		return true
	case known:
		return a.principal != ""
	case anywhere:
		return role
	case there:
		return role && (a.over == "*" || subtree == "home")
	}
	return role && a.over == "*"
}

// TestEveryMethodByEveryRole makes every call there is, as everybody, about what is the caller's and what is not.
func TestEveryMethodByEveryRole(t *testing.T) {
	h, guard := guarded(t)
	rowed := make(map[string]bool)
	for _, r := range matrix {
		r.method = full(r.method)
		rowed[r.method] = true
		for _, who := range askers() {
			for _, subtree := range []string{"home", "zzother"} {
				matrixCall(t, guard, r, who, subtree)
			}
		}
	}
	for _, service := range services(t, guard) {
		methods := service.Methods()
		for i := range methods.Len() {
			if name := "/" + string(service.FullName()) + "/" + string(methods.Get(i).Name()); !rowed[name] {
				t.Errorf("no row for %s", name)
			}
		}
	}
	if head := h.head(); head != guard.built {
		t.Errorf("the head is at %d, want %d: nothing was to be written", head, guard.built)
	}
}

// matrixCall makes one call and judges how it ended.
func matrixCall(t *testing.T, g *guard, r row, who asker, subtree string) {
	t.Helper()
	ask := strings.NewReplacer("$s", subtree, "$who", cmp.Or(who.principal, "nobody")).Replace(r.ask)
	said, err := g.call(t, who.principal, r.method, ask)
	what := who.String() + ": " + r.method + " " + short(ask)
	want := codes.OK
	switch {
	case who.permits(r, subtree):
	case who.principal == "":
		want = codes.Unauthenticated
	default:
		want = codes.PermissionDenied
	}
	if want == codes.OK && (strings.HasSuffix(r.method, "ForgetReplica") || strings.Contains(r.ask, "checkpoint")) {
		want = codes.NotFound // there is none
	}
	if got := status.Code(err); got != want {
		t.Errorf("%s = %v, want %v: %v", what, got, want, describe(err))
	}
	if want == codes.PermissionDenied && status.Convert(err).Message() != "no grant of the caller permits this, or there is no such thing" {
		t.Errorf("%s says %v", what, err)
	}
	if who.over != "*" && (subtree == "home" || err != nil) && strings.Contains(said+describe(err), "zzother") {
		t.Errorf("%s tells of zzother: %s %s", what, said, describe(err))
	}
}

// full returns a method as it is called.
func full(method string) string {
	if strings.Contains(method, ".") {
		return "/" + method
	}
	return "/teishi.v1." + method
}

// services returns those that the server serves.
func services(t *testing.T, g *guard) []protoreflect.ServiceDescriptor {
	t.Helper()
	var list []protoreflect.ServiceDescriptor
	for _, name := range g.services(t) {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, d.(protoreflect.ServiceDescriptor))
	}
	return list
}

// call makes a call as a principal, and returns what was said in text format and how it ended. Of a stream it is the first message
// that counts.
func (g *guard) call(t *testing.T, principal, method, ask string) (string, error) {
	t.Helper()
	m := methodOf(t, method)
	ctx, cancel := context.WithTimeout(asPrincipal(t.Context(), principal), 30*time.Second)
	defer cancel()
	stream, err := g.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return "", err
	}
	for _, part := range strings.Split(ask, "---") {
		if err := stream.SendMsg(text(t, newMessage(m.Input()), part)); err != nil {
			break // how it ended is received
		}
	}
	_ = stream.CloseSend()
	answer := newMessage(m.Output())
	if err := stream.RecvMsg(answer); err != nil {
		return "", err
	}
	said := prototext.Format(answer)
	if !m.IsStreamingServer() {
		if err := stream.RecvMsg(newMessage(m.Output())); !errors.Is(err, io.EOF) {
			return said, err
		}
	}
	return said, itemError(t, answer)
}

func methodOf(t *testing.T, full string) protoreflect.MethodDescriptor {
	t.Helper()
	service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	if err != nil {
		t.Fatalf("%s: %v", full, err)
	}
	return d.(protoreflect.MethodDescriptor)
}

// itemError returns the error of the only item of an answer that has errors of single items.
func itemError(t *testing.T, answer proto.Message) error {
	t.Helper()
	into := func(m proto.Message) {
		b, err := proto.Marshal(answer)
		if err == nil {
			err = proto.Unmarshal(b, m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	switch answer.ProtoReflect().Descriptor().Name() {
	case "BatchCheckResponse":
		m := &teishiv1.BatchCheckResponse{}
		into(m)
		if s := m.Results[0].GetError(); s != nil {
			return status.ErrorProto(s)
		}
	case "StreamCheckResponse":
		m := &teishiv1.StreamCheckResponse{}
		into(m)
		if s := m.GetError(); s != nil {
			return status.ErrorProto(s)
		}
	}
	return nil
}

func newMessage(d protoreflect.MessageDescriptor) *dynamicpb.Message { return dynamicpb.NewMessage(d) }
