package service_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// TestBatch compares a batch with the same questions asked one by one.
func TestBatch(t *testing.T) {
	h := open(t)
	h.suspend()
	queries := []*teishiv1.Query{
		{Organization: "mic", App: "line", Purpose: "service"},
		{Organization: "city", App: "ios:jp.naver.line"},
		{Organization: "nobody", App: "line"},
		{Organization: "school", App: "domain:例え.jp", Attributes: map[string]string{"account": "official", "mood": "good"}},
	}
	req := text(t, &teishiv1.BatchCheckRequest{}, `at { seconds: 1800000000 nanos: 1 } explain: true language: "ja"`)
	req.Queries = queries
	resp, err := h.decisions.BatchCheck(t.Context(), req)
	if err != nil {
		t.Fatal(describe(err))
	}
	for i, q := range queries {
		one, err := h.decisions.Check(t.Context(), &teishiv1.CheckRequest{Organization: q.Organization, App: q.App, Purpose: q.Purpose,
			Attributes: q.Attributes, At: req.At, Explain: true, Language: "ja"})
		h.must(err)
		if diff := cmp.Diff(one, resp.Results[i].GetResponse(), protocmp.Transform(), protocmp.IgnoreFields(&teishiv1.CheckResponse{}, "freshness")); diff != "" {
			t.Errorf("query %d (-alone +in the batch):\n%s", i, diff)
		}
	}
}

// TestBatchAtOnce sees one instant and one revision in all answers.
func TestBatchAtOnce(t *testing.T) {
	h := open(t)
	h.settle()
	req := &teishiv1.BatchCheckRequest{Queries: make([]*teishiv1.Query, 1000)}
	for i := range req.Queries {
		req.Queries[i] = &teishiv1.Query{Organization: "mic", App: "line"}
	}
	resp, err := h.decisions.BatchCheck(t.Context(), req)
	if err != nil || len(resp.Results) != 1000 {
		t.Fatalf("%d results, %v", len(resp.GetResults()), err)
	}
	first := resp.Results[0].GetResponse()
	for i, r := range resp.Results {
		if !proto.Equal(r.GetResponse(), first) {
			t.Fatalf("result %d = %v, want %v", i, r, first)
		}
	}
}

// TestMalformedQuery fails alone.
func TestMalformedQuery(t *testing.T) {
	h := open(t)
	h.suspend()
	resp := do(h, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, `queries { organization: "mic" app: "line" } queries { app: "line" } queries { organization: "mic" app: "line" }`)
	if resp.Results[0].GetResponse().GetOutcome() != denied || resp.Results[2].GetResponse().GetOutcome() != denied {
		t.Errorf("results = %v", resp.Results)
	}
	st := resp.Results[1].GetError()
	if st.GetCode() != int32(code.Code_INVALID_ARGUMENT) {
		t.Errorf("result of the malformed one = %v", resp.Results[1])
	}
	invalid("queries[1].organization").check(t, "the malformed one", status.ErrorProto(st))
}

func TestBadBatch(t *testing.T) {
	h := open(t)
	refused(h, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, ``, invalid("queries"))
	refused(h, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, `queries {} at { nanos: -1 }`, invalid("at"))
	refused(h, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, `queries {} as_of_revision: 1 min_revision: 1`, invalid("min_revision"))
	many := ""
	for range 1001 {
		many += `queries { organization: "o" app: "a" } `
	}
	refused(h, h.decisions.BatchCheck, &teishiv1.BatchCheckRequest{}, many, invalid("queries"))
}

// TestExplainedBatch explains as much as fits.
func TestExplainedBatch(t *testing.T) {
	h := open(t)
	h.settle()
	directive := `id: "d" authority: "jp" `
	for i := range 60 {
		directive += fmt.Sprintf(`provisions { id: "a-provision-of-some-length-%d" force: FORCE_ADVISORY selector { organizations { all: true } targets { all: true } } } `, i)
	}
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+directive+` } reason: "x"`)
	req := &teishiv1.BatchCheckRequest{Explain: true, Queries: make([]*teishiv1.Query, 1000)}
	for i := range req.Queries {
		req.Queries[i] = &teishiv1.Query{Organization: "mic", App: "line"}
	}
	resp, err := h.decisions.BatchCheck(t.Context(), req)
	if err != nil {
		t.Fatal(describe(err))
	}
	answered := 0
	for _, r := range resp.Results {
		if r.GetResponse() != nil {
			answered++
		} else if got := problemOf(status.ErrorProto(r.GetError())); got.reason != "MESSAGE_TOO_LARGE" {
			t.Fatalf("an explained answer without room = %v", got)
		}
	}
	if answered == 0 || answered == len(resp.Results) {
		t.Errorf("%d of %d answered, want some", answered, len(resp.Results))
	}
}
