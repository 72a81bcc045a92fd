package service

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// limitsOf are limits, and what they log.
func limitsOf(given Limits) (*limits, *strings.Builder) {
	text := &strings.Builder{}
	return newLimits(given, nil, slog.New(slog.NewTextHandler(text, nil))), text
}

// callOf is a call of a method by somebody.
func callOf(method, principal string, req any) *call {
	return &call{method: method, manner: manners[method], caller: &Caller{Principal: principal}, received: req}
}

// passes reports how often the call may begin, of the times it is tried; each ends at once.
func (l *limits) passes(t *testing.T, c *call, times int) (n int, last *limitedError) {
	t.Helper()
	for range times {
		held, err := l.begin(c, c.caller.Principal)
		if err == nil {
			n++
			held.end()
		} else if !errors.As(err, &last) {
			t.Fatal(err)
		}
	}
	return n, last
}

func checkBy(principal string) *call {
	return callOf(teishiv1.DecisionService_Check_FullMethodName, principal, &teishiv1.CheckRequest{})
}

// TestRefusedUntil waits as long as a refused caller is told.
func TestRefusedUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := limitsOf(Limits{Checks: 10})
		n, refused := l.passes(t, checkBy("cn:a"), 25)
		if n != 20 || refused == nil {
			t.Fatalf("%d of 25 pass, want what comes in two seconds: 20", n)
		}
		if n, _ := l.passes(t, checkBy("cn:b"), 20); n != 20 {
			t.Errorf("%d of another's 20 pass: it pays for the first", n)
		}
		time.Sleep(refused.retry - 2*time.Microsecond)
		if n, _ := l.passes(t, checkBy("cn:a"), 1); n != 0 {
			t.Errorf("it passes before the time it was told, %v", refused.retry)
		}
		time.Sleep(2 * time.Microsecond)
		if n, err := l.passes(t, checkBy("cn:a"), 1); n != 1 {
			t.Errorf("after the time it was told: %v", err)
		}
		time.Sleep(time.Hour)
		if n, _ := l.passes(t, checkBy("cn:a"), 25); n != 20 {
			t.Errorf("%d of 25 pass after an hour, want 20", n)
		}
	})
}

// TestCosts has a batch cost as many as it asks, and a page as many as it may have.
func TestCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			method string
			req    any
			want   int
		}{
			{teishiv1.DecisionService_Check_FullMethodName, &teishiv1.CheckRequest{}, 1},
			{teishiv1.DecisionService_BatchCheck_FullMethodName, &teishiv1.BatchCheckRequest{}, 1},
			{teishiv1.DecisionService_BatchCheck_FullMethodName, &teishiv1.BatchCheckRequest{Queries: make([]*teishiv1.Query, 1000)}, 1000},
			{teishiv1.DecisionService_ListDecisions_FullMethodName, &teishiv1.ListDecisionsRequest{}, defaultPage},
			{teishiv1.DecisionService_ListDecisions_FullMethodName, &teishiv1.ListDecisionsRequest{PageSize: 1 << 30}, largestPage},
			{teishiv1.RestrictionService_GetRestrictions_FullMethodName, &teishiv1.GetRestrictionsRequest{PageSize: 7}, 7},
			{teishiv1.RegistryService_ListApps_FullMethodName, &teishiv1.ListAppsRequest{PageSize: 1000}, 1},
			{teishiv1.DirectiveService_IssueDirective_FullMethodName, &teishiv1.IssueDirectiveRequest{}, 1},
		} {
			l, _ := limitsOf(Limits{Checks: 1000, Reads: 1000, Writes: 1000})
			c := callOf(test.method, "cn:a", test.req)
			l.passes(t, c, 1)
			if n, _ := l.passes(t, &call{manner: manner{class: c.manner.class}, caller: c.caller}, 2000); n != 2000-test.want {
				t.Errorf("a %T costs %d, want %d", test.req, 2000-n, test.want)
			}
		}
	})
}

// TestLargeBatch has a batch that costs more than there ever is: it takes all of it.
func TestLargeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := limitsOf(Limits{Checks: 10})
		batch := callOf(teishiv1.DecisionService_BatchCheck_FullMethodName, "cn:a", &teishiv1.BatchCheckRequest{Queries: make([]*teishiv1.Query, 1000)})
		n, refused := l.passes(t, batch, 2)
		if n != 1 || refused == nil || refused.retry.Round(time.Second) != 2*time.Second {
			t.Errorf("%d of two pass, and then %v, want one and two seconds", n, refused)
		}
	})
}

