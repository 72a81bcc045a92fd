package service_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

var seedFlag = flag.Uint64("seed", 0, "the `seed` of the one random history; 0: a fresh one each")

// Over random histories of writes and time, what a watch has told is what Check answers, at every instant, however often it was
// cut and went on; each change is told once, in order.
func TestWatchFollowsHistory(t *testing.T) {
	histories := 12
	if testing.Short() {
		histories = 4
	}
	told := 0
	for i := range histories {
		seed := *seedFlag
		if seed == 0 {
			seed = rand.Uint64()
		} else if i > 0 {
			return
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { told += watchHistory(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
	if told < 10*histories && *seedFlag == 0 {
		t.Errorf("only %d changes were told: this proves little", told)
	}
}

// watchHistory returns how many changes were told.
func watchHistory(t *testing.T, dice *rand.Rand) int {
	h := open(t)
	h.suspend()
	p := &play{house: h, dice: dice}
	p.open(nil)
	p.watchDevices(nil)
	for range 60 {
		p.step()
		synctest.Wait()
		p.compare()
		p.compareDevices()
		if t.Failed() {
			break
		}
	}
	return p.changes
}

// play is a history with a watch on it.
type play struct {
	*house
	dice    *rand.Rand
	mu      sync.Mutex // guards what is told
	w       *fold
	devices map[string]*teishiv1.Restriction // what was told, by identifier
	ended   chan *teishiv1.WatchPosition     // where the watch of that has ended
	places  []snapshotted                    // of late, with what had been told by then
	writes  int
	changes int
}

// snapshotted is a place and what was told there.
type snapshotted struct {
	place *teishiv1.WatchPosition
	told  map[int32]*teishiv1.CheckResponse
}

const watched = `selectors { organizations: "mic" organizations: "jis:131016" organizations: "school" apps: "line" apps: "domain:line.me"
		purposes: "feedback.opinion" purposes: "internal" attributes { key: "data-sensitivity" value: "public" } }
	selectors { organizations: "jp" organizations: "city" apps: "ios:jp.naver.line" apps: "ios:unknown.app" }`

// fold is what a watch has told, taken from its stream as it comes.
type fold struct {
	play   *play
	cancel func()
	ended  chan error
	told   map[int32]*teishiv1.CheckResponse
	place  *teishiv1.WatchPosition
	synced bool
	part   []*teishiv1.DecisionChange // of a place that is not whole yet
}

// open opens the watch, after a place or anew, and takes what it tells until it ends.
func (p *play) open(from *snapshotted) {
	p.t.Helper()
	f := &fold{play: p, ended: make(chan error, 1), told: make(map[int32]*teishiv1.CheckResponse)}
	var w *watching
	if from == nil {
		w = p.opens(watched)
	} else {
		w = p.opens(watched, from.place)
		f.place = from.place
		for i, r := range from.told {
			f.told[i] = r
		}
	}
	f.cancel = w.cancel
	p.w = f
	go func() {
		for {
			m, err := w.stream.Recv()
			if err != nil {
				f.ended <- err
				return
			}
			f.take(m)
		}
	}()
	synctest.Wait()
}

// take takes one event.
func (f *fold) take(m *teishiv1.WatchDecisionsResponse) {
	f.play.mu.Lock()
	defer f.play.mu.Unlock()
	t := f.play.t
	switch {
	case m.GetSynced() != nil:
		f.synced = true
	case m.GetRestarted() != nil:
		f.told, f.synced, f.part, f.place = make(map[int32]*teishiv1.CheckResponse), false, nil, nil
	case m.GetChanges() != nil:
		f.part = append(f.part, m.GetChanges().Changes...)
	}
	if m.Position == nil {
		return
	}
	if len(f.part) > 0 && f.place != nil && !laterPlace(f.place, m.Position) {
		t.Errorf("changes of %v come after %v", m.Position, f.place)
	}
	f.place = m.Position
	for i, c := range f.part {
		if i > 0 && c.Index <= f.part[i-1].Index {
			t.Errorf("question %d comes after %d", c.Index, f.part[i-1].Index)
		}
		if before := f.told[c.Index]; before != nil && same(before, c.Response) {
			t.Errorf("question %d is told again that it is %s", c.Index, c.Response.Outcome)
		}
		f.told[c.Index] = c.Response
		if f.synced {
			f.play.changes++
		}
	}
	f.part = nil
}

func laterPlace(a, b *teishiv1.WatchPosition) bool {
	switch {
	case a.Epoch != b.Epoch:
		return a.Epoch < b.Epoch
	case a.Revision != b.Revision:
		return a.Revision < b.Revision
	}
	return a.Time.AsTime().Before(b.Time.AsTime())
}

// same reports whether two answers differ by nothing but when and from what they were given.
func same(a, b *teishiv1.CheckResponse) bool { return proto.Equal(bare(a), bare(b)) }

func bare(r *teishiv1.CheckResponse) *teishiv1.CheckResponse {
	r = proto.CloneOf(r)
	r.Revision, r.Epoch, r.DecisionTime, r.CacheUntilTime, r.Freshness = 0, 0, nil, nil, nil
	return r
}

// compare compares what was told with what is answered now.
func (p *play) compare() {
	p.t.Helper()
	select {
	case err := <-p.w.ended:
		if !strings.Contains(describe(err), "STREAM_ENDED") {
			p.t.Fatalf("the watch has ended: %v", describe(err))
		}
		p.open(&snapshotted{p.w.place, p.w.told})
	default:
	}
	batch := &teishiv1.BatchCheckRequest{}
	sel := text(p.t, &teishiv1.WatchDecisionsRequest{}, watched)
	for _, s := range sel.Selectors {
		purposes := s.Purposes
		if len(purposes) == 0 {
			purposes = []string{""}
		}
		for _, o := range s.Organizations {
			for _, a := range s.Apps {
				for _, u := range purposes {
					batch.Queries = append(batch.Queries, &teishiv1.Query{Organization: o, App: a, Purpose: u, Attributes: s.Attributes})
				}
			}
		}
	}
	resp, err := p.decisions.BatchCheck(p.t.Context(), batch)
	p.must(err)
	for i, r := range resp.GetResults() {
		if told := p.w.told[int32(i)]; told == nil || !same(told, r.GetResponse()) {
			p.t.Errorf("%v: told %v\nis %v", batch.Queries[i], told, r.GetResponse())
			return
		}
	}
	if len(p.w.told) != len(batch.Queries) {
		p.t.Errorf("%d questions were answered, want %d", len(p.w.told), len(batch.Queries))
	}
}

// step does something: writes, lets time pass, or cuts the watch and goes on.
func (p *play) step() {
	switch n := p.dice.IntN(10); {
	case n < 4:
		p.write()
	case n < 7:
		p.pass()
	default:
		p.cut()
	}
}

// pass lets time pass: mostly to the next instant at which something changes, or just before or after.
func (p *play) pass() { time.Sleep(p.span()) }

func (p *play) span() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := time.Duration(p.dice.IntN(200)) * time.Second
	for _, r := range p.w.told {
		if until := r.ValidUntilTime; until != nil && p.dice.IntN(3) > 0 {
			next = min(next, time.Until(until.AsTime())+time.Duration(p.dice.IntN(3)-1)*time.Microsecond)
		}
	}
	return max(0, next)
}

// cut ends the watch, lets something happen, and goes on: from the last place, from one before that, or anew.
func (p *play) cut() {
	f := p.w
	p.places = append(p.places, snapshotted{f.place, f.told})
	f.cancel()
	<-f.ended
	for range p.dice.IntN(4) {
		if p.dice.IntN(2) == 0 {
			p.write()
		} else {
			time.Sleep(time.Duration(p.dice.IntN(100)) * time.Second)
		}
	}
	switch n := p.dice.IntN(8); {
	case n == 0:
		p.open(nil)
	case n < 3:
		p.open(&p.places[p.dice.IntN(len(p.places))])
	default:
		p.open(&p.places[len(p.places)-1])
	}
	if !p.w.synced {
		p.t.Error("it goes on and is not synced")
	}
}

// write makes one random write, which may well be refused.
func (p *play) write() {
	p.writes++
	window := func() string {
		now, from, to := time.Now(), time.Duration(p.dice.IntN(300)-100)*time.Second, time.Duration(p.dice.IntN(400))*time.Second
		s := ""
		if p.dice.IntN(2) == 0 {
			s += fmt.Sprintf(" effective_time { %s }", timestamppb.New(now.Add(from)))
		}
		if p.dice.IntN(2) == 0 {
			s += fmt.Sprintf(" expire_time { %s }", timestamppb.New(now.Add(from+to+time.Second)))
		}
		return s
	}
	one := func(list ...string) string { return list[p.dice.IntN(len(list))] }
	id := fmt.Sprint("d", p.dice.IntN(4))
	var err error
	switch p.dice.IntN(10) {
	case 0, 1:
		_, err = p.directives.IssueDirective(p.t.Context(), text(p.t, &teishiv1.IssueDirectiveRequest{}, fmt.Sprintf(
			`directive { id: %q authority: "jp" title { key: "en" value: "t%d" } exemption_rules { approver: APPROVER_AUTHORITY grounds { id: "need" } longest_duration { seconds: 100000 } }
			provisions { id: "p" force: %s selector { organizations { in: %q } targets { %s } %s %s } } } reason: "r"`, fmt.Sprint("d", p.writes), p.writes,
			one("FORCE_BINDING", "FORCE_BINDING", "FORCE_ADVISORY"), one("jp", "mic", "city", "school"),
			one(`in { app: "line" }`, `in { vendor: "naver" }`, `in { tag: "sns" }`, `all: true`, `in { country: "KR" }`), window(),
			one("", `purposes { in: "feedback" }`, `conditions { attribute: "data-sensitivity" values: "secret" }`, `conditions { attribute: "device" values: "personal" }`))))
	case 2:
		_, err = p.directives.LiftDirective(p.t.Context(), text(p.t, &teishiv1.LiftDirectiveRequest{}, fmt.Sprintf(
			`directive: %q selector { organizations { in: %q } %s } reason: "r"`, fmt.Sprint("d", p.dice.IntN(p.writes)+1), one("jp", "mic", "school"), window())))
	case 3:
		_, err = p.directives.WithdrawDirective(p.t.Context(), text(p.t, &teishiv1.WithdrawDirectiveRequest{}, fmt.Sprintf(`directive: %q reason: "r"`, fmt.Sprint("d", p.dice.IntN(p.writes)+1))))
	case 4:
		_, err = p.registry.PutApp(p.t.Context(), text(p.t, &teishiv1.PutAppRequest{}, fmt.Sprintf(`app { id: "line" %s %s
			identifiers: "ios:jp.naver.line" %s } reason: "r"`, one(`tags: "sns"`, ``), one(`ownerships { vendor: "z" }`, `ownerships { vendor: "naver" }`, ``), one(`identifiers: "domain:line.me"`, ``))))
	case 5:
		_, err = p.registry.PutOrganization(p.t.Context(), text(p.t, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(
			`organization { id: "school" parent: %q kind: %q } reason: "r"`, one("city", "mic", "jp"), one("school", "ministry"))))
	case 6:
		_, err = p.registry.PutVendor(p.t.Context(), text(p.t, &teishiv1.PutVendorRequest{}, fmt.Sprintf(
			`vendor { id: "z" %s } reason: "r"`, one(`parents { vendor: "naver" }`, ``, `countries { country: "KR" }`))))
	case 7:
		_, err = p.registry.PutApp(p.t.Context(), text(p.t, &teishiv1.PutAppRequest{}, fmt.Sprintf(`app { id: "a%d" %s %s } reason: "r"`,
			p.dice.IntN(3), one(fmt.Sprintf(`identifiers: "ios:com.example.%d"`, p.dice.IntN(5)), ``), one(`tags: "sns"`, ``))))
	case 8:
		_, err = p.registry.PutOrganization(p.t.Context(), text(p.t, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(
			`organization { id: %q parent: "city" } reason: "r"`, id)))
	case 9:
		_, err = p.directives.GrantExemption(p.t.Context(), text(p.t, &teishiv1.GrantExemptionRequest{}, fmt.Sprintf(
			`directive: %q ground: "need" justification: "j" reason: "r" selector { organizations { in: %q } effective_time { %s } expire_time { %s } }`, fmt.Sprint("d", p.dice.IntN(p.writes)+1),
			one("mic", "school"), timestamppb.New(time.Now()), timestamppb.New(time.Now().Add(time.Duration(1+p.dice.IntN(500))*time.Second)))))
	}
	if err != nil && strings.Contains(describe(err), "proto:") {
		p.t.Error(err)
	}
}

// watchDevices watches the restrictions of devices, after a place or anew.
func (p *play) watchDevices(from *teishiv1.WatchPosition) {
	p.t.Helper()
	if from == nil {
		p.devices = make(map[string]*teishiv1.Restriction)
	}
	stream, err := p.house.devices.WatchRestrictions(p.t.Context(), &teishiv1.WatchRestrictionsRequest{Organization: "school", Platform: "ios", Resume: from})
	p.must(err)
	p.ended = make(chan *teishiv1.WatchPosition, 1)
	go func(ended chan<- *teishiv1.WatchPosition) {
		for {
			m, err := stream.Recv()
			if err != nil {
				ended <- from
				return
			}
			p.mu.Lock()
			for _, r := range m.GetChanges().GetRestrictions() {
				if proto.Equal(p.devices[r.Identifier], r) {
					p.t.Errorf("told again is %v", r)
				}
				p.devices[r.Identifier] = r
			}
			if others := m.GetChanges().GetOthers(); others != nil {
				if proto.Equal(p.devices[""], others) {
					p.t.Errorf("told again is %v", others)
				}
				p.devices[""] = others
			}
			for _, name := range m.GetChanges().GetRemoved() {
				delete(p.devices, name)
			}
			p.mu.Unlock()
			if m.Position != nil {
				from = m.Position
			}
		}
	}(p.ended)
	synctest.Wait()
}

// compareDevices compares what devices were told with what they are answered now.
func (p *play) compareDevices() {
	p.t.Helper()
	select {
	case from := <-p.ended:
		p.watchDevices(from)
	default:
	}
	resp, err := p.house.devices.GetRestrictions(p.t.Context(), &teishiv1.GetRestrictionsRequest{Organization: "school", Platform: "ios"})
	p.must(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(resp.GetRestrictions(), resp.GetOthers())
	if len(all) != len(p.devices) {
		p.t.Errorf("told are %d restrictions, there are %d", len(p.devices), len(all))
	}
	for _, r := range all {
		if !proto.Equal(r, p.devices[r.Identifier]) {
			p.t.Errorf("told %v\nis %v", p.devices[r.Identifier], r)
		}
	}
}
