package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// logging is a house whose answers are written to a file.
type logging struct {
	*house
	name string
}

// logs opens a house that writes to the file of a name before it answers.
func logs(t *testing.T, name string, share float64) *logging {
	t.Helper()
	sink, err := decisionlog.File(name)
	if err != nil {
		t.Fatal(err)
	}
	l := decisionlog.New(decisionlog.Config{Sink: sink, Replica: "replica-1", Block: true, Allowed: share})
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h := open(t, func(c *service.Config) { c.Decisions = l })
	h.suspend()
	return &logging{h, name}
}

// lines returns what was written since the last call, each line in short.
func (l *logging) lines() (all []string) {
	l.t.Helper()
	text, err := os.ReadFile(l.name)
	l.must(err)
	l.must(os.Truncate(l.name, 0))
	for one := range bytes.Lines(text) {
		var m struct {
			Method, Principal, Call, Outcome string
			Query                            struct{ Organization, App, Purpose string }
			Directives                       []struct{ Directive string }
			Hypothetical                     bool
			Revision                         int64
		}
		l.must(json.Unmarshal(one, &m))
		parts := []string{strings.TrimPrefix(m.Method, "teishi.v1.DecisionService/"), m.Principal, m.Call, m.Query.Organization, m.Query.App, m.Query.Purpose, m.Outcome}
		for _, d := range m.Directives {
			parts = append(parts, d.Directive)
		}
		if m.Hypothetical {
			parts = append(parts, fmt.Sprint("hypothetical at ", m.Revision))
		}
		all = append(all, strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " "))
	}
	return all
}

func (l *logging) wrote(want ...string) {
	l.t.Helper()
	if got := l.lines(); !slices.Equal(got, want) {
		l.t.Errorf("written is %q, want %q", got, want)
	}
}

// Every method that tells decisions writes down what it tells, once; and nothing that it refuses.
func TestDecisionsAreLogged(t *testing.T) {
	h := logs(t, filepath.Join(t.TempDir(), "decisions.json"), 1)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "call-1", "authorization", "Bearer s3cr3t")
	_, err := h.decisions.Check(ctx, text(t, &teishiv1.CheckRequest{}, `organization: "mic" app: "line"`))
	h.must(err)
	if text, err := os.ReadFile(h.name); err != nil || bytes.Contains(text, []byte("s3cr3t")) || !bytes.Contains(text, []byte("call-1")) {
		t.Errorf("the log is %s, %v", text, err)
	}
	h.wrote("Check local call-1 mic line DENIED halt")
	h.ask(`organization: "city" app: "line" purpose: "service" as_of_revision: 8`)
	h.wrote("Check local city line service ALLOWED hypothetical at 8")

	refused(h.house, h.decisions.Check, &teishiv1.CheckRequest{}, `organization: "mic"`, invalid("app"))
	h.wrote()

	do(h.house, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, `queries { organization: "mic" app: "line" } queries { app: "line" } queries { organization: "city" app: "line" }`)
	h.wrote("BatchCheck local mic line DENIED halt", "BatchCheck local city line ALLOWED")

	stream := h.converses()
	for _, organization := range []string{"mic", "", "nobody"} {
		h.must(stream.Send(&teishiv1.StreamCheckRequest{Check: &teishiv1.CheckRequest{Organization: organization, App: "line"}}))
		_, err := stream.Recv()
		h.must(err)
	}
	h.wrote("StreamCheck local mic line DENIED halt", "StreamCheck local nobody line DENIED")

	do(h.house, h.decisions.ListDecisions, &teishiv1.ListDecisionsRequest{}, `organization: "*" app: "line" page_size: 3 at { seconds: 0 }`)
	h.wrote("ListDecisions local city line ALLOWED hypothetical at 9", "ListDecisions local jp line ALLOWED hypothetical at 9", "ListDecisions local mic line ALLOWED hypothetical at 9")

	w := h.watches(`selectors { organizations: "mic" organizations: "city" apps: "line" purposes: "service.local" }`)
	h.wrote("WatchDecisions local mic line service.local DENIED halt", "WatchDecisions local city line service.local ALLOWED")
	again := h.watches(`selectors { organizations: "mic" organizations: "city" apps: "line" purposes: "service.local" }`, w.place)
	h.wrote()
	do(h.house, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "halt" reason: "over"`)
	w.change()
	again.change()
	h.wrote("WatchDecisions local mic line service.local ALLOWED", "WatchDecisions local mic line service.local ALLOWED")
}

// Where nothing can be written, nothing is answered that would have to be; what need not be is.
func TestNoLineNoAnswer(t *testing.T) {
	h := logs(t, "/dev/full", 0)
	want := problem{codes.Unavailable, "DECISION_NOT_LOGGED", ""}
	refused(h.house, h.decisions.Check, &teishiv1.CheckRequest{}, `organization: "mic" app: "line"`, want)
	h.answers(`organization: "city" app: "line"`, allowed, teishiv1.Reason_REASON_NO_DIRECTIVE)
	refused(h.house, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, `queries { organization: "city" app: "line" } queries { organization: "mic" app: "line" }`, want)
	refused(h.house, h.decisions.ListDecisions, &teishiv1.ListDecisionsRequest{}, `organization: "*" app: "line"`, want)
	stream := h.converses()
	h.must(stream.Send(&teishiv1.StreamCheckRequest{Check: &teishiv1.CheckRequest{Organization: "mic", App: "line"}}))
	m, err := stream.Recv()
	if h.must(err); m.GetError().GetCode() != int32(codes.Unavailable) {
		t.Errorf("StreamCheck tells %v", m)
	}
	_, err = h.opens(`selectors { organizations: "mic" apps: "line" }`).stream.Recv()
	want.check(t, "WatchDecisions", err)
}
