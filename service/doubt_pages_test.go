package service_test

import (
	"strconv"
	"testing"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// After the clock was set, no page of a list is milder than at either time, even once it is in doubt no longer; and where it
// was set between pages, a later one is for the instant of the first and is not to be kept.
func TestPagesInDoubt(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	hourAgo := []time.Time{now.Add(-time.Hour)}
	doubted := hourAgo // when it is written, too: a suspension bites from then at the earliest
	h := open(t, func(c *service.Config) { c.Clock = func() (time.Time, []time.Time) { return now, doubted } })
	h.settle()
	// a suspension that ends half an hour ago: at the other time the clock may show it bites
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "past" authority: "jp"
		provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } }
		effective_time { seconds: `+strconv.FormatInt(now.Add(-2*time.Hour).Unix(), 10)+` } expire_time { seconds: `+strconv.FormatInt(now.Add(-30*time.Minute).Unix(), 10)+` } } } } reason: "suspend"`)
	for _, c := range []struct {
		name          string
		first, second []time.Time // what else it may be, when the first page is asked for and after
		allowed       bool
		kept          time.Duration // after the first page
	}{
		{"set before", hourAgo, nil, false, 0},
		{"set between", nil, hourAgo, true, 5 * time.Second},
	} {
		req := &teishiv1.ListDecisionsRequest{Organization: "*", App: "line", Purpose: "internal.messaging", PageSize: 2}
		doubted = c.first
		for page, kept := 1, c.kept; ; page, kept = page+1, 0 {
			resp, err := h.decisions.ListDecisions(t.Context(), req)
			if err != nil {
				t.Fatal(describe(err))
			}
			for _, d := range resp.Decisions {
				if r := d.Response; (r.Outcome == allowed) != c.allowed || !r.CacheUntilTime.AsTime().Equal(now.Add(kept)) {
					t.Errorf("%s: page %d: %s is %s, to be kept until %s; want ALLOWED: %v, until %s",
						c.name, page, d.Query.Organization, r.Outcome, r.CacheUntilTime.AsTime(), c.allowed, now.Add(kept).UTC())
				}
			}
			doubted = c.second
			if req.PageToken = resp.NextPageToken; req.PageToken == "" {
				break
			}
		}
	}
}
