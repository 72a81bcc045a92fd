package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// record is the record as it is at the end, and what it folds into.
type record struct {
	domain  string
	entries []policystore.Entry
}

// judgement is what is wrong with a history, by invariant.
type judgement struct{ problems []string }

const most = 5 // problems that are told of one invariant

func (j *judgement) add(invariant, format string, args ...any) {
	prefix := invariant + ": "
	n := 0
	for _, p := range j.problems {
		if strings.HasPrefix(p, prefix) {
			n++
		}
	}
	if n < most {
		j.problems = append(j.problems, prefix+fmt.Sprintf(format, args...))
	}
}

// judge holds a history against the record.
func judge(h *history, r *record) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	j := &judgement{}
	j.durable(h, r)
	j.oneHistory(h, r)
	j.prefix(h, r)
	j.monotone(h)
	j.readYourWrite(h)
	j.honest(h)
	j.safe(h, r)
	j.gapless(h, r)
	j.watching(h, r)
	return j.problems
}

// durable is I1: what was acknowledged is in the record where it was acknowledged, unless the record was rewound since.
func (j *judgement) durable(h *history, r *record) {
	for _, w := range h.writes {
		if w.revision == 0 || w.epoch < r.epoch() && !r.holds(w) {
			continue
		}
		if !r.holds(w) {
			j.add("I1", "write %s was acknowledged at revision %d of epoch %d, and the record has %s there", w.id, w.revision, w.epoch, r.at(w.revision))
		}
	}
}

func (r *record) epoch() int64 {
	if len(r.entries) == 0 {
		return 0
	}
	return r.entries[len(r.entries)-1].Epoch
}

func (r *record) holds(w write) bool {
	return w.revision <= int64(len(r.entries)) && r.entries[w.revision-1].RequestID == w.id
}

func (r *record) at(revision int64) string {
	if revision < 1 || revision > int64(len(r.entries)) {
		return "nothing"
	}
	return r.entries[revision-1].RequestID
}

// oneHistory is I2: revisions are contiguous, the chain verifies, every request is there once, and nobody has another hash.
func (j *judgement) oneHistory(h *history, r *record) {
	var at policystore.Position
	var last policy.Instant
	seen := make(map[string]policy.Revision)
	for i := range r.entries {
		e := &r.entries[i]
		if err := e.Follows(at, last, r.domain); err != nil {
			j.add("I2", "the record: %v", err)
			return
		}
		if before, again := seen[e.RequestID]; again {
			j.add("I2", "request %s is entry %d and entry %d", e.RequestID, before, e.Revision)
		}
		seen[e.RequestID] = e.Revision
		at, last = e.Position(), e.Time
	}
	for _, p := range h.reports {
		if p.revision > 0 && p.epoch == r.epochAt(p.revision) && p.hash != r.entries[p.revision-1].Hash.String() {
			j.add("I2", "replica %s has hash %.8s at revision %d, the record has %.8s", p.replica, p.hash, p.revision, r.entries[p.revision-1].Hash.String())
		}
	}
}

func (r *record) epochAt(revision int64) int64 {
	if revision < 1 || revision > int64(len(r.entries)) {
		return -1
	}
	return r.entries[revision-1].Epoch
}

// prefix is I3: what a replica has at a revision is what the entries up to it fold into.
func (j *judgement) prefix(h *history, r *record) {
	wanted := make(map[int64]bool)
	for _, p := range h.reports {
		if p.state != "" {
			wanted[p.revision] = true
		}
	}
	states, err := r.fold(wanted)
	if err != nil {
		j.add("I3", "the record does not fold: %v", err)
	}
	for _, p := range h.reports {
		if want := states[p.revision]; p.state != "" && p.epoch == r.epochAt(p.revision) && want != "" && p.state != want {
			j.add("I3", "replica %s has state %.8s at revision %d, the entries fold into %.8s", p.replica, p.state, p.revision, want)
		}
	}
}

// fold returns the state hashes at the revisions, by a fold that knows no replica.
func (r *record) fold(at map[int64]bool) (map[int64]string, error) {
	states := make(map[int64]string)
	s := policy.New()
	for i := range r.entries {
		e := &r.entries[i]
		changes, err := e.Changes()
		if err == nil {
			s, err = s.Apply(e.Revision, changes)
		}
		if err != nil {
			return states, err
		}
		if !at[int64(e.Revision)] {
			continue
		}
		hash, err := policystore.StateHash(r.domain, policystore.View{Snapshot: s, Position: e.Position(), Time: e.Time})
		if err != nil {
			return states, err
		}
		states[int64(e.Revision)] = hash.String()
	}
	return states, nil
}

// monotone is I4: whoever asks a replica again is answered from the same revision or a later one.
func (j *judgement) monotone(h *history) {
	type place struct{ epoch, revision int64 }
	for replica, checks := range answered(h.checks) {
		slices.SortFunc(checks, func(a, b check) int { return a.answered.Compare(b.answered) })
		var best place
		var by check
		byAsked := slices.Clone(checks)
		slices.SortFunc(byAsked, func(a, b check) int { return a.asked.Compare(b.asked) })
		i := 0
		for _, c := range byAsked {
			for ; i < len(checks) && checks[i].answered.Before(c.asked); i++ {
				if p := (place{checks[i].answer.Epoch, checks[i].answer.Revision}); cmp.Or(cmp.Compare(p.epoch, best.epoch), cmp.Compare(p.revision, best.revision)) > 0 {
					best, by = p, checks[i]
				}
			}
			p := place{c.answer.Epoch, c.answer.Revision}
			if cmp.Or(cmp.Compare(p.epoch, best.epoch), cmp.Compare(p.revision, best.revision)) < 0 && c.life == by.life {
				j.add("I4", "%s answered from revision %d of epoch %d, %s after revision %d of epoch %d", replica, p.revision, p.epoch,
					c.asked.Sub(by.answered).Round(time.Millisecond), best.revision, best.epoch)
			}
		}
	}
}

