package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// restricted is a restriction in short: whose identifier it is, and what by whom.
func restricted(r *teishiv1.Restriction) string {
	state := strings.TrimPrefix(r.State.String(), "STATE_")
	action := strings.TrimPrefix(r.DeviceAction.String(), "DEVICE_ACTION_")
	return fmt.Sprintf("%s of %s: %s, %s, but %v, by %v", r.Identifier, r.App, state, action, r.PermittedPurposes, r.Directives)
}

// restrictions asks for restrictions, and returns the first page with its restrictions in short.
func (h *house) restrictions(format string) (*teishiv1.GetRestrictionsResponse, []string) {
	h.t.Helper()
	resp := do(h, h.devices.GetRestrictions, &teishiv1.GetRestrictionsRequest{}, format)
	var all []string
	for _, r := range resp.Restrictions {
		all = append(all, restricted(r))
	}
	return resp, all
}

// restricts fails unless the restrictions that are asked for are these.
func (h *house) restricts(format string, want ...string) {
	h.t.Helper()
	if _, got := h.restrictions(format); !slices.Equal(got, want) {
		h.t.Errorf("GetRestrictions(%s) =\n%s\nwant\n%s", format, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (h *house) issues(directive string) {
	h.t.Helper()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+directive+` } reason: "x"`)
}

func (h *house) lift(lift string) {
	h.t.Helper()
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, lift+` reason: "x"`)
}

// issued is a class of devices.
const issued = `organization: "mic" platform: "ios" device: "government-issued"`

// TestRestrictions follows a suspension on devices that the government has issued, until it is lifted.
func TestRestrictions(t *testing.T) {
	h := open(t)
	h.settle()
	h.restricts(issued, "jp.naver.line of line: ALLOWED, ALLOW, but [], by []")
	h.issues(strings.Replace(halt, `targets { in { app: "line" } }`, `targets { in { app: "line" } }
		conditions { attribute: "device" values: "government-issued" }`, 1))
	blocked := "jp.naver.line of line: BLOCKED, BLOCK, but [], by [halt]"
	h.restricts(issued, blocked)
	h.restricts(issued+` languages: "ja"`, blocked)
	h.restricts(`organization: "corporate-number:2000012020001" platform: "ios" device: "government-issued.standalone"`, blocked)
	h.restricts(`organization: "mic" platform: "web" device: "government-issued"`,
		"line.me of line: BLOCKED, BLOCK, but [], by [halt]", "xn--r8jz45g.jp of line: BLOCKED, BLOCK, but [], by [halt]")
	h.restricts(`organization: "mic" platform: "android" device: "government-issued"`)
	h.restricts(`organization: "city" platform: "ios" device: "government-issued"`, "jp.naver.line of line: ALLOWED, ALLOW, but [], by []")
	h.restricts(`organization: "mic" platform: "ios" device: "personal"`, "jp.naver.line of line: ALLOWED, ALLOW, but [], by []")
	h.restricts(`organization: "mic" platform: "ios"`, "jp.naver.line of line: RESTRICTED, ALLOW, but [], by [halt]")

	h.lift(`directive: "halt" release: "broadcasts" selector { purposes { in: "public" in: "feedback.opinion" } }`)
	h.restricts(issued, "jp.naver.line of line: RESTRICTED, ALLOW, but [feedback.opinion public], by [halt]")
	h.lift(`directive: "halt" release: "end"`)
	resp, got := h.restrictions(issued)
	if want := []string{"jp.naver.line of line: ALLOWED, ALLOW, but [], by []"}; !slices.Equal(got, want) || len(resp.Restrictions[0].Messages) != 0 {
		t.Errorf("after the last lift: %q, want %q and no message", got, want)
	}
	if resp.Revision != h.head() || resp.Epoch != 1 || resp.DecisionTime == nil || resp.Freshness.GetState() != teishiv1.Freshness_STATE_FRESH {
		t.Errorf("revision %d of epoch %d at %v, %v", resp.Revision, resp.Epoch, resp.DecisionTime, resp.Freshness)
	}
}

// TestRestrictionTimes tells when a restriction changes by itself.
func TestRestrictionTimes(t *testing.T) {
	h, clock, _, _ := lifted(t)
	resp, _ := h.restrictions(issued)
	if r := resp.Restrictions[0]; r.ValidUntilTime.GetSeconds() != 4000000000 || !resp.DecisionTime.AsTime().Equal(clock) {
		t.Errorf("decided at %v, valid until %v, want %v until the lift", resp.DecisionTime.AsTime(), r.ValidUntilTime, clock)
	}
}

// suspends is a directive of the ministry that suspends one purpose, with more in its text.
func suspends(id, purpose, more string) string {
	return `id: "` + id + `" authority: "mic" provisions { id: "p" force: FORCE_BINDING
		selector { organizations { in: "mic" } targets { in { app: "line" } } purposes { in: "` + purpose + `" } } } ` + more
}

// TestDeviceAction has devices block what is restricted, as long as a directive that restricts it says so.
func TestDeviceAction(t *testing.T) {
	const block = `device_action: DEVICE_ACTION_BLOCK`
	h := open(t)
	h.settle()
	h.issues(suspends("a", "service", ``))
	h.issues(suspends("b", "feedback", `device_action: DEVICE_ACTION_ALLOW`))
	action := func(want teishiv1.DeviceAction, why string) {
		t.Helper()
		resp, got := h.restrictions(issued)
		if r := resp.Restrictions[0]; r.DeviceAction != want || r.State != teishiv1.Restriction_STATE_RESTRICTED {
			t.Errorf("%s: %q, want RESTRICTED and %s", why, got, want)
		}
	}
	action(teishiv1.DeviceAction_DEVICE_ACTION_ALLOW, "nobody has it blocked")
	h.issues(suspends("c", "health", block))
	action(teishiv1.DeviceAction_DEVICE_ACTION_BLOCK, "one of three has it blocked")
	h.lift(`directive: "c" release: "end"`)
	action(teishiv1.DeviceAction_DEVICE_ACTION_ALLOW, "that one is lifted")
	do(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { `+suspends("a", "service", block)+` effective_time { seconds: 1 } } reason: "x"`)
	action(teishiv1.DeviceAction_DEVICE_ACTION_BLOCK, "one is amended to have it blocked")
	if got := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "a"`).Directive.DeviceAction; got != teishiv1.DeviceAction_DEVICE_ACTION_BLOCK {
		t.Errorf("the amended directive is told with %v", got)
	}
	do(h, h.directives.AmendDirective, &teishiv1.AmendDirectiveRequest{}, `directive { `+suspends("a", "service", "")+` effective_time { seconds: 1 } } reason: "x"`)
	for i := range 32 {
		h.issues(suspends(fmt.Sprintf("m-%02d", i), "service", ""))
	}
	h.issues(suspends("z", "health", block))
	resp, _ := h.restrictions(issued)
	if by := resp.Restrictions[0].Directives; len(by) != 32 || slices.Contains(by, "z") {
		t.Errorf("restricted by %q, want the first 32", by)
	}
	action(teishiv1.DeviceAction_DEVICE_ACTION_BLOCK, "one has it blocked that is not among the first 32")
}

// TestRestrictionMessages tells why in every language asked for, or in the next best.
func TestRestrictionMessages(t *testing.T) {
	h := open(t)
	h.settle()
	message := func(texts ...string) (all string) {
		for i := 0; i < len(texts); i += 2 {
			all += ` message { key: "` + texts[i] + `" value: "` + texts[i+1] + `" }`
		}
		return all
	}
	provision := func(id string, texts ...string) string {
		return `provisions { id: "` + id + `" force: FORCE_BINDING selector { organizations { in: "mic" } targets { in { app: "line" } } } ` + message(texts...) + ` } `
	}
	h.issues(`id: "a" authority: "mic" ` + provision("p", "ja", "一", "en", "one") + provision("q", "en", "two") + provision("r", "en", "one") + provision("s"))
	h.issues(`id: "b" authority: "mic" ` + provision("p", "ja", "三", "ko", "셋"))
	for languages, want := range map[string]string{
		``:                                  "en: one\ntwo; ja: 三",
		`languages: "ja"`:                   "en: two\none; ja: 一\n三",
		`languages: "ja-JP"`:                "en: two\none; ja: 一\n三",
		`languages: "en" languages: "ko"`:   "en: one\ntwo; ja: 三; ko: 셋",
		`languages: "fr" languages: "en"`:   "en: one\ntwo; ja: 三",
		`languages: "ja" languages: "ko" `:  "en: one\ntwo; ja: 一\n三; ko: 셋",
		`languages: "ja" languages: "en" `:  "en: one\ntwo; ja: 一\n三",
		`languages: "zz" languages: "zz-Z"`: "en: one\ntwo; ja: 三",
	} {
		var got []string
		resp, all := h.restrictions(issued + languages)
		for _, m := range resp.Restrictions[0].Messages {
			got = append(got, m.Language+": "+m.Text)
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, want %q", languages, got, want)
		}
		if want := "jp.naver.line of line: BLOCKED, BLOCK, but [], by [a b]"; all[0] != want {
			t.Errorf("%s: %q, want %q", languages, all[0], want)
		}
	}
}

// TestRestrictionPages writes between pages, which are of one revision and one instant all the same, and say how old that is.
func TestRestrictionPages(t *testing.T) {
	clock := time.Now()
	h := open(t, func(c *service.Config) {
		c.Clock = func() (time.Time, []time.Time) { clock = clock.Add(time.Second); return clock, nil }
	})
	h.settle()
	var want []string
	for i := range 7 {
		do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, fmt.Sprintf(`app { id: "app-%d" identifiers: "ios:org.%d" identifiers: "windows:%d.org" identifiers: "ios:A%d" } reason: "x"`, i, 7-i, i, i))
		want = append(want, fmt.Sprintf("A%d", i))
	}
	want = append(want, "jp.naver.line", "org.1", "org.2", "org.3", "org.4", "org.5", "org.6", "org.7")
	req := text(t, &teishiv1.GetRestrictionsRequest{}, issued+` page_size: 4`)
	var got []string
	for page := 0; ; page++ {
		resp, err := h.devices.GetRestrictions(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		for _, r := range resp.Restrictions {
			got = append(got, r.Identifier)
			if r.State != teishiv1.Restriction_STATE_ALLOWED {
				t.Errorf("page %d: %s", page, restricted(r))
			}
		}
		if stale := resp.Freshness.State == teishiv1.Freshness_STATE_STALE; stale != (page > 0) {
			t.Errorf("page %d is %v", page, resp.Freshness)
		}
		if req.PageToken = resp.NextPageToken; req.PageToken == "" {
			break
		}
		h.issues(strings.Replace(halt, `"halt"`, fmt.Sprintf(`"halt-%d"`, page), 1))
		do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, fmt.Sprintf(`app { id: "more-%d" identifiers: "ios:z.%d" } reason: "x"`, page, page))
	}
	if !slices.Equal(got, want) {
		t.Errorf("identifiers %q, want %q", got, want)
	}
}

