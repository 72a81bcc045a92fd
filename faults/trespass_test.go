package faults

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
)

// trespassRows have everybody try everything.
var trespassRows = []row{
	{"28", "everybody calls every method, about what is theirs and what is not, while grants and organizations change hands", "I9 I10",
		plan{guarded: true, onlyRedis: true, sqlite: true}, func(h *house) {
			since := time.Now()
			h.trespass()
			h.undisturbed(since)
		}},
}

// How much is tried: by whom, how often grants change hands, and how many calls are made between.
const trespassers, regrants, trespasses = 6, 6, 250

var (
	realms = []string{"alpha", "bravo", "carol"}
	parts  = []string{"", "-city", "-school", "-office"}
	roles  = []policy.Role{policy.Checker, policy.Reporter, policy.Issuer, policy.Exempter, policy.Registrar, policy.Follower, policy.Auditor, policy.Administrator}
)

// trespass is everybody who tries, and what comes of it.
type trespass struct {
	*house
	*rand.Rand
	claims  *claims // of the record when the servers last had all of it
	folded  int     // how many of its entries
	serial  int
	conns   map[string]*grpc.ClientConn // by who calls, and whom
	watched []*looker
	watches int // that there were
	refused []refusedWrite
	written map[int64]string // who was told that it wrote an entry
}

// refusedWrite is a write that was refused, which the log of the authority must tell of.
type refusedWrite struct{ who, id, method string }

// looker is a watch of somebody's, and how it ended.
type looker struct {
	who, organization string
	ended             chan error
}

func (h *house) trespass() {
	h.Helper()
	x := &trespass{house: h, Rand: rand.New(rand.NewPCG(h.seed, 28)), claims: newClaims(), conns: make(map[string]*grpc.ClientConn), written: make(map[int64]string)}
	x.settleRealms()
	x.everyMethod()
	x.catchUp()
	for range regrants {
		x.regrant()
		for range trespasses {
			x.try()
		}
	}
	x.regrant()
	x.judgeRecord()
	x.judgeLog()
	h.logf("%d calls, %d writes refused, %d written, %d watches", regrants*trespasses, len(x.refused), len(x.written), x.watches)
}

// load calls an authority as the load, which may do everything.
func (x *trespass) load(method, ask string) {
	x.Helper()
	if _, err := x.call(x.ctx, x.authorities[0].Conn(), method, ask); err != nil {
		x.must(fmt.Errorf("%s %s: %w", method, ask, err))
	}
}

// settleRealms makes subtrees that are alike, and what everybody shares. Every text says whose it is.
func (x *trespass) settleRealms() {
	x.Helper()
	x.load("RegistryService/PutApp", `app { id: "marked" identifiers: "ios:example.marked" } reason: "r"`)
	x.load("RegistryService/PutVendor", `vendor { id: "spare" } reason: "r"`)
	for _, realm := range realms {
		for _, part := range parts {
			parent := map[string]string{"-city": realm, "-office": realm, "-school": realm + "-city"}[part]
			x.load("RegistryService/PutOrganization", organizationOf(realm+part, parent))
		}
		for id, more := range map[string]string{"halt": `in: "$s-city"`, "guarded": `in: "$s-office"`} {
			ask := `directive { id: "$s-$d" authority: "$s" effective_time { seconds: 1600000000 } exemption_rules { approver: APPROVER_SUBJECT grounds { id: "g" } }
				provisions { id: "p" force: FORCE_BINDING message { key: "en" value: "<d:$s-$d>" } selector { organizations { ` + more + ` } targets { in { app: "marked" } } } }
				concerns { id: "open" } concerns { id: "done" } `
			if id == "guarded" {
				ask += `lift_approvals: 3 `
			}
			x.load("DirectiveService/IssueDirective", strings.NewReplacer("$s", realm, "$d", id).Replace(ask)+`} reason: "r"`)
		}
		in := func(ask string) string { return strings.ReplaceAll(ask, "$s", realm) + ` reason: "r"` }
		x.load("DirectiveService/ResolveConcern", in(`directive: "$s-halt" concern: "done" evidence: "<d:$s-halt>"`))
		x.load("DirectiveService/GrantExemption", in(`directive: "$s-halt" release: "hole" ground: "g" justification: "<r:$s-halt/hole>" `+strings.ReplaceAll(hole, "$o", "$s-city")))
		x.load("DirectiveService/RecordStatement", in(`statement { directive: "$s-halt" id: "s" author: "a" text: "<d:$s-halt>" }`))
		x.load("AccessService/ProposeChange", in(`id: "$s-proposal" change { withdraw_directive { directive: "$s-guarded" reason: "<p:$s-proposal>" } }`))
	}
	x.load("DirectiveService/IssueDirective", `directive { id: "shared" authority: "jp" provisions { id: "p" force: FORCE_ADVISORY
		selector { organizations { all: true } targets { in { app: "marked" } } } } } reason: "r"`)
	for _, realm := range realms {
		x.load("DirectiveService/LiftDirective", strings.ReplaceAll(`directive: "shared" release: "$s-lift" obligations { id: "o" text: "<r:shared/$s-lift>" }
			selector { organizations { in: "$s" } } reason: "r"`, "$s", realm))
	}
}

