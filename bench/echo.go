//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/identity"
)

// echoCommand makes this program the empty server that ours is compared with.
const echoCommand = "echo"

const (
	echoService = "teishi.bench.Echo"
	echoMethod  = "/" + echoService + "/Echo"
	echoStream  = "/" + echoService + "/Stream"
	maxEcho     = 4 << 20
)

// echoStreamDesc is that of a stream whose every message is echoed.
var echoStreamDesc = grpc.StreamDesc{StreamName: "Stream", Handler: handleEchoStream, ServerStreams: true, ClientStreams: true}

// echo answers as many bytes as the first four of a question say, big-endian. All it does is to decode and to encode one
// field of bytes: no server does less.
type echo struct{ zeros []byte }

func (e *echo) Echo(_ context.Context, req *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	if len(req.Value) < 4 {
		return nil, status.Error(codes.InvalidArgument, "no size")
	}
	size := binary.BigEndian.Uint32(req.Value)
	if size > maxEcho {
		return nil, status.Error(codes.InvalidArgument, "too large a size")
	}
	return &wrapperspb.BytesValue{Value: e.zeros[:size]}, nil
}

// echoQuestion returns a question of the size, in bytes on the wire, whose answer is of the other.
func echoQuestion(size, answer int) *wrapperspb.BytesValue {
	value := make([]byte, max(4, size-overhead(size)))
	binary.BigEndian.PutUint32(value, uint32(answer-overhead(answer)))
	return &wrapperspb.BytesValue{Value: value}
}

// overhead is how much of a field of bytes of that size is its tag and its length.
func overhead(size int) int {
	return 1 + len(binary.AppendUvarint(nil, uint64(size)))
}

// serveEcho serves until ctx ends. With a file of fixed answers it is a DecisionService too, that
// answers with them, and tells them to whoever watches when a directive is issued or withdrawn. With three more, of a certificate,
// of its key and of whoever signs those of callers, it speaks TLS as ours does.
func serveEcho(ctx context.Context, files []string, stdout io.Writer) error {
	options := service.Transport()
	if len(files) == 4 {
		id, err := identity.New(identity.Config{CertFile: files[1], KeyFile: files[2], ClientCAFile: files[3]})
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(id.Credentials()))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: echoService,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handleEcho}},
		Streams:     []grpc.StreamDesc{echoStreamDesc},
	}, &echo{zeros: make([]byte, maxEcho)})
	if len(files) > 0 {
		f, err := readFixed(files[0])
		if err != nil {
			return err
		}
		teishiv1.RegisterDecisionServiceServer(server, f)
		teishiv1.RegisterDirectiveServiceServer(server, f.bell)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "echoing on", listener.Addr())
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(listener)
}

// handleEcho is what a generated handler is.
func handleEcho(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	req := new(wrapperspb.BytesValue)
	if err := decode(req); err != nil {
		return nil, err
	}
	return srv.(*echo).Echo(ctx, req)
}

func handleEchoStream(srv any, ss grpc.ServerStream) error {
	stream := &grpc.GenericServerStream[wrapperspb.BytesValue, wrapperspb.BytesValue]{ServerStream: ss}
	return converse(stream, srv.(*echo).Echo)
}

// converse answers every message of a stream.
func converse[Q, R any](stream grpc.BidiStreamingServer[Q, R], answer func(context.Context, *Q) (*R, error)) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		resp, err := answer(stream.Context(), req)
		if err != nil {
			return err
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// fixed answers every question alike: it is ours without what decides.
type fixed struct {
	teishiv1.UnimplementedDecisionServiceServer
	one  *teishiv1.CheckResponse
	all  *teishiv1.BatchCheckResponse
	bell *bell
}

// readFixed reads the answer to a batch. That to one question is the one of them that is nearest to their mean size.
func readFixed(file string) (*fixed, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f := &fixed{all: &teishiv1.BatchCheckResponse{}, bell: newBell()}
	if err := proto.Unmarshal(b, f.all); err != nil {
		return nil, err
	}
	mean, off := len(b)/len(f.all.Results), len(b)
	for _, r := range f.all.Results {
		if d := proto.Size(r) - mean; max(d, -d) < off {
			f.one, off = r.GetResponse(), max(d, -d)
		}
	}
	return f, nil
}

func (f *fixed) Check(context.Context, *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
	return f.one, nil
}

func (f *fixed) BatchCheck(context.Context, *teishiv1.BatchCheckRequest) (*teishiv1.BatchCheckResponse, error) {
	return f.all, nil
}

func (f *fixed) StreamCheck(stream teishiv1.DecisionService_StreamCheckServer) error {
	return converse(stream, func(_ context.Context, req *teishiv1.StreamCheckRequest) (*teishiv1.StreamCheckResponse, error) {
		return &teishiv1.StreamCheckResponse{CorrelationId: req.CorrelationId, Result: &teishiv1.StreamCheckResponse_Response{Response: f.one}}, nil
	})
}