// TestRestrictionsInDoubt are no milder than at any time that it may be, on every page.
func TestRestrictionsInDoubt(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	doubted := []time.Time{now.Add(-time.Hour)}
	h := open(t, func(c *service.Config) { c.Clock = func() (time.Time, []time.Time) { return now, doubted } })
	h.settle()
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "other" identifiers: "ios:other" } reason: "x"`)
	past := func(app, purposes string) string {
		return `provisions { id: "` + app + `" force: FORCE_BINDING selector { organizations { in: "mic" } targets { in { app: "` + app + `" } } ` + purposes + `
			effective_time { seconds: ` + strconv.FormatInt(now.Add(-2*time.Hour).Unix(), 10) + ` } expire_time { seconds: ` + strconv.FormatInt(now.Add(-30*time.Minute).Unix(), 10) + ` } } }`
	}
	h.issues(`id: "past" authority: "mic" device_action: DEVICE_ACTION_BLOCK ` + past("line", "") + past("other", `purposes { in: "service" }`))
	h.issues(strings.Replace(suspends("now", "health", ``), `app: "line"`, `app: "other"`, 1))
	first, got := h.restrictions(issued + ` page_size: 1`)
	doubted = nil
	_, then := h.restrictions(issued + ` page_size: 1 page_token: "` + first.NextPageToken + `"`)
	want := []string{"jp.naver.line of line: BLOCKED, BLOCK, but [], by [past]",
		"other of other: RESTRICTED, BLOCK, but [counselling feedback internal marketing mission public research], by [now]"}
	if got := append(got, then...); !slices.Equal(got, want) {
		t.Errorf("in doubt:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	h.restricts(issued, "jp.naver.line of line: ALLOWED, ALLOW, but [], by []",
		"other of other: RESTRICTED, ALLOW, but [counselling feedback internal marketing mission public research service], by [now]")
}

func TestBadRestrictions(t *testing.T) {
	h := open(t)
	h.suspend()
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "other" identifiers: "ios:other" } reason: "x"`)
	of := func(format string, want problem) {
		t.Helper()
		refused(h, h.devices.GetRestrictions, &teishiv1.GetRestrictionsRequest{}, format, want)
	}
	of(`platform: "ios"`, invalid("organization"))
	of(`organization: "mic"`, invalid("platform"))
	of(`organization: "mic" platform: "linux"`, invalid("platform"))
	of(`organization: "nobody" platform: "ios"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "organization"})
	of(`organization: "jis:131024" platform: "ios"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "organization"})
	of(`organization: "mic" platform: "ios" device: "goverment-issued"`, unknownReference("device"))
	of(`organization: "mic" platform: "ios" device: "government-issued.tablet"`, unknownReference("device"))
	of(issued+` min_revision: -1`, invalid("min_revision"))
	of(issued+` epoch: -1`, invalid("epoch"))
	of(issued+` max_staleness { seconds: -1 }`, invalid("max_staleness"))
	of(issued+` max_staleness { }`, problem{code: codes.Unavailable, reason: "TOO_STALE"})
	of(issued+` page_size: -1`, invalid("page_size"))
	of(issued+` page_token: "AAAA"`, invalid("page_token"))

	first, _ := h.restrictions(issued + ` page_size: 1`)
	of(`organization: "mic" platform: "web" page_token: "`+first.NextPageToken+`"`, invalid("page_token"))
	of(issued+` languages: "ja" page_token: "`+first.NextPageToken+`"`, invalid("page_token"))
	refused(h, h.registry.ListApps, &teishiv1.ListAppsRequest{}, `page_token: "`+first.NextPageToken+`"`, invalid("page_token"))

	do(h, h.registry.DeleteAttribute, &teishiv1.DeleteAttributeRequest{}, `id: "device" reason: "x"`)
	of(issued, unknownReference("device"))
	h.restricts(`organization: "mic" platform: "ios"`, "jp.naver.line of line: BLOCKED, BLOCK, but [], by [halt]", "other of other: ALLOWED, ALLOW, but [], by []")
}

