package service_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/service"
)

// house is a whole server on a record of its own, and its callers.
type house struct {
	t          testing.TB
	server     *service.Server
	log        *sqlite.Log
	replica    *policystore.Replica
	lines      *lines // of the log
	conn       *grpc.ClientConn
	decisions  teishiv1.DecisionServiceClient
	registry   teishiv1.RegistryServiceClient
	directives teishiv1.DirectiveServiceClient
	audit      teishiv1.AuditServiceClient
	following  teishiv1.LogServiceClient
	fleet      teishiv1.FleetServiceClient
	devices    teishiv1.RestrictionServiceClient
}

// lines keeps what was logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const domain = "teishi"

// open starts a server on a new record; change may alter its configuration.
func open(t testing.TB, change ...func(*service.Config)) *house {
	t.Helper()
	h := built(t, change...)
	h.dial()
	return h
}

// built is a house whose server does not serve yet.
func built(t testing.TB, change ...func(*service.Config)) *house {
	t.Helper()
	h := &house{t: t, lines: &lines{}}
	logger := slog.New(slog.NewTextHandler(h.lines, nil))
	var err error
	h.log, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "teishi.db"), Domain: domain})
	h.must(err)
	t.Cleanup(func() { h.must(h.log.Close()) })
	h.must(policystore.Initialize(t.Context(), h.log, domain, nil))
	h.replica = policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: h.log, Record: true}}, Domain: domain})
	authority := policystore.NewAuthority(policystore.AuthorityConfig{Log: h.log, Replica: h.replica, Name: "authority-0"})
	fleet := policystore.NewFleet(h.log, authority)
	h.runs(h.replica.Run)
	h.runs(authority.Run)
	h.runs(fleet.Run)
	h.must(h.replica.WaitReady(t.Context()))
	config := service.Config{
		Replica: h.replica,
		Domain:  domain,
		Record: &service.Record{
			Authority: authority,
			History:   policystore.NewHistory(h.log, domain),
			Log:       h.log,
			Fleet:     fleet,
		},
		Logger: logger,
	}
	for _, c := range change {
		c(&config)
	}
	h.server = service.New(config)
	return h
}

// runs runs something until the test ends.
func (h *house) runs(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.must(run(ctx)) })
	h.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// serve serves until the test ends.
func (h *house) serve(listener net.Listener) {
	var serving sync.WaitGroup
	serving.Go(func() { h.must(h.server.Serve(listener)) })
	h.t.Cleanup(func() {
		h.server.Drain(0, time.Second)
		serving.Wait()
	})
}

// dial serves, and connects the callers.
func (h *house) dial() {
	h.t.Helper()
	listener := bufconn.Listen(1 << 20)
	h.serve(listener)
	var err error
	h.conn, err = grpc.NewClient("passthrough:///house",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(64<<10), // or the caller would hold for us what it does not read
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	h.must(err)
	h.t.Cleanup(func() { h.must(h.conn.Close()) })
	h.call()
}

// call makes the callers of the connection.
func (h *house) call() {
	h.decisions = teishiv1.NewDecisionServiceClient(h.conn)
	h.registry = teishiv1.NewRegistryServiceClient(h.conn)
	h.directives = teishiv1.NewDirectiveServiceClient(h.conn)
	h.audit = teishiv1.NewAuditServiceClient(h.conn)
	h.following = teishiv1.NewLogServiceClient(h.conn)
	h.fleet = teishiv1.NewFleetServiceClient(h.conn)
	h.devices = teishiv1.NewRestrictionServiceClient(h.conn)
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Error(err)
	}
}

// head returns the revision of the head of the record.
func (h *house) head() int64 {
	h.t.Helper()
	p, err := h.log.Head(h.t.Context())
	h.must(err)
	return int64(p.Revision)
}

// unchanged fails if what is done writes anything.
func (h *house) unchanged(do func()) {
	h.t.Helper()
	before := h.head()
	do()
	if after := h.head(); after != before {
		h.t.Errorf("the head is at revision %d, want it left at %d", after, before)
	}
}

// text makes a message of its text format.
func text[M proto.Message](t testing.TB, m M, format string) M {
	t.Helper()
	if err := prototext.Unmarshal([]byte(format), m); err != nil {
		t.Fatalf("%s: %v", short(format), err)
	}
	return m
}

// short is the beginning of what is too long to print.
func short(s string) string { return s[:min(len(s), 400)] }

// caller is a method of a client.
type caller[Q, R proto.Message] func(context.Context, Q, ...grpc.CallOption) (R, error)

// do calls a method with a request in text format and must succeed.
func do[Q, R proto.Message](h *house, method caller[Q, R], req Q, format string) R {
	h.t.Helper()
	resp, err := method(h.t.Context(), text(h.t, req, format))
	if err != nil {
		h.t.Fatalf("%s: %v", short(format), describe(err))
	}
	return resp
}

// refused calls a method with a request in text format, which must be refused so, and change nothing.
func refused[Q, R proto.Message](h *house, method caller[Q, R], req Q, format string, want problem) {
	h.t.Helper()
	h.unchanged(func() {
		_, err := method(h.t.Context(), text(h.t, req, format))
		want.check(h.t, short(format), err)
	})
}

