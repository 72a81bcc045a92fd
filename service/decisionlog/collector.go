package decisionlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// maxExported bounds the bytes of lines of one request: collectors take 4 MiB, as servers of gRPC do unless they are told otherwise.
	maxExported = 1 << 20
	// exportWithin is for how long a collector is waited for, its restart included.
	exportWithin = 10 * time.Second
)

// retryPolicy asks a collector again that says so.
const retryPolicy = `{"methodConfig":[{"name":[{}],"waitForReady":true,"retryPolicy":
	{"maxAttempts":5,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// collector exports lines over OTLP.
type collector struct {
	conn     *grpc.ClientConn
	logs     collectorv1.LogsServiceClient
	resource *resourcev1.Resource
}

// Collector returns a sink that exports over OTLP to what the URL names: otlp://HOST:PORT, or otlps://HOST:PORT for TLS. Each line is
// the body of a log record, of the replica of that name.
func Collector(address, replica string) (Sink, error) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Path+u.RawQuery+u.Fragment != "" {
		return nil, errAddress
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return nil, errAddress
	}
	security := insecure.NewCredentials()
	switch u.Scheme {
	case "otlp":
	case "otlps":
		security = credentials.NewTLS(nil)
	default:
		return nil, errAddress
	}
	conn, err := grpc.NewClient("dns:///"+u.Host, grpc.WithTransportCredentials(security), grpc.WithDefaultServiceConfig(retryPolicy),
		grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, err
	}
	return &collector{
		conn: conn,
		logs: collectorv1.NewLogsServiceClient(conn),
		resource: &resourcev1.Resource{Attributes: []*commonv1.KeyValue{
			{Key: "service.name", Value: text("teishi")},
			{Key: "service.instance.id", Value: text(replica)},
		}},
	}, nil
}

var errAddress = errors.New("not otlp://HOST:PORT or otlps://HOST:PORT")

func text(s string) *commonv1.AnyValue {
	return &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: s}}
}

// Write is part of Sink.
func (c *collector) Write(lines []byte) (written int64, err error) {
	var records []*logsv1.LogRecord
	size := 0
	for line := range bytes.Lines(lines) {
		if size+len(line) > maxExported && len(records) > 0 {
			n, err := c.export(records)
			if written += n; err != nil {
				return written, err
			}
			records, size = nil, 0
		}
		records = append(records, recordOf(bytes.TrimSuffix(line, []byte{'\n'})))
		size += len(line)
	}
	n, err := c.export(records)
	return written + n, err
}

// export exports records, and returns how many the collector has taken.
func (c *collector) export(records []*logsv1.LogRecord) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), exportWithin)
	defer cancel()
	resp, err := c.logs.Export(ctx, &collectorv1.ExportLogsServiceRequest{ResourceLogs: []*logsv1.ResourceLogs{{
		Resource:  c.resource,
		ScopeLogs: []*logsv1.ScopeLogs{{Scope: &commonv1.InstrumentationScope{Name: "teishi.decisions"}, LogRecords: records}},
	}}})
	if err != nil {
		return 0, err
	}
	if rejected := resp.GetPartialSuccess().GetRejectedLogRecords(); rejected > 0 {
		return int64(len(records)) - rejected, fmt.Errorf("the collector rejects %d of %d: %s", rejected, len(records), resp.PartialSuccess.ErrorMessage)
	}
	return int64(len(records)), nil
}

// recordOf returns the log record of a line.
func recordOf(line []byte) *logsv1.LogRecord {
	var of struct{ Time time.Time }
	if err := json.Unmarshal(line, &of); err != nil {
		panic(err) // it is of our own making
	}
	return &logsv1.LogRecord{
		TimeUnixNano:         uint64(of.Time.UnixNano()),
		ObservedTimeUnixNano: uint64(of.Time.UnixNano()),
		SeverityNumber:       logsv1.SeverityNumber_SEVERITY_NUMBER_INFO,
		SeverityText:         "INFO",
		EventName:            "teishi.decision",
		Body:                 text(string(line)),
	}
}

// Close is part of Sink.
func (c *collector) Close() error { return c.conn.Close() }
