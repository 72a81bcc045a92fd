package service_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

func TestHealth(t *testing.T) {
	h := open(t)
	health := healthv1.NewHealthClient(h.conn)
	for _, name := range []string{"", "teishi.v1.DecisionService", "teishi.v1.RegistryService", "teishi.v1.DirectiveService", "teishi.v1.AuditService", "teishi.v1.LogService", "teishi.v1.FleetService", "teishi.v1.RestrictionService", "live"} {
		watch, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: name})
		h.must(err)
		for {
			resp, err := watch.Recv()
			if err != nil {
				t.Fatalf("health of %q: %v", name, err)
			}
			if resp.Status == healthv1.HealthCheckResponse_SERVING {
				break
			}
		}
	}
}

func TestReflection(t *testing.T) {
	h := open(t)
	stream, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context())
	h.must(err)
	h.must(stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
	resp, err := stream.Recv()
	h.must(err)
	var names []string
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	for _, want := range []string{"teishi.v1.DecisionService", "teishi.v1.RegistryService", "teishi.v1.DirectiveService", "teishi.v1.AuditService", "teishi.v1.LogService", "teishi.v1.FleetService", "teishi.v1.RestrictionService", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("reflection lists %q, without %s", names, want)
		}
	}
	h.must(stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "teishi.v1.CheckRequest"}}))
	if resp, err = stream.Recv(); err != nil || len(resp.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("describe CheckRequest = %v, %v", resp, err)
	}
}

// TestPanic has a clock that panics: callers learn nothing of it, but where the log says more.
func TestPanic(t *testing.T) {
	h := open(t, func(c *service.Config) {
		c.Version = "1.2.3"
		c.Clock = func() (time.Time, []time.Time) { panic("the clock broke") }
	})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "call-1")
	for range 2 {
		_, err := h.decisions.Check(ctx, &teishiv1.CheckRequest{Organization: "o", App: "a"})
		st := status.Convert(err)
		if st.Code() != codes.Internal || strings.Contains(st.Message(), "clock") || detail[*errdetails.ErrorInfo](err) != nil {
			t.Errorf("a panic is told as %s", describe(err))
		}
		if id := detail[*errdetails.RequestInfo](err).GetRequestId(); id != "call-1" {
			t.Errorf("the failure is told under %q, want call-1", id)
		}
	}
	log := h.lines.String()
	for _, part := range []string{"level=ERROR", "msg=failed", "the clock broke", "call=call-1", "version=1.2.3", "decision"} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %q:\n%s", part, log)
		}
	}
}

// TestCallID is told back, if it is one.
func TestCallID(t *testing.T) {
	h := open(t)
	var trailer metadata.MD
	call := func(id string) string {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", id)
		_, err := h.registry.ListVendors(ctx, &teishiv1.ListVendorsRequest{}, grpc.Trailer(&trailer))
		h.must(err)
		return strings.Join(trailer.Get("x-request-id"), ",")
	}
	if got := call("abc/1"); got != "abc/1" {
		t.Errorf("call abc/1 is told as %q", got)
	}
	if got := call("a b"); got == "a b" || got == "" {
		t.Errorf("call %q is told as %q, want a new id", "a b", got)
	}
	if got := call(strings.Repeat("a", 129)); len(got) > 128 || got == "" {
		t.Errorf("a long call is told as %q, want a new id", got)
	}
}

// TestDrain ends what callers hold open, and answers what is in flight.
func TestDrain(t *testing.T) {
	h := open(t)
	watch, err := healthv1.NewHealthClient(h.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	h.must(err)
	for resp := (&healthv1.HealthCheckResponse{}); resp.Status != healthv1.HealthCheckResponse_SERVING; {
		resp, err = watch.Recv()
		h.must(err)
	}
	reflection, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context())
	h.must(err)
	h.must(reflection.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
	_, err = reflection.Recv()
	h.must(err)
	slow, err := h.registry.Import(context.WithoutCancel(t.Context()))
	h.must(err)
	h.must(slow.Send(&teishiv1.ImportRequest{Reason: "slow"}))
	do(h, h.registry.ListVendors, &teishiv1.ListVendorsRequest{}, ``) // by now the server has the import
	waiting := make(chan error)
	go func() { waiting <- completeLate(slow, watch) }()
	began := time.Now()
	h.server.Drain(time.Millisecond, time.Minute)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("draining took %v: what is held open was not ended", took)
	}
	if err := <-waiting; err != nil {
		t.Errorf("what was in flight: %s", describe(err))
	}
	_, err = reflection.Recv()
	problem{code: codes.Unavailable, reason: "DRAINING"}.check(t, "reflection", err)
	_, err = h.decisions.Check(t.Context(), &teishiv1.CheckRequest{Organization: "o", App: "a"})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a call to a drained server = %v", err)
	}
}

// completeLate completes an import when the watch says, or shows by its end, that the server is draining.
func completeLate(slow grpc.ClientStreamingClient[teishiv1.ImportRequest, teishiv1.ImportResponse], watch grpc.ServerStreamingClient[healthv1.HealthCheckResponse]) error {
	for {
		resp, err := watch.Recv()
		if err != nil || resp.Status == healthv1.HealthCheckResponse_NOT_SERVING {
			break
		}
	}
	purpose := &teishiv1.Resource{Kind: &teishiv1.Resource_Purpose{Purpose: &teishiv1.Purpose{Id: "slow"}}}
	if err := slow.Send(&teishiv1.ImportRequest{Resource: purpose}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err := slow.CloseAndRecv()
	return err
}

// TestDrainByForce does not wait longer than the grace.
func TestDrainByForce(t *testing.T) {
	h := open(t)
	stream, err := h.registry.Import(t.Context())
	h.must(err)
	h.must(stream.Send(&teishiv1.ImportRequest{Reason: "never ends"}))
	do(h, h.registry.ListVendors, &teishiv1.ListVendorsRequest{}, ``) // by now the server has the stream
	h.server.Drain(0, time.Millisecond)
	if _, err := stream.CloseAndRecv(); status.Code(err) != codes.Unavailable {
		t.Errorf("an import that never ends = %v", err)
	}
}
