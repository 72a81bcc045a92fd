package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/grpc"
)

// collecting is an endpoint of OTLP that writes what it gets to a file: whose record it is, and its body.
type collecting struct {
	collectorv1.UnimplementedLogsServiceServer
	file *os.File
}

func (c *collecting) Export(_ context.Context, req *collectorv1.ExportLogsServiceRequest) (*collectorv1.ExportLogsServiceResponse, error) {
	for _, r := range req.ResourceLogs {
		instance := ""
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.instance.id" {
				instance = a.Value.GetStringValue()
			}
		}
		for _, scope := range r.ScopeLogs {
			for _, record := range scope.LogRecords {
				if _, err := fmt.Fprintln(c.file, instance, record.Body.GetStringValue()); err != nil {
					return nil, err
				}
			}
		}
	}
	return &collectorv1.ExportLogsServiceResponse{}, nil
}

// collectCmd is `collect FILE`: it collects logs over OTLP into the file until the script ends. COLLECTOR is its address.
func collectCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: collect FILE")
	}
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := grpc.NewServer()
	collectorv1.RegisterLogsServiceServer(server, &collecting{file: file})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	ts.Defer(func() {
		server.Stop()
		<-ended
		file.Close()
	})
	ts.Setenv("COLLECTOR", listener.Addr().String())
}
