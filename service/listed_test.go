package service_test

import (
	"sync/atomic"
	"testing"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// TestListsEnd has lists go on after others have written: for an hour, unless the caller may read the log.
func TestListsEnd(t *testing.T) {
	var ahead atomic.Int64
	h, g := openGuarded(t, func(c *service.Config) {
		c.Clock = func() (time.Time, []time.Time) { return time.Now().Add(time.Duration(ahead.Load())), nil }
	})
	h.settle()
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "other" } reason: "r"`)
	h.grant("cn:checker", "checker", "*")
	h.grant("cn:auditor", "auditor", "*")
	apps, decisions := teishiv1.NewRegistryServiceClient(g.conn), teishiv1.NewDecisionServiceClient(g.conn)
	list := func(principal, token string) (string, error) {
		resp, err := apps.ListApps(asPrincipal(t.Context(), principal), &teishiv1.ListAppsRequest{PageSize: 1, PageToken: token})
		return resp.GetNextPageToken(), err
	}
	answers := func(token string) (string, error) {
		resp, err := decisions.ListDecisions(asPrincipal(t.Context(), "cn:checker"), &teishiv1.ListDecisionsRequest{Organization: "mic", App: "*", PageSize: 1, PageToken: token})
		return resp.GetNextPageToken(), err
	}
	mine, err := list("cn:checker", "")
	h.must(err)
	asked, err := answers("")
	h.must(err)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "third" } reason: "r"`)
	for _, span := range []time.Duration{0, 50 * time.Minute} {
		ahead.Store(int64(span))
		_, err = list("cn:checker", mine)
		h.must(err)
		_, err = answers(asked)
		h.must(err)
	}
	ahead.Store(int64(2 * time.Hour))
	_, err = list("cn:checker", mine)
	invalid("page_token").check(t, "a list of two hours ago", err)
	_, err = answers(asked)
	invalid("page_token").check(t, "answers of two hours ago", err)
	_, err = list("cn:auditor", mine)
	h.must(err)
}
