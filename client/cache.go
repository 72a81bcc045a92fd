package client

import (
	"sync"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// moment is one reading of both clocks.
type moment struct {
	mono time.Time
	wall time.Time // without monotonic reading
}

func reading() moment {
	t := time.Now()
	return moment{mono: t, wall: t.Round(0)}
}

// since returns how long ago a moment was, by the clock that says longer: the monotonic one may stand still while the machine
// sleeps, and the other may be set.
func (m moment) since(before moment) time.Duration {
	return max(0, m.mono.Sub(before.mono), m.wall.Sub(before.wall))
}

// answers keeps answers for as long as the server permits. Nil keeps none.
type answers struct {
	most int

	mu   sync.Mutex // guards what follows
	kept map[string]kept
}

// kept is an answer, and for how long it may be given.
type kept struct {
	response *teishiv1.CheckResponse
	asked    moment        // before the question was sent, so before it was decided
	span     time.Duration // from then on
}

func newAnswers(most int) *answers {
	if most <= 0 {
		return nil
	}
	return &answers{most: most, kept: make(map[string]kept)}
}

func (k kept) good(now moment) bool { return now.since(k.asked) < k.span }

// keep takes an answer that may be kept. How long is a span between two instants of the server, so its clock need not be ours.
func (a *answers) keep(q *Query, m *teishiv1.CheckResponse, asked moment) {
	if a == nil || !keepable(m) {
		return
	}
	k := kept{m, asked, m.CacheUntilTime.AsTime().Sub(m.DecisionTime.AsTime())}
	if now := reading(); k.good(now) {
		a.put(q.key(), k, now)
	}
}

// keepable reports whether an answer may be given again at all.
func keepable(m *teishiv1.CheckResponse) bool {
	return m.Freshness.GetState() == teishiv1.Freshness_STATE_FRESH && !m.Hypothetical && m.CacheUntilTime != nil && m.DecisionTime != nil
}

// put keeps an answer, unless a later one is kept.
func (a *answers) put(key string, k kept, now moment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, ok := a.kept[key]
	if ok && before.good(now) && later(before.response, k.response) {
		return
	}
	if !ok && len(a.kept) >= a.most {
		a.makeRoom(now)
	}
	a.kept[key] = k
}

// later reports whether an answer is from a later policy than another.
func later(m, other *teishiv1.CheckResponse) bool {
	return m.Epoch > other.Epoch || m.Epoch == other.Epoch && m.Revision > other.Revision
}

// makeRoom gives up what is no longer good, or else any one.
func (a *answers) makeRoom(now moment) {
	some := ""
	for key, k := range a.kept {
		if some = key; !k.good(now) {
			delete(a.kept, key)
		}
	}
	if len(a.kept) >= a.most {
		delete(a.kept, some)
	}
}

// drop gives up what is kept: something else is known.
func (a *answers) drop(key string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, key)
}

// answer returns what is kept, nil if nothing good is.
func (a *answers) answer(key string, now moment) *teishiv1.CheckResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k, ok := a.kept[key]; ok && k.good(now) {
		return k.response
	}
	return nil
}
