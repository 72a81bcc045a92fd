package service_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/service"
)

// watching is a watch read event by event.
type watching struct {
	*house
	stream teishiv1.DecisionService_WatchDecisionsClient
	cancel context.CancelFunc
	place  *teishiv1.WatchPosition // the last told
	told   map[int32]*teishiv1.CheckResponse
}

// watches opens a watch, and reads until it is synced.
func (h *house) watches(request string, resume ...*teishiv1.WatchPosition) *watching {
	h.t.Helper()
	w := h.opens(request, resume...)
	for w.next().GetSynced() == nil {
	}
	return w
}

func (h *house) opens(request string, resume ...*teishiv1.WatchPosition) *watching {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	h.t.Cleanup(cancel)
	req := text(h.t, &teishiv1.WatchDecisionsRequest{}, request)
	if len(resume) > 0 {
		req.Resume = resume[0]
	}
	if req.HeartbeatInterval == nil {
		req.HeartbeatInterval = durationpb.New(time.Minute)
	}
	stream, err := h.decisions.WatchDecisions(ctx, req)
	h.must(err)
	return &watching{house: h, stream: stream, cancel: cancel, told: make(map[int32]*teishiv1.CheckResponse)}
}

// next returns the next event.
func (w *watching) next() *teishiv1.WatchDecisionsResponse {
	w.t.Helper()
	m, err := w.stream.Recv()
	if err != nil {
		w.t.Fatal(describe(err))
	}
	for _, c := range m.GetChanges().GetChanges() {
		w.told[c.Index] = c.Response
	}
	if m.Position != nil {
		w.place = m.Position
	}
	return m
}

// change returns the next change, of which there must be just one.
func (w *watching) change() *teishiv1.DecisionChange {
	w.t.Helper()
	for {
		m := w.next()
		if c := m.GetChanges(); c != nil {
			if len(c.Changes) != 1 {
				w.t.Fatalf("%d changes come at once: %v", len(c.Changes), c)
			}
			return c.Changes[0]
		}
	}
}

const lineOfAll = `selectors { organizations: "mic" apps: "line" purposes: "internal.messaging" }`

// A watch tells what is answered, and then what a write changes.
func TestWatchWrite(t *testing.T) {
	h := open(t)
	h.settle()
	w := h.watches(lineOfAll)
	if r := w.told[0]; r.GetOutcome() != allowed {
		t.Fatalf("at first %v", r)
	}
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "halt" authority: "jp"
		provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } } } } } reason: "halt"`)
	if c := w.change(); c.Index != 0 || c.Response.Outcome != denied || c.Response.Revision != h.head() || c.Query.App != "line" {
		t.Errorf("after a halt %v", c)
	}
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" release: "end" reason: "lift"`)
	if c := w.change(); c.Response.Outcome != allowed {
		t.Errorf("after a lift %v", c)
	}
}