func organizationOf(id, parent string) string {
	return fmt.Sprintf(`organization { id: %q parent: %q aliases: "name:%s" names { key: "en" value: %q } } reason: "r"`, id, parent, id, mark("o", id))
}

// everyMethod sees to it that there is a deed of every method of ours.
func (x *trespass) everyMethod() {
	protoregistry.GlobalFiles.RangeFilesByPackage("teishi.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				name := string(service.Name()) + "/" + string(service.Methods().Get(j).Name())
				if !slices.ContainsFunc(deeds, func(d deed) bool { return d.method == name }) {
					x.problem("I10: nobody tries %s", name)
				}
			}
		}
		return true
	})
}

// regrant takes grants away and gives others, and has schools move. Then it waits until all servers know.
func (x *trespass) regrant() {
	x.Helper()
	for _, id := range slices.Sorted(maps.Keys(x.claims.grants)) {
		if strings.HasPrefix(id, "given") && x.IntN(2) == 0 {
			x.load("AccessService/Revoke", fmt.Sprintf(`id: %q reason: "r"`, id))
		}
	}
	for i := range trespassers {
		over := append([]string{"*"}, x.organizations()...)
		role := roles[x.IntN(len(roles))]
		grant := fmt.Sprintf("given-%d", x.next())
		where := over[x.IntN(len(over))]
		if role == policy.Follower || x.IntN(12) == 0 {
			where = "*"
		}
		x.load("AccessService/Grant", fmt.Sprintf(`grant { id: %q principal: %q role: %s organization: %q identity: %q } reason: "r"`,
			grant, who(i), teishiv1.Role(role), where, mark("g", grant)))
	}
	realm, to := realms[x.IntN(len(realms))], realms[x.IntN(len(realms))]
	x.load("RegistryService/PutOrganization", organizationOf(realm+"-school", to+"-city"))
	x.catchUp()
	x.endWatches()
}

func who(i int) string { return fmt.Sprint("cn:trespasser-", i) }

func (x *trespass) next() int { x.serial++; return x.serial }

// organizations are those of the realms.
func (x *trespass) organizations() (ids []string) {
	for _, realm := range realms {
		for _, part := range parts {
			ids = append(ids, realm+part)
		}
	}
	return ids
}

// catchUp folds the record, and waits until every server has as much of it.
func (x *trespass) catchUp() {
	x.Helper()
	entries := x.record().entries
	for _, e := range entries[x.folded:] {
		changes, err := e.Changes()
		x.must(err)
		x.claims.fold(changes)
	}
	x.folded = len(entries)
	x.wait("until all servers know the grants", func(ctx context.Context) error {
		for _, s := range x.servers() {
			if err := x.is(ctx, s, fresh, int64(x.folded), 1); err != nil {
				return err
			}
		}
		return nil
	})
}

// target draws what a call is about: half of them are about what somebody has a grant over.
func (x *trespass) target(who string) target {
	one := func(ids []string) string { return ids[x.IntN(len(ids))] }
	organization, realm := one(x.organizations()), one(realms)
	for _, id := range slices.Sorted(maps.Keys(x.claims.grants)) {
		if g := x.claims.grants[id]; g.Principal == who && g.Organization != "*" && x.IntN(2) == 0 {
			organization = g.Organization
			realm, _, _ = strings.Cut(organization, "-")
		}
	}
	t := target{
		organization: organization,
		directive:    realm + "-halt",
		release:      "hole",
		grant:        one(slices.Sorted(maps.Keys(x.claims.grants))),
		proposal:     realm + "-proposal",
		serial:       fmt.Sprintf("new-%d", x.next()),
		revision:     fmt.Sprint(1 + x.IntN(x.folded)),
	}
	if x.IntN(4) == 0 {
		t.directive, t.release = "shared", realm+"-lift"
	}
	return t
}