// problem is what a caller is told, without words.
type problem struct {
	code   codes.Code
	reason string // of the ErrorInfo; empty: none
	field  string // of the first violation; empty: none
}

func (want problem) check(t testing.TB, what string, err error) {
	t.Helper()
	if got := problemOf(err); got != want {
		t.Errorf("%s = %v, want %v: %s", what, got, want, describe(err))
	}
	if st := status.Convert(err); st.Code() != codes.OK && st.Message() == "" {
		t.Errorf("%s says nothing", what)
	}
}

func problemOf(err error) problem {
	p := problem{code: status.Code(err)}
	if info := detail[*errdetails.ErrorInfo](err); info != nil {
		p.reason = info.Reason
		if info.Domain != "teishi.v1" {
			p.reason += " of " + info.Domain
		}
	}
	if bad := detail[*errdetails.BadRequest](err); bad != nil {
		p.field = bad.FieldViolations[0].Field
	}
	return p
}

// detail returns the only detail of its type, nil if there is none.
func detail[D proto.Message](err error) (found D) {
	n := 0
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(D); ok {
			found = d
			n++
		}
	}
	if n > 1 {
		panic("a status has two details of a type")
	}
	return found
}

func metadataOf(err error, key string) string {
	return detail[*errdetails.ErrorInfo](err).GetMetadata()[key]
}

// describe tells an error with its details.
func describe(err error) string {
	if err == nil {
		return "no error"
	}
	var b strings.Builder
	b.WriteString(err.Error())
	for _, d := range status.Convert(err).Details() {
		b.WriteString("\n\t" + prototext.MarshalOptions{}.Format(d.(proto.Message)))
	}
	return b.String()
}

// Errors that many tests expect.
func invalid(field string) problem {
	return problem{codes.InvalidArgument, "INVALID_FIELD", field}
}

func unknownField(field string) problem {
	return problem{codes.InvalidArgument, "UNKNOWN_FIELD", field}
}

func unknownReference(field string) problem {
	return problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", field}
}

func notPermitted(field string) problem {
	return problem{codes.FailedPrecondition, "NOT_PERMITTED_BY_DIRECTIVE", field}
}

// settle registers a small country: a ministry and a city with a school, two vendors, and LINE.
func (h *house) settle() {
	h.t.Helper()
	for _, o := range []string{
		`id: "jp" names { key: "ja" value: "日本国" } aliases: "country:jp"`,
		`id: "mic" parent: "jp" kind: "ministry" aliases: "corporate-number:2000012020001"`,
		`id: "city" parent: "jp" kind: "municipality" aliases: "jis:131016"`,
		`id: "school" parent: "city" kind: "school"`,
	} {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+o+` } reason: "settle"`)
	}
	do(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { id: "naver" countries { country: "KR" } } reason: "settle"`)
	do(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { id: "z" parents { vendor: "naver" } countries { country: "JP" } } reason: "settle"`)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "line" ownerships { vendor: "z" } tags: "sns"
		identifiers: "ios:jp.naver.line" identifiers: "domain:line.me" identifiers: "domain:xn--r8jz45g.jp" } reason: "settle"`)
}

// halt is a directive of the ministry about LINE.
const halt = `id: "halt" authority: "mic" number: "Notice 1"
	title { key: "ja" value: "停止" } title { key: "en" value: "Halt" }
	sources { uri: "https://www.soumu.go.jp/" }
	provisions {
		id: "all" force: FORCE_BINDING
		selector { organizations { in: "mic" } targets { in { app: "line" } } }
		message { key: "ja" value: "使わないこと" }
		alternatives { id: "phone" text: "Telephone" }
	}
	concerns { id: "abroad" } concerns { id: "transparency" }
	lift_mode: LIFT_MODE_WHEN_CONCERNS_RESOLVED
	exemption_rules { approver: APPROVER_AUTHORITY grounds { id: "disaster" } longest_duration { seconds: 2592000 }
		obligations { id: "report" text: "Report monthly" } not_whole: "municipality" }`

// suspend settles, and issues halt.
func (h *house) suspend() {
	h.t.Helper()
	h.settle()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+halt+` } reason: "suspend"`)
}

// ask asks a question in text format.
func (h *house) ask(format string) *teishiv1.CheckResponse {
	h.t.Helper()
	return do(h, h.decisions.Check, &teishiv1.CheckRequest{}, format)
}

// answers fails unless the question is answered so.
func (h *house) answers(question string, outcome teishiv1.Outcome, reason teishiv1.Reason) *teishiv1.CheckResponse {
	h.t.Helper()
	resp := h.ask(question)
	if resp.Outcome != outcome || resp.Reason != reason {
		h.t.Errorf("Check(%s) = %v, %v, want %v, %v", question, resp.Outcome, resp.Reason, outcome, reason)
	}
	return resp
}

const (
	allowed       = teishiv1.Outcome_OUTCOME_ALLOWED
	denied        = teishiv1.Outcome_OUTCOME_DENIED
	indeterminate = teishiv1.Outcome_OUTCOME_INDETERMINATE
)