// What time changes is told at the very instant, with no write: not before, and not after.
func TestWatchTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		h.settle()
		began := time.Now()
		expires := began.Add(10*time.Minute + time.Microsecond)
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "halt" authority: "jp"
			exemption_rules { approver: APPROVER_AUTHORITY grounds { id: "need" text: "need" } longest_duration { seconds: 1000000 } }
			provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } } } } } reason: "halt"`)
		do(h, h.directives.GrantExemption, &teishiv1.GrantExemptionRequest{}, fmt.Sprintf(`directive: "halt" ground: "need"
			justification: "urgent" reason: "exempt" selector { effective_time { %s } expire_time { %s } }`, timestamppb.New(began), timestamppb.New(expires)))
		w := h.watches(lineOfAll)
		if r := w.told[0]; r.Outcome != allowed || !r.ValidUntilTime.AsTime().Equal(expires) {
			t.Fatalf("under an exemption %v", r)
		}
		c := w.change()
		if at := c.Response.DecisionTime.AsTime(); c.Response.Outcome != denied || !at.Equal(expires) || !time.Now().Equal(expires) {
			t.Errorf("at %s, %s after it began, it is %s, decided for %s", time.Now(), time.Since(began), c.Response.Outcome, at)
		}
	})
}

// A watch goes on from a place: what has changed since is told, and nothing else; a place that is written by hand will do.
func TestWatchResume(t *testing.T) {
	h := open(t)
	h.settle()
	w := h.watches(lineOfAll)
	place := w.place
	w.cancel()
	again := h.watches(lineOfAll, place)
	if len(again.told) != 0 {
		t.Errorf("nothing has changed, and told is %v", again.told)
	}
	again.cancel()
	for _, id := range []string{"one", "two"} {
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "`+id+`" authority: "jp"
			provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } } } } } reason: "halt"`)
	}
	for _, from := range []*teishiv1.WatchPosition{place, {Epoch: place.Epoch, Revision: place.Revision}, {Revision: place.Revision}} {
		w := h.opens(lineOfAll, from)
		for i, citations := range []int{1, 2} {
			if c := w.change(); len(c.Response.Citations) != citations || c.Response.Revision != place.Revision+int64(i)+1 || w.place.Revision != c.Response.Revision {
				t.Errorf("from %v change %d is %v at %v", from, i, c.Response, w.place)
			}
		}
		if m := w.next(); m.GetSynced() == nil || m.Position.Revision != place.Revision+2 {
			t.Errorf("from %v then comes %v, want that it is synced", from, m)
		}
	}
}

// What a watch cannot be asked is refused, and said precisely.
func TestWatchRefuses(t *testing.T) {
	h := open(t)
	h.settle()
	good := h.watches(lineOfAll).place
	at := func(change func(p *teishiv1.WatchPosition)) *teishiv1.WatchPosition {
		p := proto.CloneOf(good)
		change(p)
		return p
	}
	many := strings.Repeat(`organizations: "mic" `, 501)
	for _, c := range []struct {
		name, request string
		resume        *teishiv1.WatchPosition
		want          problem
	}{
		{"nothing", ``, nil, invalid("selectors")},
		{"no organization", `selectors { apps: "line" }`, nil, invalid("selectors[0].organizations")},
		{"no app", `selectors { organizations: "mic" }`, nil, invalid("selectors[0].apps")},
		{"1,002 questions", `selectors { ` + many + ` apps: "line" } selectors { ` + many + ` apps: "line" }`, nil, invalid("selectors[1]")},
		{"1,002 in one", `selectors { ` + many + ` apps: "line" apps: "line" }`, nil, invalid("selectors[0]")},
		{"an empty name", `selectors { organizations: "mic" organizations: "" apps: "line" }`, nil, invalid("selectors[0].organizations[1]")},
		{"a long purpose", `selectors { organizations: "mic" apps: "line" purposes: "` + strings.Repeat("p", 256) + `" }`, nil, invalid("selectors[0].purposes[0]")},
		{"no such organization", `selectors { organizations: "mic" organizations: "mci" apps: "line" }`, nil, problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", "selectors[0].organizations[1]"}},
		{"no such app", lineOfAll + ` selectors { organizations: "mic" apps: "lime" }`, nil, problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", "selectors[1].apps[0]"}},
		{"no such scheme", `selectors { organizations: "mic" apps: "symbian:line" }`, nil, problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", "selectors[0].apps[0]"}},
		{"no such purpose", `selectors { organizations: "mic" apps: "line" purposes: "internal" purposes: "fun" }`, nil, problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", "selectors[0].purposes[1]"}},
		{"every", `selectors { organizations: "*" apps: "line" }`, nil, problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", "selectors[0].organizations[0]"}},
		{"heartbeats too often", lineOfAll + ` heartbeat_interval { nanos: 1 }`, nil, invalid("heartbeat_interval")},
		{"heartbeats too seldom", lineOfAll + ` heartbeat_interval { seconds: 61 }`, nil, invalid("heartbeat_interval")},
		{"no revision", lineOfAll, at(func(p *teishiv1.WatchPosition) { p.Revision = 0 }), invalid("resume.revision")},
		{"a negative epoch", lineOfAll, at(func(p *teishiv1.WatchPosition) { p.Epoch = -1 }), invalid("resume.epoch")},
		{"no instant", lineOfAll, at(func(p *teishiv1.WatchPosition) { p.Time.Nanos = -1 }), invalid("resume.time")},
		{"a place of others", `selectors { organizations: "city" apps: "line" }`, good, invalid("resume.selectors")},
		{"a place in another language", lineOfAll + ` language: "ja"`, good, invalid("resume.selectors")},
	} {
		_, err := h.opens(c.request, c.resume).stream.Recv()
		c.want.check(t, c.name, err)
	}
}

// A place that is not there yet is waited for; one that is over or no longer known is said to be so.
func TestWatchPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		h.settle()
		w := h.watches(lineOfAll)
		first := w.place
		ahead := h.opens(lineOfAll, &teishiv1.WatchPosition{Revision: first.Revision + 1})
		time.Sleep(time.Second)
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "new" } reason: "new"`)
		if m := ahead.next(); m.GetSynced() == nil || m.Position.Revision != first.Revision+1 {
			t.Errorf("at a place that was waited for comes %v", m)
		}
		for _, c := range []struct {
			name string
			from *teishiv1.WatchPosition
			want problem
		}{
			{"the future", &teishiv1.WatchPosition{Revision: first.Revision + 2}, problem{codes.Unavailable, "REVISION_NOT_REACHED", ""}},
			{"a later epoch", &teishiv1.WatchPosition{Epoch: 2, Revision: 1}, problem{codes.Unavailable, "REVISION_NOT_REACHED", ""}},
			{"too far behind", &teishiv1.WatchPosition{Revision: 1}, problem{codes.OutOfRange, "COMPACTED", ""}},
		} {
			if c.name == "too far behind" {
				for i := range 1030 {
					do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(`organization { id: "o%d" } reason: "new"`, i))
				}
			}
			_, err := h.opens(lineOfAll, c.from).stream.Recv()
			c.want.check(t, c.name, err)
		}
		_, err := policystore.Rewind(t.Context(), h.log, domain, nil, 0, "a test")
		h.must(err)
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "after" } reason: "new"`)
		_, err = h.opens(lineOfAll, first).stream.Recv()
		problem{codes.FailedPrecondition, "EPOCH_MISMATCH", "resume.epoch"}.check(t, "an epoch that is over", err)
	})
}

