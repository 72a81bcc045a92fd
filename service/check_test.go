package service_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

func TestBadQuestion(t *testing.T) {
	h := open(t)
	h.settle()
	ok := `organization: "mic" app: "line" `
	var many strings.Builder
	for i := range 33 {
		fmt.Fprintf(&many, `attributes { key: "a%d" value: "x" } `, i)
	}
	for _, c := range []struct {
		question string
		field    string
	}{
		{`app: "line"`, "organization"},
		{`organization: "mic"`, "app"},
		{`app: "line" organization: "` + strings.Repeat("o", 129) + `"`, "organization"},
		{`organization: "mic" app: "` + strings.Repeat("a", 256) + `"`, "app"},
		{`organization: "mic" app: "ios:` + strings.Repeat("a", 251) + `."`, "app"},
		{`organization: "mic" app: "domain:` + strings.Repeat("a.", 123) + `aaa."`, "app"},
		{`organization: "mic" app: "domain:` + strings.Repeat("a.", 124) + `.."`, "app"},
		{ok + `purpose: "` + strings.Repeat("p", 256) + `"`, "purpose"},
		{ok + many.String(), "attributes"},
		{ok + `at { seconds: 253402300800 }`, "at"},
		{ok + `at { seconds: -62135596801 }`, "at"},
		{ok + `at { nanos: 1000000000 }`, "at"},
		{ok + `at { nanos: -1 }`, "at"},
		{ok + `as_of_time { nanos: -1 }`, "as_of_time"},
		{ok + `min_revision: -1`, "min_revision"},
		{ok + `epoch: -1`, "epoch"},
		{ok + `as_of_revision: -1`, "as_of_revision"},
		{ok + `max_staleness { seconds: -1 }`, "max_staleness"},
		{ok + `max_staleness { seconds: 1 nanos: -1 }`, "max_staleness"},
		{ok + `as_of_revision: 1 as_of_time { }`, "as_of_time"},
		{ok + `as_of_revision: 1 min_revision: 1`, "min_revision"},
		{ok + `as_of_time { seconds: 4102444800 } min_revision: 1`, "min_revision"},
		{ok + `as_of_revision: 1 max_staleness { seconds: 9 }`, "max_staleness"},
	} {
		refused(h, h.decisions.Check, &teishiv1.CheckRequest{}, c.question, invalid(c.field))
	}
	h.answers(`organization: "mic" app: "`+strings.Repeat("漢", 255)+`"`, denied, teishiv1.Reason_REASON_UNKNOWN_APP)
	longest := "domain:" + strings.Repeat("a.", 123) + "aa"
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "longest" identifiers: "`+longest+`" } reason: "x"`)
	for _, dot := range []string{"", ".", "。"} {
		h.answers(`organization: "mic" app: "`+longest+dot+`"`, allowed, teishiv1.Reason_REASON_NO_DIRECTIVE)
	}
	refused(h, h.decisions.Check, &teishiv1.CheckRequest{}, ok+`as_of_revision: 999`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "as_of_revision"})
	refused(h, h.decisions.Check, &teishiv1.CheckRequest{}, ok+`as_of_time { seconds: 9 }`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "as_of_time"})
	refused(h, h.decisions.Check, &teishiv1.CheckRequest{}, ok+`max_staleness { }`, problem{code: codes.Unavailable, reason: "TOO_STALE"})
}

// TestApps asks for LINE by every name it has, and for what has a name like one.
func TestApps(t *testing.T) {
	h := open(t)
	h.suspend()
	suspended, unregistered := teishiv1.Reason_REASON_SUSPENDED, teishiv1.Reason_REASON_UNREGISTERED_APP
	for app, reason := range map[string]teishiv1.Reason{
		"line":                   suspended,
		"ios:jp.naver.line":      suspended,
		"iOS:JP.Naver.LINE":      suspended,
		"domain:line.me":         suspended,
		"domain:access.LINE.me.": suspended,
		"domain:もじら.jp":          unregistered,
		"domain:例え.jp":           suspended,
		"DOMAIN:www.例え。jp":       suspended,
		"domain:xn--r8jz45g.jp":  suspended,
		"domain:_dmarc.例え.jp":    suspended,
		"domain:line.me.example": unregistered,
		"ios:jp.naver.line2":     unregistered,
		"domain:\u200d.jp":       teishiv1.Reason_REASON_UNKNOWN_APP, // a joiner that joins nothing
		"domain:例え":              teishiv1.Reason_REASON_UNKNOWN_APP, // one label
		"ios:ライン":                teishiv1.Reason_REASON_UNKNOWN_APP,
		"iso:jp.naver.line":      teishiv1.Reason_REASON_UNKNOWN_APP,
		"LINE":                   teishiv1.Reason_REASON_UNKNOWN_APP,
	} {
		resp, err := h.decisions.Check(t.Context(), &teishiv1.CheckRequest{Organization: "corporate-number:2000012020001", App: app, Purpose: "service"})
		if err != nil || resp.Reason != reason {
			t.Errorf("Check(%s) = %v, %v, want %v", app, resp.GetReason(), err, reason)
		}
	}
}

// lifted has a clock that stands still, and halt with a lift to come. It returns the revisions before and at halt.
func lifted(t *testing.T) (h *house, clock time.Time, settled, issued int64) {
	clock = time.Now().Truncate(time.Microsecond)
	h = open(t, func(c *service.Config) { c.Clock = func() (time.Time, []time.Time) { return clock, nil } })
	h.settle()
	settled = h.head()
	issued = do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+halt+`
		effective_time { seconds: 1616684400 } expire_time { seconds: 4102444800 } } reason: "x"`).Revision
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" release: "end" reason: "x" selector { effective_time { seconds: 4000000000 } }`)
	return h, clock, settled, issued
}

