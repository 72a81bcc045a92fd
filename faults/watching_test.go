package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

// watcher watches apps, at one server after the other: it goes on from where it was whenever a stream ends, and begins anew only
// if it is told to. It is no more than what the proto promises, so that it can judge whoever is more.
type watcher struct {
	*watched
	house     *house
	ways      []way // first the one that it begins with
	heartbeat time.Duration
	patience  time.Duration // with a stream that says nothing
	random    *rand.Rand
	place     *teishiv1.WatchPosition // nil: begin anew
	asked     atomic.Int64            // streams that were opened
	deaf      chan struct{}           // while it is not nil and not closed, nothing is read after all was answered
}

// way is how a watcher reaches a server.
type way struct {
	name string
	conn *grpc.ClientConn
}

// waysTo are direct ways to servers.
func waysTo(servers ...*cluster.Teishi) []way {
	var all []way
	for _, s := range servers {
		all = append(all, way{s.Name(), s.Conn()})
	}
	return all
}

// allApps are those that the load suspends and resumes.
func allApps() []int {
	all := make([]int, apps)
	for i := range all {
		all[i] = i
	}
	return all
}

// beats is how often a watch is to be told that it lives.
const beats = time.Second

// newWatcher returns a watcher that is part of the history, and follows nothing yet.
func (h *house) newWatcher(name string, apps []int, ways []way) *watcher {
	w := &watcher{watched: &watched{name: name, apps: apps}, house: h, ways: ways, heartbeat: beats, patience: 5 * beats}
	w.random = rand.New(rand.NewPCG(h.seed, uint64(h.history.watches(w.watched))))
	return w
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i = w.random.IntN(len(w.ways)) {
		end := w.follow(ctx, w.ways[i])
		end.after = w.place
		if ctx.Err() != nil {
			return
		}
		w.note(told{at: time.Now(), server: w.ways[i].name, end: end})
		switch end.refusal {
		case "COMPACTED", "EPOCH_MISMATCH":
			w.place = nil
		case "DRAINING", "LAGGED", "REVISION_NOT_REACHED", "STORE_UNAVAILABLE", "Unavailable", errSilent.Error():
		case "UNKNOWN_REFERENCE": // the server is not there yet
			if w.place != nil {
				w.house.problem("I8: watch %s of %s goes on, and is refused as if it began", w.name, w.ways[i].name)
			}
		default:
			w.house.problem("I8: watch %s of %s ends with %s", w.name, w.ways[i].name, end.refusal)
		}
		rest(ctx, max(end.retry, 50*time.Millisecond+time.Duration(w.random.Int64N(int64(maxReturn)))))
	}
}

// errSilent is why a watcher leaves a stream.
var errSilent = errors.New("the stream says nothing")

// maxReturn is over what time watchers come back that nobody has told when to.
const maxReturn = time.Second

// follow follows one stream to its end.
func (w *watcher) follow(ctx context.Context, by way) *ended {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(w.patience, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := teishiv1.NewDecisionServiceClient(by.conn).WatchDecisions(ctx, w.request())
	w.asked.Add(1)
	heard := told{server: by.name, begins: w.place == nil}
	for n := 0; ; n++ {
		var m *teishiv1.WatchDecisionsResponse
		if err == nil {
			m, err = stream.Recv()
		}
		if err != nil {
			return endOf(ctx, err, n > 0)
		}
		silence.Reset(w.patience)
		w.take(m, &heard)
		if w.deaf != nil && m.GetSynced() != nil {
			select {
			case <-w.deaf:
			case <-ctx.Done():
			}
		}
	}
}

func (w *watcher) request() *teishiv1.WatchDecisionsRequest {
	s := &teishiv1.DecisionSelector{Organizations: []string{organization}}
	for _, app := range w.apps {
		s.Apps = append(s.Apps, appID(app))
	}
	return &teishiv1.WatchDecisionsRequest{Selectors: []*teishiv1.DecisionSelector{s}, Resume: w.place, HeartbeatInterval: durationpb.New(w.heartbeat)}
}

// take takes a message, and notes what was told once all of its place was.
func (w *watcher) take(m *teishiv1.WatchDecisionsResponse, heard *told) {
	for _, c := range m.GetChanges().GetChanges() {
		heard.changes = append(heard.changes, saidOf(c))
	}
	if m.GetRestarted() != nil {
		heard.begins, heard.changes = true, nil
	}
	if m.Position == nil {
		return
	}
	heard.at, heard.place, heard.synced = time.Now(), m.Position, m.GetSynced() != nil
	w.note(*heard)
	w.place = m.Position
	*heard = told{server: heard.server}
}

// endOf is the end of a stream, as the server tells it.
func endOf(ctx context.Context, err error, heard bool) *ended {
	if context.Cause(ctx) == errSilent {
		return &ended{refusal: errSilent.Error(), heard: heard}
	}
	end := &ended{refusal: reasonOf(err), heard: heard}
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			end.revision, _ = strconv.ParseInt(d.Metadata["revision"], 10, 64)
		case *errdetails.RetryInfo:
			end.retry, end.hint = d.RetryDelay.AsDuration(), true
		}
	}
	return end
}