// Who goes on from where answers were uncertain is told all of them again.
func TestWatchUncertain(t *testing.T) {
	h := open(t)
	h.settle()
	place := h.watches(lineOfAll).place
	place.Uncertain = true
	w := h.opens(lineOfAll, place)
	if m := w.next(); m.GetRestarted().GetReason() != teishiv1.WatchRestarted_REASON_UNCERTAIN || m.Position != nil {
		t.Errorf("at first comes %v", m)
	}
	if m := w.next(); len(m.GetChanges().GetChanges()) != 1 {
		t.Errorf("then comes %v", m)
	}
	if m := w.next(); m.GetSynced() == nil {
		t.Errorf("at last comes %v", m)
	}
}

// A watch says now and then that it lives, and how fresh it is, and at once when that is another.
func TestWatchHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var authority *policystore.Authority
		h := open(t, func(c *service.Config) { authority = c.Record.Authority })
		h.settle()
		do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "strict" on_stale: ON_STALE_DENY } reason: "strict"`)
		w := h.watches(`selectors { organizations: "mic" apps: "line" apps: "strict" } heartbeat_interval { seconds: 10 }`)
		began := time.Now()
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "new" } reason: "nothing to do with it"`)
		for i := range 3 {
			m := w.next()
			if since := time.Since(began); m.GetHeartbeat().GetFreshness().GetState() != teishiv1.Freshness_STATE_FRESH || since != time.Duration(i+1)*10*time.Second {
				t.Errorf("after %s comes %v, want a heartbeat every ten seconds", since, m)
			}
			if m.Position.Revision != h.head() || m.Position.Uncertain {
				t.Errorf("a heartbeat is at %v, want %d", m.Position, h.head())
			}
		}
		authority.Doubt("test", errors.New("a test"))
		began = time.Now()
		for _, want := range []struct {
			state teishiv1.Freshness_State
			after time.Duration
		}{{teishiv1.Freshness_STATE_STALE, 5 * time.Second}} {
			m := w.next()
			if since := time.Since(began); m.GetHeartbeat().GetFreshness().GetState() != want.state || since < want.after-2*time.Second || since > want.after+2*time.Second {
				t.Errorf("after %s comes %v, want %s after %s", since, m, want.state, want.after)
			}
		}
		c := w.change()
		if since := time.Since(began); c.Index != 1 || c.Response.Outcome != denied || c.Response.Reason != teishiv1.Reason_REASON_STALE_POLICY || !w.place.Uncertain || since > 63*time.Second {
			t.Errorf("after %s of silence comes %v at %v", since, c, w.place)
		}
		authority.Doubt("test", nil)
		if c := w.change(); c.Index != 1 || c.Response.Outcome != allowed || w.place.Uncertain {
			t.Errorf("after the silence comes %v at %v", c, w.place)
		}
	})
}

