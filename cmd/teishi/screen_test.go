package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// What a screen shows of the policy and of the watch: each once.
func TestScreenNotes(t *testing.T) {
	var out strings.Builder
	s := &screen{page: page{zone: time.UTC}, out: &out, server: "here:1"}
	stale := beat(at(1), teishiv1.Freshness_STATE_STALE)
	since := time.Now().UTC().Truncate(time.Hour).Add(-30 * time.Minute) // far from where one hour ends
	stale.GetHeartbeat().Freshness.Age = durationpb.New(time.Since(since))
	for _, m := range []*teishiv1.WatchDecisionsResponse{synced(at(1)), stale, stale, beat(at(1), teishiv1.Freshness_STATE_FRESH), restart()} {
		if err := s.said(m); err != nil {
			t.Fatal(err)
		}
	}
	told := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(told) != 3 {
		t.Fatalf("shown are %d lines, want 3:\n%s", len(told), &out)
	}
	if want := "  the policy is STALE since " + since.Format("15:"); !strings.Contains(told[0], want) {
		t.Errorf("shown is %q, want %q", told[0], want)
	}
	if !strings.Contains(told[1], "  the policy is FRESH as of -") || !strings.Contains(told[2], "  the server answers all again: ") {
		t.Errorf("shown is\n%s", &out)
	}
}

// Only the last change of a place has the place: whoever goes on from an earlier one would miss the rest.
func TestJSONLines(t *testing.T) {
	var out strings.Builder
	j := &jsonLines{out: &out}
	all := answered(at(7), 0, "AD")
	all.GetChanges().Changes[1].Response.DecisionTime = timestamppb.New(time.Unix(0, 0))
	if err := j.changed(all.GetChanges().Changes, all.Position); err != nil {
		t.Fatal(err)
	}
	const want = `{"changes":{"changes":[{"response":{"outcome":"OUTCOME_ALLOWED","revision":"7"}}],"more":true}}
{"changes":{"changes":[{"index":1,"response":{"outcome":"OUTCOME_DENIED","revision":"7","decisionTime":"1970-01-01T00:00:00Z"}}]},"position":{"revision":"7"}}
`
	if out.String() != want {
		t.Errorf("printed is\n%s, want\n%s", &out, want)
	}
}