// try has somebody do something, and judges what he is told.
func (x *trespass) try() {
	d, who := deeds[x.IntN(len(deeds))], who(x.IntN(trespassers))
	t := x.target(who)
	if strings.Contains(d.method, "ProposeChange") {
		t.directive = strings.TrimSuffix(t.proposal, "proposal") + "guarded"
	}
	authority := t.directive
	if text := x.claims.directives[t.directive]; text != nil {
		authority = text.Authority
	}
	ask := strings.NewReplacer("$o", t.organization, "$d", t.directive, "$a", authority, "$r", t.release, "$g", t.grant, "$p", t.proposal,
		"$n", t.serial, "$v", t.revision).Replace(d.ask)
	servers := x.servers()
	if !strings.HasPrefix(d.method, "Decision") && !strings.HasPrefix(d.method, "Restriction") {
		servers = x.authorities // nobody else serves it
	}
	s := servers[x.IntN(len(servers))]
	id := fmt.Sprintf("%s-%s", strings.TrimPrefix(who, "cn:"), t.serial)
	said, err := x.call(metadata.AppendToOutgoingContext(x.ctx, "x-request-id", id), x.conn(who, s), d.method, ask)
	permitted := d.right(x.claims, who, t)
	x.judgeCall(s.Name()+" "+d.method+" "+ask, who, permitted, ask, said, err)
	x.note(refusedWrite{who, id, d.method}, ask, said, permitted)
	if strings.Contains(d.method, "/Watch") && permitted {
		x.watch(who, t.organization, s, d.method, ask)
	}
}

// judgeCall judges one call.
func (x *trespass) judgeCall(what, who string, permitted bool, ask string, said []proto.Message, err error) {
	refused := status.Code(err) == codes.PermissionDenied || status.Code(err) == codes.Unauthenticated
	switch {
	case refused && permitted:
		x.problem("I10: %s as %s is refused: %v", what, who, err)
	case !refused && !permitted && reasonOf(err) != "NO_RECORD": // a decision point has no past
		x.problem("I10: %s as %s is not refused: %v %v", what, who, said, err)
	case refused && (err.Error() != permissionDenied || len(status.Convert(err).Details()) != 1):
		x.problem("I10: the refusal of %s as %s tells more than that: %v %v", what, who, err, status.Convert(err).Details())
	}
	if c := x.claims; c.may(who, "*", policy.Auditor) || c.may(who, "*", policy.Follower) {
		return // whoever reads the record is told everything
	}
	text := fmt.Sprint(err, status.Convert(err).Details())
	for _, m := range said {
		text += prototext.Format(m)
		x.judgeExplanation(what, who, m)
	}
	for _, of := range x.claims.unseen(who, text) {
		if !strings.Contains(ask, of) && !strings.Contains(ask, "as_of") { // what bound an organization then, its auditor may know
			x.problem("I10: %s tells %s of %s", what, who, of)
		}
	}
}

const permissionDenied = "rpc error: code = PermissionDenied desc = no grant of the caller permits this, or there is no such thing"

// judgeExplanation judges what is said of directives and releases by their ids.
func (x *trespass) judgeExplanation(what, who string, m proto.Message) {
	answer, ok := m.(*teishiv1.CheckResponse)
	if !ok {
		return
	}
	for _, c := range answer.GetExplanation().GetConsidered() {
		if x.claims.directives[c.Directive] == nil {
			continue // it is newer than the claims
		}
		release := c.Directive + "/" + c.Release
		if !x.claims.seesDirective(who, c.Directive) || x.claims.releases[release] != nil && !x.claims.seesRelease(who, release) {
			x.problem("I10: %s explains %s by %s %s", what, who, c.Directive, c.Release)
		}
	}
}

// note notes a write for when the record and the log are judged.
func (x *trespass) note(w refusedWrite, ask string, said []proto.Message, permitted bool) {
	if !strings.Contains(ask, ` reason: "r"`) {
		return
	}
	if !permitted {
		x.refused = append(x.refused, w)
		return
	}
	if len(said) == 1 && !strings.Contains(ask, "validate_only") {
		if m, ok := said[0].(interface{ GetRevision() int64 }); ok {
			x.written[m.GetRevision()] = w.who
		}
	}
}

// watch keeps a watch open for as long as it lasts.
func (x *trespass) watch(who, organization string, s *cluster.Teishi, method, ask string) {
	stream, m, err := x.open(x.ctx, x.conn(who, s), method, ask)
	x.must(err)
	w := &looker{who, organization, make(chan error, 1)}
	x.watched = append(x.watched, w)
	x.watches++
	x.leaving.Go(func() {
		var err error
		for err == nil {
			err = stream.RecvMsg(message(m.Output()))
		}
		w.ended <- err
	})
}

// endWatches waits until watches have ended that are no longer their callers' to watch; the others may go on.
func (x *trespass) endWatches() {
	x.Helper()
	may := func(w *looker) bool { return x.claims.may(w.who, w.organization, policy.Checker) }
	for _, w := range x.watched {
		if may(w) {
			continue
		}
		x.until("I10", "until a watch ends that is no longer permitted", func(context.Context) error {
			select {
			case err := <-w.ended:
				if status.Code(err) != codes.PermissionDenied {
					x.problem("I10: a watch of %s by %s ended by %v", w.organization, w.who, err)
				}
				return nil
			default:
				return fmt.Errorf("%s goes on to watch %s", w.who, w.organization)
			}
		})
	}
	x.watched = slices.DeleteFunc(x.watched, func(w *looker) bool { return !may(w) })
}

