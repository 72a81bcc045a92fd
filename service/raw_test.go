package service_test

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// raw is a codec that sends bytes as they are.
type raw []byte

func (r raw) Marshal(any) (mem.BufferSlice, error) { return mem.BufferSlice{mem.SliceBuffer(r)}, nil }

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	return proto.Unmarshal(data.Materialize(), v.(proto.Message))
}

func (raw) Name() string { return "proto" }

// rawBytes sends these bytes in place of the message.
func rawBytes(b []byte) grpc.CallOption { return grpc.ForceCodecV2(raw(b)) }

var _ encoding.CodecV2 = raw(nil)
