package main

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// indentedJSON is a message in the JSON that grpcurl writes. protojson varies its spaces on purpose; this does not.
func indentedJSON(m proto.Message) string {
	var b bytes.Buffer
	if err := json.Indent(&b, protoJSON(m), "", "  "); err != nil {
		panic(err) // protojson wrote it
	}
	return b.String()
}

// jsonLine is the same in one line.
func jsonLine(m proto.Message) string {
	var b bytes.Buffer
	if err := json.Compact(&b, protoJSON(m)); err != nil {
		panic(err) // protojson wrote it
	}
	return b.String() + "\n"
}

func protoJSON(m proto.Message) []byte {
	data, err := protojson.Marshal(m)
	if err != nil {
		panic(err) // a message of ours that came by gRPC or was read from a file
	}
	return data
}
