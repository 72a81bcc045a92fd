package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/service"
)

const domain = "teishi"

// house is an authority with a record of its own, served on the loopback.
type house struct {
	t          testing.TB
	log        *sqlite.Log
	replica    *policystore.Replica
	server     *service.Server
	address    string
	written    int64 // the revision of the last halt
	registry   teishiv1.RegistryServiceClient
	directives teishiv1.DirectiveServiceClient
}

// open starts an authority; change may alter its configuration.
func open(t testing.TB, change ...func(*service.Config)) *house {
	t.Helper()
	h := &house{t: t}
	var err error
	h.log, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "teishi.db"), Domain: domain})
	h.must(err)
	t.Cleanup(func() { h.must(h.log.Close()) })
	h.must(policystore.Initialize(t.Context(), h.log, domain, nil))
	origin := policystore.Origin{Name: "sqlite", Source: h.log, Record: true}
	h.replica = policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{origin}, Domain: domain})
	authority := policystore.NewAuthority(policystore.AuthorityConfig{Log: h.log, Replica: h.replica, Name: "authority-0"})
	fleet := policystore.NewFleet(h.log, authority)
	h.runs(h.replica.Run)
	h.runs(authority.Run)
	h.runs(fleet.Run)
	h.must(h.replica.WaitReady(t.Context()))
	config := service.Config{Replica: h.replica, Domain: domain,
		Record: &service.Record{Authority: authority, History: policystore.NewHistory(h.log, domain), Log: h.log, Fleet: fleet}}
	for _, c := range change {
		c(&config)
	}
	h.server = service.New(config)
	h.address = serve(t, h.server)
	conn := dial(t, h.address)
	h.registry, h.directives = teishiv1.NewRegistryServiceClient(conn), teishiv1.NewDirectiveServiceClient(conn)
	return h
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// served is what has a life on a listener.
type served interface {
	Serve(net.Listener) error
	Drain(lameDuck, grace time.Duration)
}

// serve serves on a free port of the loopback until the test ends, and returns the address.
func serve(t testing.TB, s served) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		s.Drain(0, time.Second)
		serving.Wait()
	})
	return listener.Addr().String()
}

func dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
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

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// text makes a message of its text format.
func text[M proto.Message](t testing.TB, m M, format string) M {
	t.Helper()
	if err := prototext.Unmarshal([]byte(format), m); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return m
}

// caller is a method of a generated client.
type caller[Q, R proto.Message] func(context.Context, Q, ...grpc.CallOption) (R, error)

// do calls a method with a request in text format and must succeed.
func do[Q, R proto.Message](h *house, method caller[Q, R], req Q, format string) R {
	h.t.Helper()
	resp, err := method(h.t.Context(), text(h.t, req, format))
	if err != nil {
		h.t.Fatalf("%s: %v", format, err)
	}
	return resp
}

// settle registers a small country: a ministry and a city with a school, a vendor, and two apps.
func (h *house) settle() {
	h.t.Helper()
	for _, o := range []string{`id: "jp"`, `id: "mic" parent: "jp" kind: "ministry" aliases: "corporate-number:2000012020001"`,
		`id: "city" parent: "jp" kind: "municipality"`, `id: "school" parent: "city" kind: "school"`} {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+o+` } reason: "settle"`)
	}
	do(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { id: "naver" countries { country: "KR" } } reason: "settle"`)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "line" ownerships { vendor: "naver" } tags: "sns"
		identifiers: "ios:jp.naver.line" identifiers: "domain:line.me" identifiers: "domain:xn--r8jz45g.jp" } reason: "settle"`)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "mail" on_stale: ON_STALE_DENY } reason: "settle"`)
}

// halt is a directive about LINE that leaves out what is public, with an obligation.
const halt = `id: "halt" authority: "mic" number: "Notice 1"
	title { key: "ja" value: "停止" } title { key: "en" value: "Halt" }
	sources { uri: "https://www.soumu.go.jp/" } sources { text: "A press conference" }
	provisions {
		id: "all" force: FORCE_BINDING
		selector { organizations { in: "mic" } targets { in { app: "line" } } }
		message { key: "ja" value: "使わないこと" }
		alternatives { id: "phone" text: "Telephone" }
	}
	carve_outs { id: "public" selector { conditions { attribute: "data-sensitivity" values: "public" } } obligations { id: "log" text: "Keep a log" } }`

// suspend issues halt, and returns its revision.
func (h *house) suspend() int64 {
	h.t.Helper()
	return issue(h, "halt")
}

// issue issues halt by another id.
func issue(h *house, id string) int64 {
	h.t.Helper()
	named := strings.Replace(halt, `id: "halt"`, fmt.Sprintf("id: %q", id), 1)
	h.written = do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+named+` } reason: "suspend"`).Revision
	return h.written
}

// caughtUp waits until a client answers from all that is written.
func (h *house) caughtUp(c client.Checker) {
	h.t.Helper()
	head, err := h.log.Head(h.t.Context())
	h.must(err)
	_, err = c.Check(h.t.Context(), client.Query{Organization: "jp", App: "line", MinRevision: int64(head.Revision)})
	h.must(err)
}

// lift lifts halt.
func (h *house) lift() int64 {
	h.t.Helper()
	return do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" release: "over" reason: "lift"`).Revision
}

// remote dials an address.
func remote(t testing.TB, address string, c client.Config) *client.Remote {
	t.Helper()
	c.Logger = logger(t)
	r, err := client.Dial(address, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// local follows an address.
func local(t testing.TB, address string, c client.Config) *client.Local {
	t.Helper()
	l, err := client.Follow(address, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Questions that tests ask.
var (
	mic    = client.Query{Organization: "mic", App: "line", Purpose: "feedback.opinion", Attributes: map[string]string{"data-sensitivity": "secret"}}
	public = client.Query{Organization: "mic", App: "line", Purpose: "feedback.opinion", Attributes: map[string]string{"data-sensitivity": "public"}}
	vague  = client.Query{Organization: "mic", App: "line", Purpose: "feedback.opinion"}
	city   = client.Query{Organization: "city", App: "line"}
	nobody = client.Query{Organization: "nobody", App: "line"}
)
