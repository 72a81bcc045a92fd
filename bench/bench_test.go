//go:build linux

package main

import (
	"bufio"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestEchoSizes sees that the echo carries as many bytes as it is told to. One less is all there is where its length would
// take another byte.
func TestEchoSizes(t *testing.T) {
	e := &echo{zeros: make([]byte, maxEcho)}
	for _, want := range []size{{6, 3}, {106, 75}, {128, 129}, {10_763, 8_006}, {16_386, 16_387}} {
		question := echoQuestion(want.request, want.response)
		answer, err := e.Echo(t.Context(), question)
		if err != nil {
			t.Fatal(err)
		}
		got := size{proto.Size(question), proto.Size(answer)}
		if short := (size{want.request - got.request, want.response - got.response}); short.request>>1 != 0 || short.response>>1 != 0 {
			t.Errorf("echoed %v, want %v", got, want)
		}
	}
	if _, err := e.Echo(t.Context(), &wrapperspb.BytesValue{}); err == nil {
		t.Error("answered what states no size")
	}
}

func said(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func TestListening(t *testing.T) {
	got, err := listening(said("serving the record teishi from /tmp/a on b.db at revision 2 on 127.0.0.1:4711; try: grpcurl\n"))
	if err != nil || got != "127.0.0.1:4711" {
		t.Errorf("listening = %q, %v", got, err)
	}
	for _, line := range []string{"", "no address\n", "cut short on 127.0.0.1:4"} {
		if got, err := listening(said(line)); err == nil {
			t.Errorf("%q: listening = %q, want an error", line, got)
		}
	}
}

func TestRatio(t *testing.T) {
	rounds := []round{
		{{calls: 10}, {calls: 5}, {calls: 10}},
		{{calls: 30}, {calls: 10}, {calls: 10}},
		{{calls: 90}, {calls: 9}, {calls: 10}},
	}
	calls := func(s sample) float64 { return float64(s.calls) }
	if got := ratio(rounds, ofEcho, calls); got != 3 {
		t.Errorf("ratio = %v, want the median of 2, 3 and 10", got)
	}
	if got := median(rounds, ofTeishi, calls); got != 30 {
		t.Errorf("median = %v, want 30", got)
	}
}