// A watch survives that the clock is set: forward, what has passed is told at once; back, everything is told again, and as long as
// it is in doubt no answer is milder than at either time.
func TestWatchClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock struct {
			sync.Mutex
			off    time.Duration
			doubts []time.Duration
		}
		set := func(off time.Duration, doubts ...time.Duration) {
			clock.Lock()
			defer clock.Unlock()
			clock.off, clock.doubts = off, doubts
		}
		h := open(t, func(c *service.Config) {
			c.Clock = func() (time.Time, []time.Time) {
				clock.Lock()
				defer clock.Unlock()
				now := time.Now().Add(clock.off)
				var instead []time.Time
				for _, d := range clock.doubts {
					instead = append(instead, now.Add(d))
				}
				return now, instead
			}
		})
		h.settle()
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, fmt.Sprintf(`directive { id: "halt" authority: "jp"
			provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } }
			expire_time { %s } } } } reason: "halt"`, timestamppb.New(time.Now().Add(30*time.Minute))))
		w := h.watches(lineOfAll)
		if w.told[0].Outcome != denied {
			t.Fatalf("at first %v", w.told[0])
		}
		began := time.Now()
		set(time.Hour, -time.Hour)
		if c := w.change(); c.Response.Outcome != denied || time.Since(began) > 2*time.Second || !w.place.Uncertain {
			t.Errorf("%s after the clock was set comes %v at %v", time.Since(began), c.Response, w.place)
		}
		time.Sleep(time.Minute)
		set(time.Hour)
		if c := w.change(); c.Response.Outcome != allowed || w.place.Uncertain {
			t.Errorf("once it is believed comes %v at %v", c.Response, w.place)
		}
		set(0, time.Hour)
		for w.next().GetRestarted().GetReason() != teishiv1.WatchRestarted_REASON_CLOCK_SET_BACK {
		}
		if c := w.change(); c.Response.Outcome != denied {
			t.Errorf("after it was set back comes %v", c.Response)
		}
	})
}

// While the clock is in doubt an answer changes when it does at any of the times that it may be.
func TestWatchDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(c *service.Config) {
			c.Clock = func() (time.Time, []time.Time) { now := time.Now(); return now, []time.Time{now.Add(30 * time.Minute)} }
		})
		h.settle()
		began := time.Now()
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, fmt.Sprintf(`directive { id: "halt" authority: "jp"
			provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } }
			effective_time { %s } } } } reason: "halt"`, timestamppb.New(began.Add(30*time.Minute+10*time.Second))))
		w := h.watches(lineOfAll)
		if c := w.change(); c.Response.Outcome != denied || time.Since(began) != 10*time.Second {
			t.Errorf("after %s comes %v", time.Since(began), c.Response)
		}
	})
}

