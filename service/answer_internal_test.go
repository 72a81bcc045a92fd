package service

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// TestNumbers compares the enums of the engine with those of the API, by name.
func TestNumbers(t *testing.T) {
	for r := policy.UnknownOrganization; r <= policy.NoDirective; r++ {
		if got := teishiv1.Reason(r).String(); got != "REASON_"+r.String() {
			t.Errorf("reason %s is told as %s", r, got)
		}
	}
	for _, o := range []policy.Outcome{policy.Allowed, policy.Indeterminate, policy.Denied} {
		if got := outcomes[o].String(); got != "OUTCOME_"+o.String() {
			t.Errorf("outcome %s is told as %s", o, got)
		}
	}
	for _, v := range []policy.Truth{policy.False, policy.Unknown, policy.True} {
		if got := truths[v].String(); got != "TRUTH_"+v.String() {
			t.Errorf("truth %s is told as %s", v, got)
		}
	}
	for _, s := range []policystore.State{policystore.Expired, policystore.Stale, policystore.Fresh} {
		if got := states[s].String(); got != "STATE_"+s.String() {
			t.Errorf("state %s is told as %s", s, got)
		}
	}
}

// TestAges answers from policy of every age: what it knows to be denied stays so.
func TestAges(t *testing.T) {
	snapshot, err := policy.New().Apply(1, append(policy.Birth(),
		policy.Change{Put: &policy.Organization{ID: "o"}},
		policy.Change{Put: &policy.App{ID: "serve"}},
		policy.Change{Put: &policy.App{ID: "deny", OnStale: policy.StaleDeny}}))
	if err != nil {
		t.Fatal(err)
	}
	at := policy.InstantOf(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	for _, c := range []struct {
		app     string
		state   policystore.State
		terms   terms
		outcome teishiv1.Outcome
		reason  teishiv1.Reason
		cache   time.Duration // -1: unset
	}{
		{"deny", policystore.Fresh, terms{asOfTime: policy.Beginning}, teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Reason_REASON_NO_DIRECTIVE, 5 * time.Second},
		{"deny", policystore.Stale, terms{asOfTime: policy.Beginning}, teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Reason_REASON_NO_DIRECTIVE, 0},
		{"deny", policystore.Expired, terms{asOfTime: policy.Beginning}, teishiv1.Outcome_OUTCOME_DENIED, teishiv1.Reason_REASON_STALE_POLICY, 0},
		{"serve", policystore.Expired, terms{asOfTime: policy.Beginning}, teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Reason_REASON_NO_DIRECTIVE, 0},
		{"deny", policystore.Expired, terms{asOf: 1, asOfTime: policy.Beginning, hypothetical: true}, teishiv1.Outcome_OUTCOME_ALLOWED, teishiv1.Reason_REASON_NO_DIRECTIVE, -1},
	} {
		v := policystore.View{Snapshot: snapshot, Freshness: policystore.Freshness{State: c.state, Age: 90 * time.Second}}
		c.terms.at = at
		var a answer
		a.fill(&v, policy.Query{Organization: "o", App: c.app, At: at}, &c.terms)
		r := &a.response
		if r.Outcome != c.outcome || r.Reason != c.reason || r.Freshness.State != states[c.state] || r.Freshness.Age.AsDuration() != 90*time.Second {
			t.Errorf("%s from %s policy = %v, %v, %v", c.app, c.state, r.Outcome, r.Reason, r.Freshness)
		}
		if c.cache < 0 != (r.CacheUntilTime == nil) || c.cache >= 0 && r.CacheUntilTime.AsTime().Sub(at.Time()) != c.cache {
			t.Errorf("%s from %s policy is cached until %v, decided at %v", c.app, c.state, r.CacheUntilTime, r.DecisionTime)
		}
	}
}

// TestNeverProven has no age to tell.
func TestNeverProven(t *testing.T) {
	var a answer
	a.fresh(&policystore.Freshness{Age: policystore.Never})
	if f := a.response.Freshness; f.Age != nil || f.State != teishiv1.Freshness_STATE_EXPIRED {
		t.Errorf("freshness = %v", f)
	}
}

// TestInstants are told as they are, before 1970 too.
func TestInstants(t *testing.T) {
	var a answer
	for _, at := range []time.Time{
		time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	} {
		if got := timestamp(&a.decided, policy.InstantOf(at)); got.CheckValid() != nil || !got.AsTime().Equal(at) {
			t.Errorf("%v is told as %v", at, got)
		}
	}
}

// TestLeastTag is told where nothing better is there.
func TestLeastTag(t *testing.T) {
	for _, c := range []struct {
		text     policy.Text
		language string
		want     string
	}{
		{nil, "ja", ""},
		{policy.TextOf(map[string]string{"ja": "a"}), "", "a"},
		{policy.TextOf(map[string]string{"zh": "z", "ko": "k"}), "ja", "k"},
		{policy.TextOf(map[string]string{"zh-TW": "t", "zh": "z"}), "zh-TW", "t"},
		{policy.TextOf(map[string]string{"zh-TW": "t", "zh": "z"}), "zh-HK", "z"},
		{policy.TextOf(map[string]string{"zh-TW": "t", "en": "e"}), "zh", "e"},
	} {
		if got := c.text.In(c.language); got != c.want {
			t.Errorf("%v in %q = %q, want %q", c.text, c.language, got, c.want)
		}
	}
}

// TestToken survives being told, and nothing else is one.
func TestToken(t *testing.T) {
	want := token{digest: [16]byte{1, 2, 3}, epoch: 2, revision: 1 << 40, at: -5, cursor: "feedback.opinion"}
	for _, want.instead = range [][]policy.Instant{nil, {-3600e6}, {1, 2, 3, 4, 5, 6, 7, 8}} {
		by := policystore.Hash{9}
		got, with, ok := parseToken(want.sealed(by))
		if !ok || !reflect.DeepEqual(got, want) || !got.holds(with, by) {
			t.Errorf("%v is read as %v, %v", want, got, ok)
		}
		if other := got; other.holds(with, policystore.Hash{8}) {
			t.Errorf("%v holds by the hash of another entry", want)
		}
		for _, change := range []func(*token){func(t *token) { t.at++ }, func(t *token) { t.revision-- }, func(t *token) { t.cursor += "s" }, func(t *token) { t.digest[0]++ }} {
			other := got
			if change(&other); other.holds(with, by) {
				t.Errorf("%v holds as %v", want, other)
			}
		}
	}
	long := want
	long.instead = append(long.instead, 9)
	for _, s := range []string{"", "A", "Ag", "****", want.sealed(policystore.Hash{}) + "=", "AQ" + want.sealed(policystore.Hash{})[2:], strings.Repeat("A", 100), long.sealed(policystore.Hash{})} {
		if got, _, ok := parseToken(s); ok {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

// TestManners has no method that the server does not.
func TestManners(t *testing.T) {
	s := New(Config{Record: &Record{Authority: &policystore.Authority{}}})
	methods := make(map[string]grpc.MethodInfo)
	for name, info := range s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			methods["/"+name+"/"+m.Name] = m
		}
	}
	for name, manner := range manners {
		if m, ok := methods[name]; !ok || manner.endless != (m.IsServerStream) {
			t.Errorf("%s is treated as %+v, and is %+v", name, manner, m)
		}
	}
	for name := range methods {
		ours := strings.HasPrefix(name, "/teishi.v1.") && !strings.HasPrefix(name, "/teishi.v1.DecisionService/")
		if manners[name].plain == ours {
			t.Errorf("%s is treated as %+v", name, manners[name])
		}
	}
}

// TestTextsHaveRoom holds an answer to its bound: what there is no room for is named without its texts.
func TestTextsHaveRoom(t *testing.T) {
	long := strings.Repeat("x", policy.MaxTextLength)
	sources := make([]policy.Source, 100)
	for i := range sources {
		sources[i] = policy.Source{URI: "https://example.org/", Text: long}
	}
	d := &policy.Directive{ID: "d", Authority: "o", Sources: sources}
	p := &policy.Provision{ID: "p", Message: policy.TextOf(map[string]string{"en": long})}
	list := make([]policy.Citation, policy.MaxCitations)
	for i := range list {
		list[i] = policy.Citation{Directive: d, Provision: p, Window: policy.Always}
	}
	a := answer{room: maxTexts}
	a.response.Citations = a.citations(list, "en")
	if size := proto.Size(&a.response); size > maxTexts+64<<10 {
		t.Errorf("an answer of %d citations has %d bytes, want about %d at most", len(list), size, maxTexts)
	}
	if last := a.response.Citations[len(list)-1]; last.Directive != "d" || last.Provision != "p" {
		t.Errorf("the last citation is %v, want it named", last)
	}
}

// TestBatchHasRoom answers as many questions as fit, and says of the others that they did not.
func TestBatchHasRoom(t *testing.T) {
	full, roomy := -1, 1<<10
	var r result
	v := policystore.View{Snapshot: policy.New()}
	if err := r.fill(&v, &teishiv1.Query{Organization: "o", App: "a"}, &terms{}, &asking{all: true}, &full); !errors.Is(err, errFull) {
		t.Errorf("without room: %v, want %v", err, errFull)
	}
	if err := r.fill(&v, &teishiv1.Query{Organization: "o", App: "a"}, &terms{}, &asking{all: true}, &roomy); err != nil || roomy >= 1<<10 {
		t.Errorf("with room: %v, and %d bytes are left of %d", err, roomy, 1<<10)
	}
}
