package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/teishi-dev/teishi/cluster"
)

var crowdSize = flag.Int("watchers", 1000, "how many watch at once, in the rows about that")

// watchRows break those who watch, or the servers that they watch.
var watchRows = []row{
	{"19", "a watch client does not read", "I8 I11", plan{}, func(h *house) { h.unread() }},
	{"20", "one write that a crowd watches", "I8 I11", plan{}, func(h *house) { h.crowded() }},
	{"21", "all watches of a crowd are reset at once", "I8 I11 I12", plan{tagged: true}, func(h *house) { h.stampede() }},
	{"22a", "decision points are stopped and started in turn, under load", "I5 I8 I12", plan{points: 3}, func(h *house) {
		calling := h.callers(8)
		h.inTurn(func(p *cluster.Teishi, watching []*watcher) {
			since := time.Now()
			h.must(p.Stop())
			h.ended(watching, since, p, "DRAINING")
		})
		calling.end()
	}},
	{"22b", "decision points are killed in turn, while they are watched", "I8 I12", plan{points: 3}, func(h *house) {
		h.inTurn(func(p *cluster.Teishi, watching []*watcher) {
			since := time.Now()
			h.must(p.Kill())
			h.wait("until its watches notice", func(context.Context) error { return h.noticed(watching, since, p) })
		})
	}},
}

// inTurn ends each decision point, and starts it again: whoever watched it goes on at another, and never begins anew.
func (h *house) inTurn(end func(p *cluster.Teishi, watching []*watcher)) {
	h.Helper()
	c := h.watches(h.amongPoints(12)...)
	for _, p := range h.points {
		h.wait("until all watch", c.toldMore())
		end(p, c.watchers)
		h.wait("until its watches go on elsewhere", c.toldMore())
		h.restart(p)
		h.wait("until it answers again", func(ctx context.Context) error { return h.is(ctx, p, fresh, 0, 0) })
	}
	c.keptOn()
	c.disperse()
}

// The app that the crowd watches; the load leaves it alone.
const watchedApp = 100

// unreadFor is for how long a server waits for who does not read.
const unreadFor = 30 * time.Second

// unread has a watcher of many questions not read any more: it is given up, and nobody else notices.
func (h *house) unread() {
	h.Helper()
	p, w := h.points[0], h.unreading()
	one := h.watches(w)
	h.wait("until it was told all answers", func(context.Context) error { return w.synced() })
	since, before := time.Now(), h.resident(p)
	h.wait("until others are told", h.load.watching.toldMore())
	h.wait("longer than a message may be unread", func(context.Context) error {
		if since := time.Since(since); since < unreadFor+5*time.Second {
			return fmt.Errorf("it has not read for %s", since)
		}
		return nil
	})
	h.wait("until others are told on", h.load.watching.toldMore())
	h.noteBytes("memory for who does not read", h.resident(p)-before)
	h.undisturbed(since)
	h.delays(since, h.load.watching)
	now, _ := h.history.acknowledged()
	close(w.deaf)
	h.wait("until it is told that it lags", func(context.Context) error { return w.lagged(now) })
	h.ended(one.watchers, since, p, "LAGGED")
	h.wait("until it was told everything", one.told())
	one.disperse()
}