// judgeRecord holds every entry against what its writer had a right to, and every acknowledgement against the record.
func (x *trespass) judgeRecord() {
	x.Helper()
	judged := make(map[string]bool)
	for i := range trespassers {
		judged[who(i)] = true
	}
	entries := x.record().entries
	wrong, err := judgeWriters(entries, judged)
	x.must(err)
	for _, e := range wrong {
		x.problem("I10: %s had no right to write entry %d, %s", e.Principal, e.Revision, e.Method)
	}
	for revision, who := range x.written {
		if e := entries[revision-1]; e.Principal != who {
			x.problem("I9: entry %d, which %s was told that it wrote, is by %s", revision, who, e.Principal)
		}
	}
}

// judgeLog looks in the log of the authority for whoever was refused.
func (x *trespass) judgeLog() {
	lines := make(map[string]string) // by the name of the call
	for line := range strings.Lines(x.authorities[0].Log()) {
		if _, after, ok := strings.Cut(line, "call=trespasser-"); ok {
			id, _, _ := strings.Cut(after, " ")
			lines["trespasser-"+id] = line
		}
	}
	for _, r := range x.refused {
		line := lines[r.id]
		if !strings.Contains(line, "msg=refused") || !strings.Contains(line, "principal="+r.who+" ") || !strings.Contains(line, r.method) {
			x.problem("I9: the log does not tell that %s was refused %s: %q", r.who, r.method, cmp.Or(line, "nothing"))
		}
	}
}

// conn is the connection of somebody to a server, by a certificate of his own.
func (x *trespass) conn(who string, s *cluster.Teishi) *grpc.ClientConn {
	key := who + " " + s.Name()
	if x.conns[key] == nil {
		certificate := x.pair(x.issue(x.guard.ca, strings.TrimPrefix(who, "cn:"), nil))
		x.conns[key] = x.dial(s.Addr(), x.guard.shows(func() *tls.Certificate { return certificate }))
	}
	return x.conns[key]
}

func message(d protoreflect.MessageDescriptor) *dynamicpb.Message { return dynamicpb.NewMessage(d) }

// open begins a call of a method with what is asked.
func (x *trespass) open(ctx context.Context, conn *grpc.ClientConn, method, ask string) (grpc.ClientStream, protoreflect.MethodDescriptor, error) {
	x.Helper()
	service, name, _ := strings.Cut(method, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("teishi.v1." + service + "." + name))
	x.must(err)
	m := d.(protoreflect.MethodDescriptor)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/teishi.v1."+method)
	if err != nil {
		return nil, nil, err
	}
	for _, part := range strings.Split(ask, "---") {
		req := message(m.Input())
		x.must(prototext.Unmarshal([]byte(part), req))
		if stream.SendMsg(req) != nil {
			break // how it ended is received
		}
	}
	return stream, m, stream.CloseSend()
}

// call makes a call and returns what was said, of an endless stream the beginning, and how it ended, as a whole or for its only question.
func (x *trespass) call(ctx context.Context, conn *grpc.ClientConn, method, ask string) (said []proto.Message, err error) {
	x.Helper()
	ctx, cancel := context.WithTimeout(ctx, patienceWithServers)
	defer cancel()
	stream, m, err := x.open(ctx, conn, method, ask)
	for err == nil {
		answer := message(m.Output())
		if err = stream.RecvMsg(answer); err == nil {
			said, err = added(said, answer)
		}
		if m.IsStreamingServer() && len(said) == 1 {
			return said, err
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return said, err
}

// added adds an answer to those before it: of answers to many questions, each.
func added(said []proto.Message, answer proto.Message) ([]proto.Message, error) {
	known, err := protoregistry.GlobalTypes.FindMessageByName(answer.ProtoReflect().Descriptor().FullName())
	if err != nil {
		return said, err
	}
	m := known.New().Interface()
	b, err := proto.Marshal(answer)
	if err == nil {
		err = proto.Unmarshal(b, m)
	}
	switch m := m.(type) {
	case *teishiv1.BatchCheckResponse:
		if s := m.Results[0].GetError(); s != nil {
			return said, status.ErrorProto(s)
		}
		return append(said, m.Results[0].GetResponse()), err
	case *teishiv1.StreamCheckResponse:
		if s := m.GetError(); s != nil {
			return said, status.ErrorProto(s)
		}
		return append(said, m.GetResponse()), err
	}
	return append(said, m), err
}