// A watch ends when the server does, and says where and when to go on.
func TestWatchDrains(t *testing.T) {
	h := open(t)
	h.settle()
	w := h.watches(lineOfAll)
	h.server.Drain(0, time.Minute)
	_, err := w.stream.Recv()
	problem{code: codes.Unavailable, reason: "DRAINING"}.check(t, "a watch", err)
	if text := describe(err); !strings.Contains(text, fmt.Sprintf(`key:"revision" value:"%d"`, w.place.Revision)) && !strings.Contains(text, "retry_delay") {
		t.Errorf("it does not say where and when to go on: %s", text)
	}
}

// Who does not read is given up, and told where to go on; nobody else notices.
func TestWatchLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		h.settle()
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "halt" authority: "jp" title { key: "en" value: "`+strings.Repeat("t", 8000)+`" }
			provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } } } } } reason: "halt"`)
		apps := strings.Repeat(`apps: "line" `, 300)
		deaf := h.opens(`selectors { organizations: "mic" ` + apps + ` }`)
		w := h.watches(lineOfAll)
		time.Sleep(29 * time.Second)
		do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "lift"`)
		if c := w.change(); c.Response.Outcome != allowed {
			t.Errorf("another is told %v", c)
		}
		time.Sleep(2 * time.Second)
		began, err := time.Now(), error(nil)
		for err == nil {
			_, err = deaf.stream.Recv()
		}
		if problem(problem{code: codes.Unavailable, reason: "LAGGED"}).check(t, "who does not read", err); time.Since(began) > 0 {
			t.Errorf("it ended %s later", time.Since(began))
		}
	})
}

// A watch lasts some twenty minutes, and can be gone on with.
func TestWatchAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		h.settle()
		w := h.watches(lineOfAll)
		began, err := time.Now(), error(nil)
		for err == nil {
			var m *teishiv1.WatchDecisionsResponse
			if m, err = w.stream.Recv(); err == nil {
				w.place = m.Position
			}
		}
		problem{code: codes.Unavailable, reason: "STREAM_ENDED"}.check(t, "a watch", err)
		if lasted := time.Since(began); lasted < 20*time.Minute || lasted > 26*time.Minute {
			t.Errorf("it lasted %s", lasted)
		}
		h.watches(lineOfAll, w.place)
	})
}

// restricting is a watch of restrictions read event by event.
type restricting struct {
	*house
	stream teishiv1.RestrictionService_WatchRestrictionsClient
	told   map[string]*teishiv1.Restriction
	others *teishiv1.Restriction
	place  *teishiv1.WatchPosition
}

func (h *house) watchesDevices(request string, resume ...*teishiv1.WatchPosition) *restricting {
	h.t.Helper()
	req := text(h.t, &teishiv1.WatchRestrictionsRequest{}, request)
	req.HeartbeatInterval = durationpb.New(time.Minute)
	if len(resume) > 0 {
		req.Resume = resume[0]
	}
	stream, err := h.devices.WatchRestrictions(h.t.Context(), req)
	h.must(err)
	w := &restricting{house: h, stream: stream, told: make(map[string]*teishiv1.Restriction)}
	for w.next().GetSynced() == nil {
	}
	return w
}

// next returns the next event.
func (w *restricting) next() *teishiv1.WatchRestrictionsResponse {
	w.t.Helper()
	m, err := w.stream.Recv()
	if err != nil {
		w.t.Fatal(describe(err))
	}
	for _, r := range m.GetChanges().GetRestrictions() {
		w.told[r.Identifier] = r
	}
	for _, name := range m.GetChanges().GetRemoved() {
		delete(w.told, name)
	}
	w.others = cmp.Or(m.GetChanges().GetOthers(), w.others)
	if m.Position != nil {
		w.place = m.Position
	}
	return m
}

// until reads until the identifier is in a state.
func (w *restricting) until(identifier string, state teishiv1.Restriction_State) *teishiv1.Restriction {
	w.t.Helper()
	for w.told[identifier].GetState() != state {
		w.next()
	}
	return w.told[identifier]
}