// TestRestrictionDemands waits for the revision that is asked for.
func TestRestrictionDemands(t *testing.T) {
	h := open(t)
	h.settle()
	next := issued + fmt.Sprintf(` min_revision: %d`, h.head()+1)
	for _, question := range []string{next, issued + ` epoch: 2`} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.devices.GetRestrictions(ctx, text(t, &teishiv1.GetRestrictionsRequest{}, question))
		problem{code: codes.Unavailable, reason: "REVISION_NOT_REACHED"}.check(t, question, err)
	}
	told := make(chan []string)
	go func() { _, got := h.restrictions(next); told <- got }()
	h.issues(halt)
	if got, want := <-told, []string{"jp.naver.line of line: BLOCKED, BLOCK, but [], by [halt]"}; !slices.Equal(got, want) {
		t.Errorf("after the wait: %q, want %q", got, want)
	}
}

// TestStalePage is refused where the first page's policy is older by then than what was demanded.
func TestStalePage(t *testing.T) {
	clock := time.Now()
	h := open(t, func(c *service.Config) { c.Clock = func() (time.Time, []time.Time) { return clock, nil } })
	h.settle()
	const question = `organization: "mic" platform: "web" page_size: 1 max_staleness { seconds: 30 }`
	first, _ := h.restrictions(question)
	next := question + ` page_token: "` + first.NextPageToken + `"`
	clock = clock.Add(time.Minute)
	h.restricts(next, "xn--r8jz45g.jp of line: ALLOWED, ALLOW, but [], by []")
	do(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "new" } reason: "x"`)
	refused(h, h.devices.GetRestrictions, &teishiv1.GetRestrictionsRequest{}, next, problem{code: codes.Unavailable, reason: "TOO_STALE"})
}

// TestRestrictionsAtADecisionPoint asks a server that only follows, and that does not log what is asked all the time.
func TestRestrictionsAtADecisionPoint(t *testing.T) {
	h := open(t)
	h.suspend()
	point := &house{t: t, lines: &lines{}}
	point.server = service.New(service.Config{Replica: h.replica, Domain: domain, Logger: slog.New(slog.NewTextHandler(point.lines, nil))})
	point.dial()
	point.restricts(issued, "jp.naver.line of line: BLOCKED, BLOCK, but [], by [halt]")
	_, err := point.devices.GetRestrictions(t.Context(), &teishiv1.GetRestrictionsRequest{Organization: "nobody", Platform: "ios"})
	problem{codes.NotFound, "RESOURCE_NOT_FOUND", "organization"}.check(t, "of nobody", err)
	if log := point.lines.String(); log != "" {
		t.Errorf("the log has lines:\n%s", log)
	}
}