// TestTimes sees how long an answer holds.
func TestTimes(t *testing.T) {
	h, clock, _, _ := lifted(t)
	now := h.answers(question, denied, teishiv1.Reason_REASON_SUSPENDED)
	if !now.DecisionTime.AsTime().Equal(clock) || now.Hypothetical || now.Revision != h.head() || now.Epoch != 1 {
		t.Errorf("decided at %v, revision %d, hypothetical %v", now.DecisionTime.AsTime(), now.Revision, now.Hypothetical)
	}
	if got := now.CacheUntilTime.AsTime(); !got.Equal(clock.Add(5 * time.Second)) {
		t.Errorf("cache until %v, want 5 s after %v", got, clock)
	}
	if now.ValidUntilTime.GetSeconds() != 4000000000 {
		t.Errorf("valid until %v, want the lift", now.ValidUntilTime)
	}
	if f := now.Freshness; f.State != teishiv1.Freshness_STATE_FRESH || f.Source != "sqlite" || f.Age == nil {
		t.Errorf("freshness = %v", f)
	}
}

// TestHypothetical asks for other instants and of former policies.
func TestHypothetical(t *testing.T) {
	h, clock, settled, issued := lifted(t)
	none, suspended, released := teishiv1.Reason_REASON_NO_DIRECTIVE, teishiv1.Reason_REASON_SUSPENDED, teishiv1.Reason_REASON_RELEASED
	start, lift := time.Unix(1616684400, 0), time.Unix(4000000000, 0)
	for _, c := range []struct {
		terms    string
		outcome  teishiv1.Outcome
		reason   teishiv1.Reason
		revision int64
		decided  time.Time
	}{
		{`at { seconds: 1616684399 nanos: 999999999 }`, allowed, none, h.head(), start.Add(-time.Microsecond)},
		{`at { seconds: 1616684400 }`, denied, suspended, h.head(), start},
		{`at { seconds: 4000000000 }`, allowed, released, h.head(), lift},
		{fmt.Sprintf(`as_of_revision: %d`, settled), allowed, none, settled, clock},
		{fmt.Sprintf(`as_of_revision: %d`, issued), denied, suspended, issued, clock},
		{fmt.Sprintf(`as_of_revision: %d`, h.head()), denied, suspended, h.head(), clock},
		{fmt.Sprintf(`as_of_revision: %d at { seconds: 1616684399 }`, issued), allowed, none, issued, start.Add(-time.Second)},
		{fmt.Sprintf(`as_of_revision: %d at { seconds: 4000000000 }`, issued), denied, suspended, issued, lift},
		{`as_of_time { seconds: 4000000000 }`, denied, suspended, h.head(), clock},
	} {
		got := h.answers(question+c.terms, c.outcome, c.reason)
		if !got.Hypothetical || got.CacheUntilTime != nil || got.Revision != c.revision || !got.DecisionTime.AsTime().Equal(c.decided) {
			t.Errorf("%s: hypothetical %v, cache until %v, revision %d, decided for %v", c.terms, got.Hypothetical, got.CacheUntilTime, got.Revision, got.DecisionTime.AsTime())
		}
	}
}

// TestAsOfTime asks as of the time of an entry, and of the microsecond before.
func TestAsOfTime(t *testing.T) {
	h, _, settled, issued := lifted(t)
	entry := do(h, h.audit.GetEntry, &teishiv1.GetEntryRequest{}, fmt.Sprintf("revision: %d", issued)).Entry.Entry
	for back, want := range map[time.Duration]int64{0: issued, time.Microsecond: settled} {
		at := timestamppb.New(entry.Time.AsTime().Add(-back))
		resp, err := h.decisions.Check(t.Context(), &teishiv1.CheckRequest{Organization: "mic", App: "line", AsOfTime: at})
		if err != nil || resp.Revision != want || (resp.Outcome == denied) != (want == issued) {
			t.Errorf("as of %v before entry %d = %v at revision %d, want %d: %v", back, issued, resp.GetOutcome(), resp.GetRevision(), want, err)
		}
	}
}