const phones = `organization: "mic" platform: "ios" device: "government-issued" languages: "ja"`

// Devices of an organization are told BLOCKED after a halt, RESTRICTED with what is permitted after a partial lift, and ALLOWED after
// the last; and of apps that come and go.
func TestWatchRestrictions(t *testing.T) {
	h := open(t)
	h.settle()
	w := h.watchesDevices(phones)
	line := "jp.naver.line"
	if r := w.told[line]; len(w.told) != 1 || r.GetState() != teishiv1.Restriction_STATE_ALLOWED || r.App != "line" {
		t.Fatalf("at first %v", w.told)
	}
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+halt+` } reason: "halt"`)
	if r := w.until(line, teishiv1.Restriction_STATE_BLOCKED); r.DeviceAction != teishiv1.DeviceAction_DEVICE_ACTION_BLOCK || len(r.Directives) != 1 || r.Messages[0].Text != "使わないこと" {
		t.Errorf("after a halt %v", r)
	}
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" selector { purposes { in: "public" } } reason: "in part"`)
	if r := w.until(line, teishiv1.Restriction_STATE_RESTRICTED); !slices.Equal(r.PermittedPurposes, []string{"public"}) || r.DeviceAction != teishiv1.DeviceAction_DEVICE_ACTION_ALLOW {
		t.Errorf("after a partial lift %v", r)
	}
	place := w.place
	do(h, h.directives.LiftDirective, &teishiv1.LiftDirectiveRequest{}, `directive: "halt" reason: "the last"`)
	if r := w.until(line, teishiv1.Restriction_STATE_ALLOWED); len(r.Directives)+len(r.Messages)+len(r.PermittedPurposes) != 0 {
		t.Errorf("after the last lift %v", r)
	}
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "another" identifiers: "ios:com.another" identifiers: "android:com.another" } reason: "new"`)
	w.until("com.another", teishiv1.Restriction_STATE_ALLOWED)
	do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { id: "line" } reason: "no identifiers"`)
	for w.told[line] != nil {
		w.next()
	}
	if w.others.GetState() != teishiv1.Restriction_STATE_ALLOWED {
		t.Errorf("of others is told %v", w.others)
	}
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "allow-list" authority: "mic" provisions { id: "all" force: FORCE_BINDING
		selector { organizations { in: "mic" } targets { all: true } } } carve_outs { id: "approved" selector { targets { in { app: "another" } } } } } reason: "a list"`)
	for w.others.GetState() != teishiv1.Restriction_STATE_BLOCKED {
		w.next()
	}
	if r := w.told["com.another"]; r.State != teishiv1.Restriction_STATE_ALLOWED || !slices.Equal(w.others.Directives, []string{"allow-list"}) || w.others.App != "" {
		t.Errorf("with a list of what is allowed, that is %v, and others %v", r, w.others)
	}
	again := h.watchesDevices(phones, place)
	if again.told[line] != nil || again.told["com.another"].GetState() != teishiv1.Restriction_STATE_ALLOWED {
		t.Errorf("who goes on from before is told %v", again.told)
	}
	for _, c := range []struct {
		request string
		want    problem
	}{
		{`organization: "nobody" platform: "ios"`, problem{codes.NotFound, "RESOURCE_NOT_FOUND", "organization"}},
		{`organization: "mic" platform: "symbian"`, invalid("platform")},
		{`organization: "mic" platform: "ios" device: "toaster"`, problem{codes.InvalidArgument, "UNKNOWN_REFERENCE", "device"}},
		{`organization: "mic" platform: "ios" heartbeat_interval { seconds: 90 }`, invalid("heartbeat_interval")},
	} {
		stream, err := h.devices.WatchRestrictions(t.Context(), text(t, &teishiv1.WatchRestrictionsRequest{}, c.request))
		h.must(err)
		_, err = stream.Recv()
		c.want.check(t, c.request, err)
	}
}
