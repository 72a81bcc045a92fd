package service

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

const (
	// What of the past is kept at hand, for watches that go on where another has ended: so many states, but no more than take so many
	// bytes beside the last.
	keptStates = 1024
	keptBytes  = 32 << 20
	// changeBytes is about what a change takes beside the policy that it is part of.
	changeBytes = 512
	// attendEvery is how often it is looked whether policy has grown old or the clock was set.
	attendEvery = time.Second
	// idleFor is for how long a goroutine waits for another job.
	idleFor = time.Second
	// beginningAtOnce bounds how many watches begin at once, so that those that are open are told what changes even when all
	// the others come back.
	beginningAtOnce = 16
)

// passed is policy as it was served from some entry on.
type passed struct {
	number  int64 // of those that were served here; each is one more than that of the one before
	view    policystore.View
	touched policy.Touched
	whole   bool // anything may have changed
	jumped  bool // it is not of the entry after the one before: what those between changed is not known
	cost    int

	regranted bool // who may watch what may have changed
}

// watchers are the watches that are open. Each is a cursor over what was served: it is woken when something has touched it, and
// goes on from where it is at its own pace.
type watchers struct {
	replica   *policystore.Replica
	clock     func() moment
	beginning chan struct{} // one for each that begins
	jobs      chan func()
	over      chan struct{} // closed when nothing is served any more

	mu    sync.Mutex
	newer chan struct{}               // closed when there is more of the past
	past  []*passed                   // in order, none left out; the last is what is served
	cost  int                         // of all of them
	open  map[*watch]struct{}         // all
	byApp map[string]map[*watch][]int // those of questions that are as they were asked, by their apps, with their numbers
	broad map[*watch]string           // those of every app of a kind, with the organization
	mood  mood                        // that they were last woken for
}

func newWatchers(r *policystore.Replica, clock func() moment) *watchers {
	atOnce := beginningAtOnce
	if failpoint.Without("beginning") {
		atOnce = math.MaxInt32
	}
	return &watchers{
		replica:   r,
		clock:     clock,
		beginning: make(chan struct{}, atOnce),
		jobs:      make(chan func()),
		over:      make(chan struct{}),
		newer:     make(chan struct{}),
		open:      make(map[*watch]struct{}),
		byApp:     make(map[string]map[*watch][]int),
		broad:     make(map[*watch]string),
	}
}

// run follows what is served until ctx ends.
func (ws *watchers) run(ctx context.Context) {
	defer close(ws.over)
	var attending sync.WaitGroup
	defer attending.Wait()
	attending.Go(func() { ws.attend(ctx) })
	for a := range ws.replica.Applied(ctx) {
		ws.pass(&a)
	}
}

// hand has a job done on another stack, one that has grown already if there is any that is free.
func (ws *watchers) hand(job func()) {
	select {
	case ws.jobs <- job:
	default:
		go ws.work(job)
	}
}

// work does a job, and then others for as long as there are some.
func (ws *watchers) work(job func()) {
	idle := time.NewTimer(idleFor)
	defer idle.Stop()
	for {
		job()
		idle.Reset(idleFor)
		select {
		case job = <-ws.jobs:
		case <-idle.C:
			return
		case <-ws.over:
			return
		}
	}
}

// pass takes what is served from now on, and wakes those whose answers it may have changed.
func (ws *watchers) pass(a *policystore.Applied) {
	next := &passed{view: policystore.View{Snapshot: a.Snapshot, Position: a.Position, Time: a.Time}, whole: true, jumped: true, cost: a.Made() + len(a.Changes)*changeBytes}
	if last := ws.last(); last != nil && last.view.Position == a.Previous {
		next.touched = a.Touched(last.view.Snapshot, a.Changes)
		next.whole, next.jumped = next.touched.All(), false
		next.regranted = grantingOf(&last.view) != grantingOf(&next.view)
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.keep(next)
	close(ws.newer)
	ws.newer = make(chan struct{})
	ws.wakeTouched(next)
}

func (ws *watchers) last() *passed {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.past) == 0 {
		return nil
	}
	return ws.past[len(ws.past)-1]
}

// keep adds to the past, and gives up the oldest.
func (ws *watchers) keep(next *passed) {
	next.number = 1
	if n := len(ws.past); n > 0 {
		next.number = ws.past[n-1].number + 1
	}
	ws.past, ws.cost = append(ws.past, next), ws.cost+next.cost
	spare := 0
	for ; len(ws.past)-spare > 1 && (len(ws.past)-spare > keptStates || ws.cost > keptBytes); spare++ {
		ws.cost -= ws.past[spare].cost
	}
	ws.past = slices.Delete(ws.past, 0, spare)
}

