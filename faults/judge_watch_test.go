package faults

import (
	"cmp"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// mostReplayed is how many entries a watch is told one by one when it is behind; of more it is told what they came to.
const mostReplayed = 256

// watching is I8, for those who watch: places only go on; at each, what was told is what the record says there, and what whoever
// asks is answered; between two of them nothing was left out, and nothing told again; or they are told that they begin anew.
func (j *judgement) watching(h *history, r *record) {
	m := newModel(r.entries)
	answers := directly(h, r, m)
	for _, w := range h.watching {
		l := &listener{judgement: j, record: r, model: m, answers: answers, watched: w}
		for i := range w.told {
			l.take(&w.told[i])
		}
	}
}

// directly returns what those were answered who asked, as far as policy and clock were beyond doubt.
func directly(h *history, r *record, m *model) map[state]uint64 {
	answers := make(map[state]uint64)
	for _, c := range h.checks {
		a := c.answer
		if a == nil || a.Epoch != r.epochAt(a.Revision) || !a.CacheUntilTime.AsTime().After(a.DecisionTime.AsTime()) {
			continue // what is in doubt may not be kept
		}
		if _, known := m.suspended(c.app, a.Revision); !known {
			continue // it was asked before there was such an app
		}
		answers[m.state(c.app, a.Revision, a.DecisionTime.AsTime())] = sum(a)
	}
	return answers
}

// listener goes through what one watch was told.
type listener struct {
	*judgement
	record  *record
	model   *model
	answers map[state]uint64
	*watched

	place  *teishiv1.WatchPosition // that was told last; nil where it begins anew
	said   map[int]said            // last, of each question
	states map[int]state           // of the apps of the questions, at the place
}

func (l *listener) take(t *told) {
	if t.begins {
		l.place, l.said, l.states = nil, make(map[int]said), make(map[int]state)
	}
	if t.place == nil {
		return // the end of a stream
	}
	l.ordered(t)
	changed := make(map[int]bool)
	for _, s := range t.changes {
		l.said[s.index], changed[s.index] = s, true
	}
	if t.synced && len(l.said) < len(l.apps) {
		l.add("I8", "watch %s was told %d answers to %d questions, and that it was told all", l.name, len(l.said), len(l.apps))
	}
	for question := range l.said {
		l.judge(question, t, changed[question])
	}
	l.place = t.place
}

// ordered checks that a place comes after the one before, and its changes in order and from there.
func (l *listener) ordered(t *told) {
	if way := comparePlaces(l.place, t.place); l.place != nil && (way > 0 || way == 0 && len(t.changes) > 0) {
		l.add("I8", "watch %s was told %d changes of %v by %s, after %v", l.name, len(t.changes), t.place, t.server, l.place)
	}
	for i, s := range t.changes {
		if i > 0 && s.index <= t.changes[i-1].index {
			l.add("I8", "watch %s was told question %d after %d, at revision %d", l.name, s.index, t.changes[i-1].index, t.place.Revision)
		}
		if s.revision != t.place.Revision || s.epoch != t.place.Epoch || !s.decided.Equal(t.place.Time.AsTime()) {
			l.add("I8", "watch %s was told an answer of revision %d and %s at %v", l.name, s.revision, s.decided, t.place)
		}
	}
}

func comparePlaces(a, b *teishiv1.WatchPosition) int {
	return cmp.Or(cmp.Compare(a.GetEpoch(), b.GetEpoch()), cmp.Compare(a.GetRevision(), b.GetRevision()), a.GetTime().AsTime().Compare(b.GetTime().AsTime()))
}

// judge judges what a watch knows of one question at a place.
func (l *listener) judge(question int, t *told, changed bool) {
	if t.place.Epoch != l.record.epochAt(t.place.Revision) {
		return // of an epoch that was given up
	}
	now := l.model.state(l.apps[question], t.place.Revision, t.place.Time.AsTime())
	l.right(question, t, now)
	if l.certain(l.place) && l.certain(t.place) {
		l.once(t, l.states[question], now, changed)
	}
	l.states[question] = now
}

// right checks an answer against the record, and against what those are answered who ask. What is in doubt may be stricter; what
// resumes use counts already at one of the times that it may be.
func (l *listener) right(question int, t *told, now state) {
	if t.place.Uncertain {
		now.waiting = 0
	}
	s, suspended := l.said[question], l.model.suspends(now)
	denied := s.outcome == teishiv1.Outcome_OUTCOME_DENIED
	if suspended && !denied || !suspended && denied && !t.place.Uncertain {
		l.add("I8", "watch %s was told by %s that app %d is %s at %v, and by the record suspended is %t", l.name, t.server, now.app, s.outcome, t.place, suspended)
	}
	if direct, asked := l.answers[now]; asked && !t.place.Uncertain && direct != s.sum {
		l.add("I8", "watch %s was told by %s another answer about app %d at revision %d than those who asked", l.name, t.server, now.app, t.place.Revision)
	}
}

// certain reports whether what was told at a place is what the policy is there.
func (l *listener) certain(p *teishiv1.WatchPosition) bool {
	return p != nil && !p.Uncertain && p.Epoch == l.record.epochAt(p.Revision)
}

// once checks that of the answers since the place before the last is told now, and that there was no other.
func (l *listener) once(t *told, before, now state, changed bool) {
	n, from, to := l.model.answers(before, now), l.place.Revision, t.place.Revision
	switch {
	case before == now && changed:
		l.add("I8", "watch %s was told a change of app %d by %s that nothing brought, from revision %d to %d", l.name, now.app, t.server, from, to)
	case n > 0 && !changed:
		l.add("I8", "watch %s was not told by %s that app %d has changed, from revision %d to %d", l.name, t.server, now.app, from, to)
	case n > 1 && to-from <= mostReplayed:
		l.add("I8", "watch %s was told one of %d changes of app %d by %s, from revision %d to %d", l.name, n, now.app, t.server, from, to)
	}
}