// TestAtOnce has as many under way as there may be, of each class.
func TestAtOnce(t *testing.T) {
	l, _ := limitsOf(Limits{Streams: 3})
	for _, test := range []struct {
		method string
		most   int
	}{
		{teishiv1.DecisionService_Check_FullMethodName, 256},
		{teishiv1.DirectiveService_IssueDirective_FullMethodName, 8},
		{teishiv1.AuditService_ListEntries_FullMethodName, 32},
		{teishiv1.DecisionService_WatchDecisions_FullMethodName, 3},
	} {
		c := callOf(test.method, "cn:a", nil)
		var held []*budget
		for range test.most {
			own, err := l.begin(c, "cn:a")
			if err != nil {
				t.Fatalf("%s, after %d: %v", test.method, len(held), err)
			}
			held = append(held, own)
		}
		if n, err := l.passes(t, c, 2); n != 0 || err.retry != busyRetry || err.per != "at once" {
			t.Errorf("%s: %d pass beside %d, %v", test.method, n, test.most, err)
		}
		held[0].end()
		if n, err := l.passes(t, c, 2); n != 2 {
			t.Errorf("%s: %d of two pass when one has ended, one after the other: %v", test.method, n, err)
		}
		for _, own := range held[1:] {
			own.end()
		}
	}
}

// TestUnlimited takes limits away.
func TestUnlimited(t *testing.T) {
	l, _ := limitsOf(Limits{Checks: -1, Writes: -1, Reads: -1, Streams: -1})
	for _, method := range []string{teishiv1.DecisionService_Check_FullMethodName, teishiv1.DirectiveService_IssueDirective_FullMethodName,
		teishiv1.AuditService_ListEntries_FullMethodName, teishiv1.DecisionService_WatchDecisions_FullMethodName} {
		for range 3 * DefaultStreams {
			if _, err := l.begin(callOf(method, "cn:a", nil), "cn:a"); err != nil {
				t.Fatalf("%s: %v", method, err)
			}
		}
	}
}

// TestForgotten has holders come and go.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := limitsOf(Limits{})
		count := func() (n int) {
			for i := range l[checking].parts {
				n += len(l[checking].parts[i].of)
			}
			return n
		}
		busy, err := l.begin(checkBy("cn:busy"), "cn:busy")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			l.passes(t, checkBy(fmt.Sprint("cn:", i)), 1)
		}
		time.Sleep(forgetAfter)
		for i := range 100 { // some in each part
			l.passes(t, checkBy(fmt.Sprint("cn:new", i)), 1)
		}
		if n := count(); n != 101 {
			t.Errorf("%d are kept after a minute, want those that are used, and whoever has something under way: 101", n)
		}
		if l[checking].of("cn:busy", time.Now()) != busy {
			t.Error("whoever has something under way was forgotten")
		}
		for i := range 2 * parts * mostHeld {
			l.passes(t, checkBy(fmt.Sprint("cn:", i)), 1)
		}
		if n := count(); n != parts*mostHeld {
			t.Errorf("%d are kept of a flood of them, want %d", n, parts*mostHeld)
		}
	})
}

// TestTold logs a line a minute for each holder, and counts everything.
func TestTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry, text := prometheus.NewRegistry(), &strings.Builder{}
		l := newLimits(Limits{Writes: 1}, registry, slog.New(slog.NewTextHandler(text, nil)))
		write := callOf(teishiv1.DirectiveService_IssueDirective_FullMethodName, "cn:a", nil)
		other := callOf(teishiv1.DirectiveService_IssueDirective_FullMethodName, "cn:b", nil)
		l.passes(t, write, 102)
		l.passes(t, other, 12)
		time.Sleep(tellEvery)
		l.passes(t, write, 102)
		if n := strings.Count(text.String(), "\n"); n != 3 {
			t.Errorf("%d lines, want 3:\n%s", n, text)
		}
		if want := `msg=limited principal=cn:b error="writes of one principal are limited to 1 a second: try again later"`; !strings.Contains(text.String(), want) {
			t.Errorf("no line says %s:\n%s", want, text)
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatalf("%d families, %v", len(families), err)
		}
		for _, m := range families[0].Metric {
			if class := m.Label[0].GetValue(); class == "writes" && m.Counter.GetValue() != 210 || class != "writes" && m.Counter.GetValue() != 0 {
				t.Errorf("%v of %s are counted, want 210 writes", m.Counter.GetValue(), class)
			}
		}
	})
}

// guardedBy is what of a server finds out who calls.
func guardedBy(identify Identifier) *Server {
	l, _ := limitsOf(Limits{})
	return &Server{identify: identify, limits: l, good: goodOnes{seed: maphash.MakeSeed()}}
}

// from is the context of a call from an address, which shows a credential.
func from(address, shown string) context.Context {
	tcp := &net.TCPAddr{IP: net.ParseIP(address), Port: 1}
	return metadata.NewIncomingContext(peer.NewContext(context.Background(), &peer.Peer{Addr: tcp}), metadata.Pairs("authorization", shown))
}