// TestDemands asks for revisions and epochs.
func TestDemands(t *testing.T) {
	h := open(t)
	h.settle()
	ask := func(terms string, within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := h.decisions.Check(ctx, text(t, &teishiv1.CheckRequest{}, `organization: "mic" app: "line" `+terms))
		return err
	}
	if err := ask(fmt.Sprintf(`min_revision: %d epoch: 1 max_staleness { seconds: 5 }`, h.head()), time.Minute); err != nil {
		t.Error(describe(err))
	}
	err := ask(fmt.Sprintf(`min_revision: %d`, h.head()+1), time.Second)
	problem{code: codes.Unavailable, reason: "REVISION_NOT_REACHED"}.check(t, "a revision to come", err)
	if got := metadataOf(err, "applied_revision"); got != fmt.Sprint(h.head()) {
		t.Errorf("applied_revision = %s, want %d", got, h.head())
	}
	problem{code: codes.Unavailable, reason: "REVISION_NOT_REACHED"}.check(t, "an epoch to come", ask(`epoch: 2`, time.Second))

	answered := make(chan error)
	go func() { answered <- ask(fmt.Sprintf(`min_revision: %d`, h.head()+1), time.Minute) }()
	do(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "new" } reason: "x"`)
	if err := <-answered; err != nil {
		t.Errorf("a revision that comes: %s", describe(err))
	}
}

// TestLanguages picks the exact tag, its base, English, the least tag.
func TestLanguages(t *testing.T) {
	h := open(t)
	h.suspend()
	for language, want := range map[string]string{"ja": "停止", "ja-JP": "停止", "en-GB": "Halt", "fr": "Halt", "": "Halt"} {
		got := h.ask(`organization: "mic" app: "line" language: "` + language + `"`).Citations[0]
		if got.Title != want || got.Message != "使わないこと" {
			t.Errorf("in %q: title %q, message %q, want %q and the only message", language, got.Title, got.Message, want)
		}
	}
}

// TestParts sees every part of an answer: what is missing, advised, permitted, unrecognized and explained.
func TestParts(t *testing.T) {
	h := open(t)
	h.settle()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "d" authority: "mic"
		provisions { id: "a" force: FORCE_BINDING selector { organizations { in: "mic" } targets { in { tag: "sns" } }
			purposes { in: "service" } conditions { attribute: "account" values: "personal" } } }
		provisions { id: "b" force: FORCE_ADVISORY selector { organizations { all: true } targets { in { country: "KR" } } }
			message { key: "en" value: "Take care" } alternatives { id: "phone" } }
		carve_outs { id: "c" provisions: "b" selector { conditions { attribute: "account" values: "official" } } obligations { id: "log" } }
	} reason: "x"`)
	got := h.answers(`organization: "mic" app: "line" explain: true attributes { key: "colour" value: "red" } attributes { key: "act" value: "sing" }`,
		indeterminate, teishiv1.Reason_REASON_DEPENDS_ON_PURPOSE)
	if !got.Missing.GetPurpose() || fmt.Sprint(got.Missing.GetAttributes()) != "[account]" {
		t.Errorf("missing = %v", got.Missing)
	}
	if fmt.Sprint(got.Unrecognized) != "[act=sing colour]" {
		t.Errorf("unrecognized = %v", got.Unrecognized)
	}
	if len(got.PermittedPurposes) == 0 || len(got.Advice) != 1 || got.Advice[0].Met || got.Advice[0].Message != "Take care" || len(got.Advice[0].Alternatives) != 1 {
		t.Errorf("permitted %v, advice %v", got.PermittedPurposes, got.Advice)
	}
	if len(got.Explanation.GetConsidered()) != 3 {
		t.Errorf("considered = %v, want a, b and c", got.Explanation)
	}
	for _, c := range got.Explanation.GetConsidered() {
		if c.Provision == "a" && (c.Truth != teishiv1.Truth_TRUTH_UNKNOWN || c.FailedFacet != "conditions") {
			t.Errorf("considered %v", c)
		}
	}
	met := h.ask(`organization: "city" app: "line" attributes { key: "account" value: "official" }`).Advice
	if len(met) != 1 || !met[0].Met || met[0].Obligations[0].Id != "log" || met[0].Obligations[0].Release != "c" {
		t.Errorf("advice = %v, want it met by c", met)
	}
}

// TestInProcess asks without gRPC.
func TestInProcess(t *testing.T) {
	h := open(t)
	h.suspend()
	resp, err := h.server.Check(t.Context(), text(t, &teishiv1.CheckRequest{}, question))
	if err != nil || resp.Outcome != denied {
		t.Errorf("Check = %v, %v", resp, err)
	}
	_, err = h.server.Check(t.Context(), &teishiv1.CheckRequest{App: "line"})
	invalid("organization").check(t, "Check", err)
}

// TestDecidesForAfterTheWait asks for a revision that is still to come: what it suspends is suspended in the answer, although
// the question was asked before.
func TestDecidesForAfterTheWait(t *testing.T) {
	h := open(t)
	h.settle()
	question := fmt.Sprintf(`organization: "mic" app: "line" min_revision: %d`, h.head()+1)
	answer := make(chan *teishiv1.CheckResponse)
	go func() { answer <- h.ask(question) }()
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+halt+` } reason: "suspend"`)
	if resp := <-answer; resp.GetOutcome() != denied || resp.GetReason() != teishiv1.Reason_REASON_SUSPENDED {
		t.Errorf("the answer that waited is %v, %v, want it DENIED", resp.GetOutcome(), resp.GetReason())
	}
}