// unreading returns a watcher of so many questions at the first decision point that a few writes fill what is kept for it.
func (h *house) unreading() *watcher {
	h.Helper()
	const often = 125
	questions := slices.Repeat(allApps(), often)
	p := h.points[0]
	narrow := h.dial(p.Addr(), grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
	w := h.newWatcher("that does not read", questions, []way{{p.Name(), narrow}})
	w.deaf, w.patience = make(chan struct{}), 2*cluster.Watchdog
	return w
}

// lagged reports as an error that the watcher's stream has not ended; it must before it tells what was so when it read again.
func (w *watcher) lagged(now int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.told {
		if t.end != nil {
			return nil
		}
	}
	if p := w.told[len(w.told)-1].place; p.GetRevision() >= now {
		w.house.problem("I11: who has not read for longer than %s is not given up, and was told up to revision %d", unreadFor, p.Revision)
		return nil
	}
	return errors.New("its stream goes on")
}

// crowded has a crowd watch one app, and writes once, and once more.
func (h *house) crowded() {
	h.Helper()
	p, n := h.points[0], *crowdSize
	h.register(watchedApp)
	before := h.resident(p)
	c := h.watches(h.crowdAt(n, way{p.Name(), nil}, p.Addr())...)
	h.wait("until all watch", c.synced())
	h.noteBytes("memory of a watcher", (h.resident(p)-before)/int64(n))
	since := time.Now()
	for _, verb := range []string{"halt", "lift"} {
		h.wait("until all are told", c.toldOf(h.toggle(verb, 0)))
	}
	h.undisturbed(since)
	h.delays(since, c)
	c.disperse()
}

// What a watcher may take.
const memoryOfWatcher = 32 << 10

// perConnection is how many watch over one connection.
const perConnection = 250

// crowdAt are watchers that reach a server at an address, many over each connection.
func (h *house) crowdAt(n int, at way, address string) []*watcher {
	h.Helper()
	h.room += int64(n) * memoryOfWatcher
	var all []*watcher
	for i := range n {
		if i%perConnection == 0 {
			at.conn = h.dial(address)
		}
		w := h.newWatcher(fmt.Sprintf("%d of %s", i, at.name), []int{watchedApp}, []way{at})
		w.heartbeat, w.patience = time.Minute, 2*time.Minute
		all = append(all, w)
	}
	return all
}

// toggle suspends or resumes the app that the crowd watches, and returns at which revision.
func (h *house) toggle(verb string, n int) (revision int64) {
	h.Helper()
	id := fmt.Sprintf("%s-%d-%d", verb, watchedApp, n)
	w := write{id: id, app: watchedApp, first: time.Now()}
	h.wait("a write", func(ctx context.Context) (err error) {
		w.revision, w.epoch, err = h.load.send(ctx, h.authorities[0], verb, watchedApp, n, id)
		return err
	})
	w.answered = time.Now()
	h.history.wrote(w)
	return w.revision
}

// stampede resets all of a crowd at once. They come back over a while, only so many begin at a time, and whoever asks is answered
// meanwhile.
func (h *house) stampede() {
	h.Helper()
	h.register(watchedApp)
	p := h.points[0]
	shim := h.shim(p.Addr())
	all := h.crowdAt(*crowdSize, way{p.Name(), nil}, shim.Addr())
	c := h.watches(all...)
	h.wait("until all watch", c.synced())
	revision := h.toggle("halt", 0)
	h.wait("until all are told", c.toldOf(revision))
	asked := c.asked()
	since := time.Now()
	h.breaks(p.Name(), "at watch-begin wait") // where the program can be broken, so that they meet
	shim.Cut()
	h.must(shim.Heal())
	h.toggle("lift", 0)
	revision = h.toggle("halt", 1)
	h.wait("until all ask again", c.askedAgain(asked))
	h.wait("answers meanwhile", h.answers(50))
	held, err := h.held(p.Name())
	h.must(err)
	if held == 0 || held > atOnce {
		h.problem("I11: %d watches begin at once, want some, and at most %d", held, atOnce)
	}
	h.breaks(p.Name())
	h.wait("until all have gone on", c.toldOf(revision))
	h.undisturbed(since)
	h.slowest(since)
	c.keptOn()
	c.disperse()
}

// atOnce is how many watches may begin at once.
const atOnce = 16

// amongPoints are watchers of all apps that go from one decision point to another.
func (h *house) amongPoints(n int) []*watcher {
	var all []*watcher
	ways := waysTo(h.points...)
	for i := range n {
		first := i % len(ways)
		all = append(all, h.newWatcher(fmt.Sprintf("%d among decision points", i), allApps(), slices.Concat(ways[first:], ways[:first])))
	}
	return all
}

// ended checks that whoever watched a server was told why the watch has ended since, and where and when to go on.
func (h *house) ended(all []*watcher, since time.Time, s *cluster.Teishi, reason string) {
	h.Helper()
	n := 0
	for _, w := range all {
		for _, e := range w.endsAt(s, since) {
			n++
			if e.refusal != reason || !e.hint || e.revision != e.after.GetRevision() {
				h.problem("I12: watch %s ended with %s at %s, to go on from revision %d, told when: %t; want %s, and revision %d", w.name, e.refusal, s.Name(),
					e.revision, e.hint, reason, e.after.GetRevision())
			}
		}
	}
	if n == 0 {
		h.problem("nobody watched %s", s.Name())
	}
}

// noticed reports as an error that no watch of a server has ended since.
func (h *house) noticed(all []*watcher, since time.Time, s *cluster.Teishi) error {
	for _, w := range all {
		if len(w.endsAt(s, since)) > 0 {
			return nil
		}
	}
	return fmt.Errorf("nobody has noticed that %s is gone", s.Name())
}
