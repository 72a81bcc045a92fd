package faults

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

// history is everything that was seen from outside, by whoever saw it.
type history struct {
	mu       sync.Mutex
	writes   []write
	checks   []check
	reports  []report
	tails    []tailed
	watching []*watched
}

// write is one write, as often as it was tried.
type write struct {
	id              string // of the request
	app             int    // that it suspends or resumes
	first, answered time.Time
	revision, epoch int64 // 0: it was never acknowledged
	refusal         string
}

// check is one question and what became of it.
type check struct {
	replica         string
	life            int // how often the replica had been started
	app             int
	asked, answered time.Time
	min             int64 // revision demanded
	answer          *teishiv1.CheckResponse
	refusal         string // the reason or code, if there is no answer
}

// report is what the fleet knew of a replica.
type report struct {
	replica         string
	revision, epoch int64
	hash, state     string
}

// tailed is one entry that a follower was given, or the explicit end of what it followed.
type tailed struct {
	follower        string
	revision, epoch int64
	hash, previous  string
	refusal         string // COMPACTED, EPOCH_MISMATCH, RECORD_DIVERGED: the follower begins elsewhere, knowing it
}

// watched is everything that one watch was told, over all its streams.
type watched struct {
	name string
	apps []int // that it asks about, by the number of the question
	mu   sync.Mutex
	told []told
}

// told is what a watch was told at one place, or how one of its streams ended.
type told struct {
	at      time.Time
	server  string
	begins  bool // what was told before no longer counts
	changes []said
	place   *teishiv1.WatchPosition // up to which all was told; nil in an end
	synced  bool
	end     *ended
}

// said is one answer.
type said struct {
	index           int // of the question
	outcome         teishiv1.Outcome
	sum             uint64 // of all of it that does not differ each time
	revision, epoch int64
	decided         time.Time
}

// ended is how a stream ended.
type ended struct {
	refusal  string
	heard    bool  // it had said something
	revision int64 // from which to go on, as the server says; 0: it does not
	hint     bool  // the server said when to go on
	retry    time.Duration
	after    *teishiv1.WatchPosition // that was told last
}

var sumSeed = maphash.MakeSeed()

// sum tells answers apart, but for when and from what they were given.
func sum(r *teishiv1.CheckResponse) uint64 {
	r = proto.CloneOf(r)
	r.Revision, r.Epoch, r.DecisionTime, r.CacheUntilTime, r.Freshness = 0, 0, nil, nil, nil
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil {
		panic(err) // it came over the wire
	}
	return maphash.Bytes(sumSeed, b)
}

func saidOf(c *teishiv1.DecisionChange) said {
	r := c.Response
	return said{int(c.Index), r.Outcome, sum(r), r.Revision, r.Epoch, r.DecisionTime.AsTime()}
}

// watches takes a watch into the history, and returns how many there were.
func (h *history) watches(w *watched) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watching = append(h.watching, w)
	return len(h.watching) - 1
}

func (w *watched) note(t told) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, t)
}

// last returns the place up to which all was told last; nil before the first.
func (w *watched) last() *teishiv1.WatchPosition {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range slices.Backward(w.told) {
		if t.place != nil {
			return t.place
		}
	}
	return nil
}

// changes returns how many changes were told.
func (h *history) changes() (n int) {
	for _, w := range h.watching {
		for i := range w.told {
			n += len(w.told[i].changes)
		}
	}
	return n
}

// endsAt returns how streams from a server that had said something have ended since.
func (w *watched) endsAt(s *cluster.Teishi, since time.Time) (ends []*ended) {
	for _, t := range w.toldSince(since) {
		if t.end != nil && t.end.heard && t.server == s.Name() {
			ends = append(ends, t.end)
		}
	}
	return ends
}

// toldSince returns what was told since.
func (w *watched) toldSince(t time.Time) []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.told, func(one told) bool { return !one.at.Before(t) })
	if i < 0 {
		return nil
	}
	return slices.Clone(w.told[i:])
}

func (h *history) wrote(w write)     { h.mu.Lock(); h.writes = append(h.writes, w); h.mu.Unlock() }
func (h *history) checked(c check)   { h.mu.Lock(); h.checks = append(h.checks, c); h.mu.Unlock() }
func (h *history) reported(r report) { h.mu.Lock(); h.reports = append(h.reports, r); h.mu.Unlock() }
func (h *history) followed(t tailed) { h.mu.Lock(); h.tails = append(h.tails, t); h.mu.Unlock() }

// acknowledged returns the last revision that any write was answered with.
func (h *history) acknowledged() (revision, epoch int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.writes {
		if w.epoch > epoch || w.epoch == epoch && w.revision > revision {
			revision, epoch = w.revision, w.epoch
		}
	}
	return revision, epoch
}

// since returns the checks that were asked since.
func (h *history) since(t time.Time) []check {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []check
	for _, c := range h.checks {
		if !c.asked.Before(t) {
			all = append(all, c)
		}
	}
	return all
}