func (ws *watchers) wakeTouched(p *passed) {
	if p.whole {
		for w := range ws.open {
			w.mark(p.number)
		}
	}
	if p.regranted {
		for w := range ws.open {
			w.wake()
		}
	}
	if p.whole || p.touched.Nothing() {
		return
	}
	for w, organization := range ws.broad {
		if p.touched.Organization(organization) {
			w.mark(p.number)
		}
	}
	for app, watching := range ws.byApp {
		if !p.touched.App(app) {
			continue
		}
		for w, numbers := range watching {
			if slices.ContainsFunc(numbers, func(i int) bool { return p.touched.Query(w.asked[i].query.Organization, app) }) {
				w.mark(p.number)
			}
		}
	}
}

// mood is what else than policy and time answers depend on.
type mood struct {
	state policystore.State
	spent bool
	doubt [maxInstead]policy.Instant // how far off the clock may be
}

// changes reports whether answers may differ by the mood.
func (m mood) changes(other mood) bool {
	expired := m.state == policystore.Expired
	return expired != (other.state == policystore.Expired) || m.spent != other.spent || m.doubt != other.doubt
}

// uncertain reports whether answers may be stricter than the policy is at the instant that they are for.
func (m mood) uncertain() bool {
	return m.state == policystore.Expired || m.spent || m.doubt != [maxInstead]policy.Instant{}
}

func moodOf(f *policystore.Freshness, at moment) mood {
	m := mood{state: f.State, spent: f.Spent}
	for i := range min(len(at.instead), maxInstead) {
		m.doubt[i] = at.instead[i] - at.now
	}
	return m
}

// attend wakes everybody when policy grows old or fresh again, and when the clock was set, until ctx ends.
func (ws *watchers) attend(ctx context.Context) {
	looks := time.NewTicker(attendEvery)
	defer looks.Stop()
	for {
		select {
		case <-looks.C:
		case <-ctx.Done():
			return
		}
		v, err := ws.replica.View(ctx, policystore.Demand{})
		if err != nil {
			continue
		}
		now := ws.clock()
		ws.feel(moodOf(&v.Freshness, now), now.now)
	}
}

func (ws *watchers) feel(m mood, now policy.Instant) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	changed := m != ws.mood
	ws.mood = m
	for w := range ws.open {
		if changed || w.overdue(now) {
			w.wake()
		}
	}
}

// enroll opens a watch that goes on from what was passed: all that came after may have touched it.
func (ws *watchers) enroll(w *watch, from *passed) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.open[w] = struct{}{}
	if from.number < ws.past[len(ws.past)-1].number && !failpoint.Without("meanwhile") {
		w.mark(from.number + 1)
	}
	if w.broad != "" {
		ws.broad[w] = w.broad
		return
	}
	for i := range w.asked {
		app := w.asked[i].query.App
		if ws.byApp[app] == nil {
			ws.byApp[app] = make(map[*watch][]int)
		}
		ws.byApp[app][w] = append(ws.byApp[app][w], i)
	}
}

func (ws *watchers) leave(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.open, w)
	delete(ws.broad, w)
	for i := range w.asked {
		app := w.asked[i].query.App
		if delete(ws.byApp[app], w); len(ws.byApp[app]) == 0 {
			delete(ws.byApp, app)
		}
	}
}

// take returns what may have touched the watch since it last took, and what is served. It is nothing, and lost, where some of that
// is no longer at hand.
func (ws *watchers) take(w *watch) (states []*passed, now *passed, lost bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	from, first := w.from, ws.past[0].number
	w.from = 0
	now = ws.past[len(ws.past)-1]
	switch {
	case from == 0:
		return nil, now, false
	case from < first:
		return nil, now, true
	}
	return slices.Clone(ws.past[from-first:]), now, false
}

// find returns what was served at the place of a watch, once that is passed here too; a compactedError says that it is no longer
// at hand.
func (ws *watchers) find(ctx context.Context, epoch int64, revision policy.Revision) (*passed, error) {
	for {
		ws.mu.Lock()
		past, newer := slices.Clone(ws.past), ws.newer
		ws.mu.Unlock()
		if n := len(past); n > 0 {
			i := slices.IndexFunc(past, func(p *passed) bool { return at(p.view.Position, epoch, revision) })
			if i >= 0 {
				return past[i], nil
			}
			if head := past[n-1].view.Position; head.Revision >= revision || epoch != 0 && head.Epoch > epoch {
				return nil, &compactedError{head}
			}
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// at reports whether a position is that of the revision, in the epoch or if that is 0 in any.
func at(p policystore.Position, epoch int64, revision policy.Revision) bool {
	return p.Revision == revision && (epoch == 0 || p.Epoch == epoch)
}
