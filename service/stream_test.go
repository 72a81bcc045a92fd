package service_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// converses opens a stream of questions.
func (h *house) converses() teishiv1.DecisionService_StreamCheckClient {
	h.t.Helper()
	stream, err := h.decisions.StreamCheck(h.t.Context())
	h.must(err)
	return stream
}

// Questions of a stream are answered in their order, as Check answers them, however many are asked before an answer is read. A
// malformed one fails alone.
func TestStreamCheck(t *testing.T) {
	h := open(t)
	h.suspend()
	stream := h.converses()
	questions := []string{
		`organization: "mic" app: "line"`, `organization: "city" app: "line"`, `organization: "nobody" app: "line"`, `app: "line"`, ``, `organization: "mic" app: "line" at { nanos: -1 }`,
		`organization: "mic" app: "line" language: "ja" explain: true`,
	}
	const rounds = 200
	go func() {
		for i := range rounds * len(questions) {
			q := text(t, &teishiv1.CheckRequest{}, questions[i%len(questions)])
			req := &teishiv1.StreamCheckRequest{CorrelationId: fmt.Sprint("question ", i), Check: q}
			if questions[i%len(questions)] == `` {
				req.Check = nil
			}
			h.must(stream.Send(req))
		}
		h.must(stream.CloseSend())
	}()
	want := map[string]string{questions[3]: "check.organization", ``: "check", questions[5]: "check.at"}
	for i := range rounds * len(questions) {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(describe(err))
		}
		q := questions[i%len(questions)]
		switch field, malformed := want[q]; {
		case m.CorrelationId != fmt.Sprint("question ", i):
			t.Fatalf("answer %d is to %q", i, m.CorrelationId)
		case malformed && (m.GetError().GetCode() != int32(codes.InvalidArgument) || !strings.HasPrefix(m.GetError().GetMessage(), field+": ")):
			t.Errorf("%s is answered %v", q, m)
		case !malformed && !same(m.GetResponse(), h.ask(q)):
			t.Errorf("%s is answered %v, and by Check %v", q, m.GetResponse(), h.ask(q))
		}
	}
	if m, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer comes %v, %v", m, err)
	}
}

// A correlation id that is too long is refused with its question, and a question that is too long with the stream.
func TestStreamCheckRefuses(t *testing.T) {
	h := open(t)
	h.settle()
	stream := h.converses()
	h.must(stream.Send(&teishiv1.StreamCheckRequest{CorrelationId: strings.Repeat("x", 129)}))
	if m, err := stream.Recv(); err != nil || m.GetError().GetCode() != int32(codes.InvalidArgument) {
		t.Errorf("a long correlation id is answered %v, %v", m, err)
	}
	h.must(stream.Send(&teishiv1.StreamCheckRequest{CorrelationId: strings.Repeat("x", 70_000)}))
	_, err := stream.Recv()
	problem{codes.ResourceExhausted, "MESSAGE_TOO_LARGE", ""}.check(t, "a long question", err)
}

// A stream that nobody asks by ends when the server drains, and so does one whose answers nobody reads.
func TestStreamCheckDrains(t *testing.T) {
	h := open(t)
	h.suspend()
	idle, deaf := h.converses(), h.converses()
	h.must(idle.Send(&teishiv1.StreamCheckRequest{Check: text(t, &teishiv1.CheckRequest{}, `organization: "mic" app: "line"`)}))
	_, err := idle.Recv()
	h.must(err)
	for range 1000 {
		h.must(deaf.Send(&teishiv1.StreamCheckRequest{Check: text(t, &teishiv1.CheckRequest{}, `organization: "mic" app: "line"`)}))
	}
	h.server.Drain(0, time.Second)
	_, err = idle.Recv()
	problem{code: codes.Unavailable, reason: "DRAINING"}.check(t, "an idle stream", err)
}
