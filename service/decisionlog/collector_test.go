package decisionlog_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/teishi-dev/teishi/service/decisionlog"
)

// gathering is an endpoint of OTLP that keeps what it gets.
type gathering struct {
	collectorv1.UnimplementedLogsServiceServer
	answer func(n int) (*collectorv1.ExportLogsServiceResponse, error) // to the n-th request; nil takes all

	mu       sync.Mutex
	requests int                    // guarded by mu
	got      []*logsv1.ResourceLogs // guarded by mu
}

func (g *gathering) Export(_ context.Context, req *collectorv1.ExportLogsServiceRequest) (*collectorv1.ExportLogsServiceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests++
	if g.answer != nil {
		if resp, err := g.answer(g.requests); resp != nil || err != nil {
			return resp, err
		}
	}
	g.got = append(g.got, req.ResourceLogs...)
	return &collectorv1.ExportLogsServiceResponse{}, nil
}

// lines returns the bodies of all records.
func (g *gathering) lines(t *testing.T) []line {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	var text strings.Builder
	for _, r := range g.got {
		for _, scope := range r.ScopeLogs {
			for _, record := range scope.LogRecords {
				text.WriteString(record.Body.GetStringValue() + "\n")
			}
		}
	}
	return parse(t, []byte(text.String()))
}

// serve serves at an address, until the function returned is called.
func (g *gathering) serve(t *testing.T, address string) (at string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collectorv1.RegisterLogsServiceServer(server, g)
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(listener) })
	stop = sync.OnceFunc(func() {
		server.Stop()
		serving.Wait()
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

func collector(t *testing.T, address string) decisionlog.Sink {
	t.Helper()
	sink, err := decisionlog.Collector("otlp://"+address, "replica-1")
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// Each line is the body of a record, which says when it was decided and by which replica.
func TestCollector(t *testing.T) {
	g := &gathering{}
	address, _ := g.serve(t, "127.0.0.1:0")
	l := writes(t, decisionlog.Config{Sink: collector(t, address), Block: true})
	before := time.Now().Truncate(time.Microsecond)
	for range 3 {
		if err := say(t.Context(), l, asked, denied); err != nil {
			t.Fatal(err)
		}
	}
	for i, one := range g.lines(t) {
		if one.Sequence != int64(i+1) || one.Outcome != "DENIED" {
			t.Errorf("record %d is %+v", i, one)
		}
	}
	first := g.got[0]
	attributes := make(map[string]string)
	for _, a := range first.Resource.Attributes {
		attributes[a.Key] = a.Value.GetStringValue()
	}
	if attributes["service.name"] != "teishi" || attributes["service.instance.id"] != "replica-1" {
		t.Errorf("the resource is %v", first.Resource)
	}
	record := first.ScopeLogs[0].LogRecords[0]
	if at := time.Unix(0, int64(record.TimeUnixNano)); at.Before(before) || at.After(time.Now()) || record.SeverityNumber != logsv1.SeverityNumber_SEVERITY_NUMBER_INFO {
		t.Errorf("a record is %v, of %v", record, at)
	}
	if _, ok := record.Body.Value.(*commonv1.AnyValue_StringValue); !ok || len(g.lines(t)) != 3 {
		t.Errorf("%d records are there, want 3, one after the other: %v", len(g.lines(t)), record.Body)
	}
}

// A collector that is not there yet, or says that it is not able, is asked again; nothing is lost for it.
func TestCollectorAgain(t *testing.T) {
	g := &gathering{answer: func(n int) (*collectorv1.ExportLogsServiceResponse, error) {
		if n == 1 {
			return nil, status.Error(codes.Unavailable, "in a moment")
		}
		return nil, nil
	}}
	address, stop := g.serve(t, "127.0.0.1:0")
	l := writes(t, decisionlog.Config{Sink: collector(t, address), Block: true})
	if err := say(t.Context(), l, asked, denied); err != nil {
		t.Fatalf("to a collector that is ready at the second time, Commit = %v", err)
	}
	stop()
	again := make(chan error, 1)
	go func() { again <- say(t.Context(), l, asked, denied) }()
	other := &gathering{}
	other.serve(t, address)
	if err := <-again; err != nil {
		t.Fatalf("to a collector that was restarted, Commit = %v", err)
	}
	if lines := append(g.lines(t), other.lines(t)...); len(lines) != 2 || lines[1].Sequence != 2 {
		t.Errorf("the collectors have %+v", lines)
	}
}

// What a collector rejects is missing, and is counted.
func TestCollectorRejects(t *testing.T) {
	g := &gathering{answer: func(n int) (*collectorv1.ExportLogsServiceResponse, error) {
		if n > 1 {
			return nil, status.Error(codes.PermissionDenied, "not you")
		}
		return &collectorv1.ExportLogsServiceResponse{PartialSuccess: &collectorv1.ExportLogsPartialSuccess{RejectedLogRecords: 1, ErrorMessage: "too odd"}}, nil
	}}
	address, _ := g.serve(t, "127.0.0.1:0")
	registry := prometheus.NewRegistry()
	l := writes(t, decisionlog.Config{Sink: collector(t, address), Block: true, Registry: registry})
	e := l.Begin(decisionlog.Call{Method: "M"})
	e.Add(asked, denied)
	e.Add(asked, denied)
	err := e.Commit(t.Context())
	if _, ok := status.FromError(err); ok || !errors.Is(err, decisionlog.ErrNotLogged) || !strings.Contains(err.Error(), "rejects 1 of 2: too odd") {
		t.Errorf("Commit = %v", err)
	}
	if dropped, written := counted(t, registry, "teishi_decision_log_dropped_total"), counted(t, registry, "teishi_decision_log_written_total"); dropped != 1 || written != 1 {
		t.Errorf("%v are counted as dropped and %v as written", dropped, written)
	}
	err = say(t.Context(), l, asked, denied)
	if _, ok := status.FromError(err); ok || !errors.Is(err, decisionlog.ErrNotLogged) || !strings.Contains(err.Error(), "not you") {
		t.Errorf("where the collector refuses, Commit = %v, want what is no status of the call", err)
	}
}

// More than a collector takes at once is sent in parts.
func TestCollectorParts(t *testing.T) {
	g := &gathering{}
	address, _ := g.serve(t, "127.0.0.1:0")
	sink := collector(t, address)
	one := `{"time":"2026-11-25T00:00:00.000000Z","sequence":1,"note":"` + strings.Repeat("x", 300<<10) + "\"}\n"
	if n, err := sink.Write([]byte(strings.Repeat(one, 20))); n != 20 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if lines := g.lines(t); len(lines) != 20 || g.requests < 6 {
		t.Errorf("%d lines came with %d requests", len(lines), g.requests)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

// A collector that does not answer holds up nobody for longer than he may wait, nor the end.
func TestCollectorHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	l := decisionlog.New(decisionlog.Config{Sink: collector(t, listener.Addr().String()), Block: true, Replica: "replica-1"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := say(ctx, l, asked, denied); !errors.Is(err, decisionlog.ErrNotLogged) {
		t.Errorf("Commit = %v", err)
	}
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v", err)
	}
}

func TestCollectorRefuses(t *testing.T) {
	for _, address := range []string{"", "otlp://", "otlp://host", "http://host:4317", "otlp://user:secret@host:4317", "otlp://host:4317/v1/logs", "otlp://host:4317?a=b"} {
		sink, err := decisionlog.Collector(address, "replica-1")
		if err == nil {
			t.Errorf("%q is taken for a collector: %v", address, sink)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells a password: %v", err)
		}
	}
}