// answered returns the checks that were answered, by replica.
func answered(checks []check) map[string][]check {
	by := make(map[string][]check)
	for _, c := range checks {
		if c.answer != nil {
			by[c.replica] = append(by[c.replica], c)
		}
	}
	return by
}

// readYourWrite is I5: an answer is at the revision that was demanded or later, or there is none.
func (j *judgement) readYourWrite(h *history) {
	for _, c := range h.checks {
		if c.answer != nil && c.answer.Revision < c.min {
			j.add("I5", "%s answered from revision %d, and %d was demanded", c.replica, c.answer.Revision, c.min)
		}
	}
}

// The bounds of freshness.
const (
	freshFor  = 5 * time.Second
	expiresAt = time.Minute
)

// honest is I6: every answer says how old it may be, is marked by that, and misses nothing that was acknowledged before then.
func (j *judgement) honest(h *history) {
	writes := slices.Clone(h.writes)
	writes = slices.DeleteFunc(writes, func(w write) bool { return w.revision == 0 })
	slices.SortFunc(writes, func(a, b write) int { return a.answered.Compare(b.answered) })
	for _, c := range h.checks {
		if c.answer == nil {
			continue
		}
		f := c.answer.GetFreshness()
		age := f.GetAge().AsDuration()
		switch state := f.GetState(); {
		case state == teishiv1.Freshness_STATE_UNSPECIFIED || f.GetSource() == "" || c.answer.Revision == 0:
			j.add("I6", "%s answered without its revision, freshness or source: %v", c.replica, f)
		case f.GetAge() == nil && state != teishiv1.Freshness_STATE_EXPIRED:
			j.add("I6", "%s answered %s of an age that is not known", c.replica, state)
		case state == teishiv1.Freshness_STATE_FRESH && age > freshFor, state == teishiv1.Freshness_STATE_STALE && (age <= freshFor || age > expiresAt):
			j.add("I6", "%s answered %s at the age of %s", c.replica, state, age)
		}
		if f.GetAge() == nil {
			continue
		}
		missed := latestBefore(writes, c.asked.Add(-age), c.answer.Epoch)
		if missed.revision > c.answer.Revision {
			j.add("I6", "%s answered %s from revision %d at the age of %s, and write %s was acknowledged at revision %d %s before it was asked", c.replica,
				f.GetState(), c.answer.Revision, age, missed.id, missed.revision, c.asked.Sub(missed.answered).Round(time.Millisecond))
		}
	}
}

// latestBefore returns the write of an epoch with the highest revision of those that were acknowledged before a moment.
func latestBefore(writes []write, t time.Time, epoch int64) (best write) {
	for _, w := range writes {
		if !w.answered.Before(t) {
			return best
		}
		if w.epoch == epoch && w.revision > best.revision {
			best = w
		}
	}
	return best
}

// safe is I7: no answer is milder than what the record says at its revision, and none is given that rests on nothing.
func (j *judgement) safe(h *history, r *record) {
	m := newModel(r.entries)
	for _, c := range h.checks {
		if c.answer == nil || c.answer.Outcome != teishiv1.Outcome_OUTCOME_ALLOWED {
			continue
		}
		if c.answer.Epoch != r.epochAt(c.answer.Revision) {
			continue // of an epoch that was given up
		}
		switch suspended, known := m.suspended(c.app, c.answer.Revision); {
		case !known:
			j.add("I7", "%s answered ALLOWED at revision %d, where app %d does not exist", c.replica, c.answer.Revision, c.app)
		case suspended:
			j.add("I7", "%s answered ALLOWED at revision %d, where app %d is suspended", c.replica, c.answer.Revision, c.app)
		}
		if c.answer.GetFreshness().GetState() == teishiv1.Freshness_STATE_EXPIRED && deniesWhenStale(c.app) {
			j.add("I7", "%s answered ALLOWED for app %d, which is to be denied once policy has EXPIRED", c.replica, c.app)
		}
	}
}

// gapless is I8, for those who follow the log: what they are given goes on without a gap and without a repetition, and is what
// the record has; or they are told to begin elsewhere.
func (j *judgement) gapless(h *history, r *record) {
	last := make(map[string]tailed)
	for _, t := range h.tails {
		before, known := last[t.follower]
		switch {
		case t.refusal != "":
			delete(last, t.follower)
			continue
		case known && (t.revision != before.revision+1 || t.previous != before.hash):
			j.add("I8", "follower %s was given entry %d of epoch %d after entry %d of epoch %d, which it does not follow", t.follower, t.revision, t.epoch, before.revision, before.epoch)
		case t.epoch == r.epochAt(t.revision) && t.hash != r.entries[t.revision-1].Hash.String():
			j.add("I8", "follower %s was given another entry %d than the record has", t.follower, t.revision)
		}
		last[t.follower] = t
	}
}