// TestFailures has callers fail to be known: what they cost is bounded, and who is known from the same address goes on.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked, bad := 0, &UnauthenticatedError{"no"}
		s := guardedBy(func(ctx context.Context) (Caller, error) {
			looked++
			if shown := metadata.ValueFromIncomingContext(ctx, "authorization"); len(shown) == 1 && strings.HasPrefix(shown[0], "good") {
				return Caller{Principal: "cn:" + shown[0]}, nil
			}
			return Caller{}, bad
		})
		known := func(address, shown string) error {
			_, err := s.recognized(from(address, shown))
			return err
		}
		for range 1000 { // never counted
			if err := known("192.0.2.1", "good"); err != nil {
				t.Fatal(err)
			}
		}
		looked = 0
		var limited *limitedError
		for i := range 1000 {
			if errors.As(known("192.0.2.1", fmt.Sprint("bad", i)), &limited) != (i >= 100) {
				t.Fatalf("after %d failures: %v", i, limited)
			}
		}
		if looked != 100 {
			t.Errorf("%d of 1000 were looked at, want 100", looked)
		}
		if err := known("192.0.2.1", "good"); err != nil {
			t.Errorf("who was known there before: %v", err)
		}
		if err := known("192.0.2.1", "good too"); !errors.As(err, &limited) {
			t.Errorf("who was never known before is looked at: %v", err)
		}
		if err := known("192.0.2.2", "bad"); !errors.Is(err, bad) {
			t.Errorf("at another address: %v", err)
		}
		time.Sleep(limited.retry)
		if err := known("192.0.2.1", "good too"); err != nil {
			t.Errorf("after the time that was told: %v", err)
		}
		time.Sleep(time.Second)
		if err := known("192.0.2.1", "bad"); !errors.Is(err, bad) {
			t.Errorf("after a second: %v", err)
		}
	})
}

// TestGoodNoMore has a credential that was good and is so no longer: it is looked at once more.
func TestGoodNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked, err := 0, error(nil)
		s := guardedBy(func(context.Context) (Caller, error) {
			looked++
			return Caller{Principal: "cn:a"}, err
		})
		_, _ = s.recognized(from("192.0.2.1", "old"))
		err = &UnauthenticatedError{"no"}
		for i := range 200 {
			_, _ = s.recognized(from("192.0.2.1", fmt.Sprint("bad", i)))
		}
		looked = 0
		for range 10 {
			if _, got := s.recognized(from("192.0.2.1", "old")); !errors.As(got, new(*limitedError)) {
				t.Errorf("what is good no longer is told %v", got)
			}
		}
		if looked != 1 {
			t.Errorf("it was looked at %d times, want once", looked)
		}
	})
}

// TestAnonymous has whoever it is ask after health, of which each address has its part.
func TestAnonymous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := limitsOf(Limits{})
		c := callOf(healthv1.Health_Check_FullMethodName, "", nil)
		c.caller = &nobody
		for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
			holder := c.holder(from(address, "none"))
			for i := range 1100 {
				held, err := l.begin(c, holder)
				if (err == nil) != (i < 1000) {
					t.Fatalf("after %d at %s: %v", i, holder, err)
				}
				held.end()
			}
		}
	})
}

func TestAddressOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := addressOf(from(address, "")); got != want {
			t.Errorf("addressOf(%s) = %q, want %q", address, got, want)
		}
	}
	if got := addressOf(peer.NewContext(context.Background(), &peer.Peer{Addr: &net.UnixAddr{Name: "s"}})); got != "" {
		t.Errorf("a socket of this machine is %q, want nothing", got)
	}
}

// TestUnclassed has a method of no class.
func TestUnclassed(t *testing.T) {
	services := map[string]grpc.ServiceInfo{"teishi.v1.DecisionService": {Methods: []grpc.MethodInfo{{Name: "Check"}, {Name: "Guess"}}}}
	if names := unlisted(services); len(names) != 1 || names[0] != "/teishi.v1.DecisionService/Guess" {
		t.Errorf("unlisted: %q", names)
	}
	m := manners[teishiv1.DecisionService_Check_FullMethodName]
	defer func() { manners[teishiv1.DecisionService_Check_FullMethodName] = m }()
	manners[teishiv1.DecisionService_Check_FullMethodName] = manner{may: m.may}
	if names := unlisted(services); len(names) != 2 {
		t.Errorf("unlisted without a class: %q", names)
	}
}

// BenchmarkLimited is what limits cost a call.
func BenchmarkLimited(b *testing.B) {
	l, _ := limitsOf(Limits{Checks: 1 << 30})
	s := &Server{limits: l}
	free := step(func(context.Context, *call) error { return nil })
	for name, chain := range map[string]step{"without": free, "with": s.limited(free)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := checkBy("user:https://id.example.org#0123456789")
			for b.Loop() {
				if err := chain(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		b.ReportAllocs()
		l, _ := limitsOf(Limits{Checks: 1})
		s := &Server{limits: l}
		chain := s.concluded(s.limited(free))
		c := checkBy("user:https://id.example.org#0123456789")
		for b.Loop() {
			_ = chain(b.Context(), c)
		}
	})
}
