package service_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// openLimited opens a house with somebody in it, and beside it a server that asks who calls and has limits, with connections to it.
func openLimited(t *testing.T, identify service.Identifier, limits service.Limits, connections int) (*house, []*grpc.ClientConn) {
	t.Helper()
	var config service.Config
	h := open(t, func(c *service.Config) { config = *c })
	h.settle()
	h.grant("cn:flood", "administrator", "*")
	h.grant("cn:other", "administrator", "*")
	config.Identify, config.Limits = identify, limits
	beside := *h
	beside.server = service.New(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	beside.serve(listener)
	var conns []*grpc.ClientConn
	for range connections {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		h.must(err)
		t.Cleanup(func() { h.must(conn.Close()) })
		conns = append(conns, conn)
	}
	return h, conns
}

var limitExceeded = problem{codes.ResourceExhausted, "LIMIT_EXCEEDED", ""}

// flood is callers of one principal who ask for more than it may.
type flood struct {
	refused, answered atomic.Int64
	wrong             atomic.Value
}

func (f *flood) note(ctx context.Context, err error) {
	switch {
	case err == nil:
		f.answered.Add(1)
	case problemOf(err) == limitExceeded && detail[*errdetails.RetryInfo](err).GetRetryDelay().AsDuration() > 0:
		f.refused.Add(1)
	case ctx.Err() == nil:
		f.wrong.Store(describe(err))
	}
}

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestFloodOfChecks has a principal ask all that it may at once, and more than it may in a second, by many connections. Suspensions are
// issued meanwhile, by another and by the same.
func TestFloodOfChecks(t *testing.T) {
	h, conns := openLimited(t, byMetadata, service.Limits{Checks: 300}, 8)
	ctx, cancel := context.WithCancel(asPrincipal(t.Context(), "cn:flood"))
	var waiting, batches flood
	var asking sync.WaitGroup
	later := &teishiv1.CheckRequest{Organization: "mic", App: "line", MinRevision: h.head() + 1}
	for i := range 300 {
		asking.Go(func() {
			_, err := teishiv1.NewDecisionServiceClient(conns[i%len(conns)]).Check(ctx, later)
			waiting.note(ctx, err)
		})
	}
	until(t, "44 refusals beside 256 questions", func() bool { return waiting.refused.Load() >= 44 })
	batch := &teishiv1.BatchCheckRequest{}
	for range 100 {
		batch.Queries = append(batch.Queries, &teishiv1.Query{Organization: "mic", App: "line"})
	}
	for _, conn := range conns {
		asking.Go(func() {
			for ctx.Err() == nil {
				_, err := teishiv1.NewDecisionServiceClient(conn).BatchCheck(ctx, batch)
				batches.note(ctx, err)
			}
		})
	}
	until(t, "refusals", func() bool { return batches.refused.Load() > 100 })
	for _, principal := range []string{"cn:other", "cn:flood"} {
		before := batches.refused.Load()
		directive := strings.ReplaceAll(halt, `id: "halt"`, `id: "`+strings.TrimPrefix(principal, "cn:")+`"`)
		_, err := teishiv1.NewDirectiveServiceClient(conns[0]).IssueDirective(asPrincipal(t.Context(), principal),
			text(t, &teishiv1.IssueDirectiveRequest{}, `directive { `+directive+` } reason: "r"`))
		if err != nil {
			t.Errorf("%s issues in the flood: %v", principal, describe(err))
		}
		until(t, "the flood to go on", func() bool { return batches.refused.Load() > before })
	}
	until(t, "what waited", func() bool { return waiting.answered.Load()+waiting.refused.Load() == 300 })
	cancel()
	asking.Wait()
	if waiting.answered.Load() != 256 || waiting.wrong.Load() != nil || batches.wrong.Load() != nil {
		t.Errorf("%d that waited were answered, want 256; %v, %v", waiting.answered.Load(), waiting.wrong.Load(), batches.wrong.Load())
	}
	if n := strings.Count(h.lines.String(), "cn:flood error="); n != 1 {
		t.Errorf("%d lines say that cn:flood is refused %d times, want 1", n, batches.refused.Load())
	}
}

// TestRefusedWrites has a principal write more than it may: the log has a line about that, and one for each, since it is a write.
func TestRefusedWrites(t *testing.T) {
	h, conns := openLimited(t, byMetadata, service.Limits{Writes: 1}, 1)
	registry := teishiv1.NewRegistryServiceClient(conns[0])
	put := func(principal string) error {
		_, err := registry.PutApp(asPrincipal(t.Context(), principal), text(t, &teishiv1.PutAppRequest{}, `app { id: "a" } reason: "r"`))
		return err
	}
	refused := 0
	for range 20 {
		if err := put("cn:flood"); err != nil {
			limitExceeded.check(t, "PutApp", err)
			if got := metadataOf(err, "class") + " " + metadataOf(err, "limit"); got != "writes 1" {
				t.Errorf("what is limited is told as %q", got)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Error("20 writes, of which one may come a second, and none is refused")
	}
	h.must(put("cn:other"))
	if n := strings.Count(h.lines.String(), "principal=cn:flood"); n != 1+20 { // what was written too
		t.Errorf("%d lines name who writes too much, want 21", n)
	}
	if n := strings.Count(h.lines.String(), "code=ResourceExhausted"); n != refused {
		t.Errorf("%d lines about refused writes, want %d", n, refused)
	}
	if n := strings.Count(h.lines.String(), "msg=limited"); n != 1 {
		t.Errorf("%d lines say that writes are refused, want 1", n)
	}
}

// TestStreamsAtOnce has streams end in every way, each of which leaves room for another.
func TestStreamsAtOnce(t *testing.T) {
	h, conns := openLimited(t, byMetadata, service.Limits{Streams: 2}, 1)
	decisions := teishiv1.NewDecisionServiceClient(conns[0])
	as := func(principal string) (context.Context, context.CancelFunc) {
		return context.WithCancel(asPrincipal(t.Context(), principal))
	}
	watch := func(ctx context.Context) error {
		stream, err := decisions.WatchDecisions(ctx, text(t, &teishiv1.WatchDecisionsRequest{}, `selectors { organizations: "mic" apps: "line" }`))
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	first, end := as("cn:flood")
	h.must(watch(first))
	second, endSecond := as("cn:flood")
	defer endSecond()
	talk, err := decisions.StreamCheck(second)
	h.must(err)
	h.must(talk.Send(text(t, &teishiv1.StreamCheckRequest{}, `check { organization: "mic" app: "line" }`)))
	_, err = talk.Recv()
	h.must(err)
	limitExceeded.check(t, "a third stream", watch(second))
	other, endOther := as("cn:other")
	defer endOther()
	h.must(watch(other))
	end()
	until(t, "room for a watch", func() bool { return watch(second) == nil })
	limitExceeded.check(t, "a third stream again", watch(second))
	h.must(talk.CloseSend())
	until(t, "room for another", func() bool { return watch(second) == nil })
}

// TestStreamOfQuestions has a stream that asks too much: it is told so, question by question, and goes on.
func TestStreamOfQuestions(t *testing.T) {
	h, conns := openLimited(t, byMetadata, service.Limits{Checks: 1}, 1)
	ctx := asPrincipal(t.Context(), "cn:flood")
	talk, err := teishiv1.NewDecisionServiceClient(conns[0]).StreamCheck(ctx)
	h.must(err)
	question := text(t, &teishiv1.StreamCheckRequest{}, `check { organization: "mic" app: "line" }`)
	ask := func() error {
		h.must(talk.Send(question))
		answer, err := talk.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return status.FromProto(answer.GetError()).Err()
	}
	h.must(ask()) // the stream took one of two
	until(t, "a refusal", func() bool { return problemOf(ask()) == limitExceeded })
	until(t, "the next answer", func() bool { return ask() == nil })
}

// byToken believes whoever says that he is good.
func byToken(ctx context.Context) (service.Caller, error) {
	said := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(said) == 1 && strings.HasPrefix(said[0], "good") {
		return service.Caller{Principal: "cn:flood", Means: service.ByToken}, nil
	}
	return service.Caller{}, &service.UnauthenticatedError{Problem: "who calls is not known"}
}

// TestFloodOfStrangers has callers who are not known call from the address of one who is.
func TestFloodOfStrangers(t *testing.T) {
	var looked atomic.Int64
	h, conns := openLimited(t, func(ctx context.Context) (service.Caller, error) {
		looked.Add(1)
		return byToken(ctx)
	}, service.Limits{}, 1)
	call := func(shown string) error {
		_, err := teishiv1.NewAccessServiceClient(conns[0]).WhoAmI(metadata.AppendToOutgoingContext(t.Context(), "authorization", shown), &teishiv1.WhoAmIRequest{})
		return err
	}
	h.must(call("good"))
	until(t, "a stranger to be refused", func() bool { return status.Code(call("bad")) == codes.ResourceExhausted })
	before, refused := looked.Load(), 0
	for range 200 {
		if err := call("bad"); problemOf(err) == limitExceeded && metadataOf(err, "class") == "failures" {
			refused++
		}
		h.must(call("good"))
	}
	if n := looked.Load() - before; refused == 0 || n < 200 || n > int64(200+2*(200-refused)) { // who is not known at a glance is looked at again
		t.Errorf("%d of 200 strangers are refused, and callers looked at %d times", refused, n)
	}
	if n := strings.Count(h.lines.String(), "msg=limited"); n != 1 {
		t.Errorf("%d lines say that strangers are refused, want 1", n)
	}
}

// TestStrangersWhoLeave has callers who are not known leave before they have said anything. They are looked at when they come, so they
// count as those who stay.
func TestStrangersWhoLeave(t *testing.T) {
	var looked atomic.Int64
	h, conns := openLimited(t, func(ctx context.Context) (service.Caller, error) {
		c, err := byToken(ctx)
		if err != nil {
			looked.Add(1)
		}
		return c, err
	}, service.Limits{Reads: -1}, 1)
	shows := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", token)
	}
	until(t, "a stranger to be refused unlooked-at", func() bool {
		before := looked.Load()
		ctx, leave := context.WithCancel(shows("bad"))
		defer leave()
		_, err := conns[0].NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, teishiv1.DecisionService_Check_FullMethodName)
		h.must(err)
		_, err = teishiv1.NewAccessServiceClient(conns[0]).WhoAmI(shows("good"), &teishiv1.WhoAmIRequest{})
		h.must(err) // it came after the stranger on the same connection
		return looked.Load() == before
	})
}
