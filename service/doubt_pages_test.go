package service_test

import (
	"strconv"
	"testing"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// After the clock was set, no page of a list is milder than at either time.
func TestPagesInDoubt(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	clock := func() (time.Time, []time.Time) { return now, []time.Time{now.Add(-time.Hour)} }
	h := open(t, func(c *service.Config) { c.Clock = clock })
	h.settle()
	// a suspension that ends half an hour ago: at the other time the clock may show it bites
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "past" authority: "jp"
		provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } }
		effective_time { seconds: `+strconv.FormatInt(now.Add(-2*time.Hour).Unix(), 10)+` } expire_time { seconds: `+strconv.FormatInt(now.Add(-30*time.Minute).Unix(), 10)+` } } } } reason: "suspend"`)
	req := &teishiv1.ListDecisionsRequest{Organization: "*", App: "line", Purpose: "internal.messaging", PageSize: 2}
	for page := 1; ; page++ {
		resp, err := h.decisions.ListDecisions(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		for _, d := range resp.Decisions {
			if d.Response.Outcome == allowed {
				t.Errorf("page %d: %s is ALLOWED though at the other time it is DENIED", page, d.Query.Organization)
			}
		}
		if req.PageToken = resp.NextPageToken; req.PageToken == "" {
			return
		}
	}
}
