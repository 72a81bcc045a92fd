package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	_ "modernc.org/sqlite" // what the record is kept in
)

// tamperCmd is `tamper FILE STATEMENT`: it changes a record behind teishi's back, by SQL.
func tamperCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tamper FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	done, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		ts.Fatalf("tamper: %d rows changed (%v), want 1", n, err)
	}
}

// rawCmd is `raw METHOD BYTES`: it sends a message that no client of ours would make, as hexadecimal bytes, `*N` after one of
// them standing for N times that byte, and prints the status.
func rawCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] raw METHOD BYTES")
	}
	connection, err := grpc.NewClient(ts.Getenv("ADDR"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ts.Check(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	var answer []byte
	err = connection.Invoke(ctx, "/"+args[0], rawBytes(ts, args[1]), &answer, grpc.ForceCodecV2(rawCodec{}))
	if (err != nil) != neg {
		ts.Fatalf("raw %s: %v", args[0], err)
	}
	s := status.Convert(err)
	fmt.Fprintf(ts.Stderr(), "%s: %s\n", s.Code(), s.Message())
	for _, d := range s.Details() {
		if d, ok := d.(*errdetails.ErrorInfo); ok {
			fmt.Fprintf(ts.Stderr(), "%s %s\n", d.GetDomain(), d.GetReason())
		}
	}
}

func rawBytes(ts *testscript.TestScript, text string) []byte {
	var all []byte
	for part := range strings.FieldsSeq(text) {
		digits, times, repeated := strings.Cut(part, "*")
		bytes, err := hex.DecodeString(digits)
		ts.Check(err)
		n := 1
		if repeated {
			_, err = fmt.Sscan(times, &n)
			ts.Check(err)
		}
		for range n {
			all = append(all, bytes...)
		}
	}
	return all
}

// rawCodec sends and receives bytes as they are.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
