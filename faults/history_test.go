package faults

import (
	"sync"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// history is everything that was seen from outside, by whoever saw it.
type history struct {
	mu      sync.Mutex
	writes  []write
	checks  []check
	reports []report
	tails   []tailed
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