// crowd is many watchers at once.
type crowd struct {
	house    *house
	watchers []*watcher
	leave    context.CancelFunc
	present  sync.WaitGroup
}

// watches has watchers watch until they are told to leave, or the house ends.
func (h *house) watches(watchers ...*watcher) *crowd {
	ctx, cancel := context.WithCancel(h.ctx)
	c := &crowd{house: h, watchers: watchers, leave: cancel}
	for _, w := range watchers {
		c.present.Go(func() { w.run(ctx) })
	}
	h.leaving.Go(c.present.Wait)
	return c
}

// disperse ends the watchers.
func (c *crowd) disperse() {
	c.leave()
	c.present.Wait()
}

// all holds once a condition does for every watcher.
func (c *crowd) all(condition func(*watcher) error) func(context.Context) error {
	return func(context.Context) error {
		for _, w := range c.watchers {
			if err := condition(w); err != nil {
				return fmt.Errorf("watch %s %w", w.name, err)
			}
		}
		return nil
	}
}

// told holds once every watcher was told all that was acknowledged when it was asked first.
func (c *crowd) told() func(context.Context) error { return c.reach(c.house.history.acknowledged()) }

// toldMore holds once every watcher was told five more writes than are acknowledged now.
func (c *crowd) toldMore() func(context.Context) error {
	revision, epoch := c.house.history.acknowledged()
	return c.reach(revision+5, epoch)
}

// toldOf holds once every watcher was told all up to a revision of the first epoch.
func (c *crowd) toldOf(revision int64) func(context.Context) error { return c.reach(revision, 1) }

func (c *crowd) reach(revision, epoch int64) func(context.Context) error {
	return c.all(func(w *watcher) error {
		if p := w.last(); p.GetEpoch() < epoch || p.GetEpoch() == epoch && p.GetRevision() < revision {
			return fmt.Errorf("was told up to revision %d of epoch %d, want %d of %d", p.GetRevision(), p.GetEpoch(), revision, epoch)
		}
		return nil
	})
}

// synced holds once every watcher was told all answers.
func (c *crowd) synced() func(context.Context) error { return c.all((*watcher).synced) }

func (w *watcher) synced() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.ContainsFunc(w.told, func(t told) bool { return t.synced }) {
		return errors.New("was not told all answers")
	}
	return nil
}

// asked returns how many streams every watcher has opened.
func (c *crowd) asked() map[*watcher]int64 {
	asked := make(map[*watcher]int64)
	for _, w := range c.watchers {
		asked[w] = w.asked.Load()
	}
	return asked
}

// askedAgain holds once every watcher has opened another stream.
func (c *crowd) askedAgain(before map[*watcher]int64) func(context.Context) error {
	return c.all(func(w *watcher) error {
		if w.asked.Load() == before[w] {
			return errors.New("has not asked again")
		}
		return nil
	})
}

// keptOn checks that every watcher began once and never anew, though its streams have ended.
func (c *crowd) keptOn() {
	for _, w := range c.watchers {
		w.mu.Lock()
		begun := 0
		for _, t := range w.told {
			if t.begins {
				begun++
			}
		}
		w.mu.Unlock()
		if begun != 1 {
			c.house.problem("I8: watch %s has begun %d times: what it was told was known elsewhere", w.name, begun)
		}
	}
}
