package client

import (
	"sync"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
)

// known is what a watch knows, for questions that are asked meanwhile.
type known struct {
	index map[string]int // of questions, by key; never changed

	mu       sync.Mutex // guards what follows
	answers  []told
	heard    moment // when the last message began to be waited for
	synced   bool   // the stream has answered all questions
	changing bool   // a change is half told
	certain  bool   // the answers are those of the policy, rather than stricter
	state    teishiv1.Freshness_State
	age      time.Duration // of the policy, at asOf
	asOf     moment
}

// told is an answer, and when it began to be waited for.
type told struct {
	response *teishiv1.CheckResponse
	since    moment
}

func (k *known) begin(keys []string) {
	k.index, k.answers, k.heard = make(map[string]int), make([]told, len(keys)), reading()
	for i, key := range keys {
		k.index[key] = i
	}
}

// untilLost returns for how long nothing may be heard yet, before what was told counts no longer.
func (k *known) untilLost() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(0, policystore.ExpireAfter-reading().since(k.heard))
}

// hear notes that a message came.
func (k *known) hear(now moment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard = now
}

// desync notes that there may be changes of which nothing was heard.
func (k *known) desync() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.synced, k.changing = false, false
}

// change notes that some answers are no longer right; which, is known once the change is whole.
func (k *known) change() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changing = true
}

// learn takes a whole change.
func (k *known) learn(changes []*teishiv1.DecisionChange, h heard) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		k.answers[c.Index] = told{c.Response, h.since}
	}
	k.changing = false
	k.place(h)
}

// beat takes how fresh the policy is, and that all questions are answered.
func (k *known) beat(h heard, f *teishiv1.Freshness, synced bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.synced = k.synced || synced
	k.state, k.age, k.asOf = f.GetState(), f.GetAge().AsDuration(), h.since
	k.place(h)
}

func (k *known) place(h heard) {
	if p := h.message.Position; p != nil {
		k.certain = !p.Uncertain
	}
}

// fresh reports whether a change would be known by now.
func (k *known) fresh(now moment) bool {
	return k.synced && !k.changing && k.certain && k.state == teishiv1.Freshness_STATE_FRESH &&
		k.age+now.since(k.asOf) <= policystore.FreshFor
}

// answer returns the answer to a question, nil unless it is surely still right.
func (k *known) answer(key string, now moment) *teishiv1.CheckResponse {
	i, ok := k.index[key]
	if !ok {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.answers[i]; k.fresh(now) && a.valid(now) {
		return a.response
	}
	return nil
}

// valid reports whether the answer holds by what it says itself, whichever of the clocks is ahead.
func (a told) valid(now moment) bool {
	if a.response == nil || !keepable(a.response) {
		return false
	}
	until := a.response.ValidUntilTime
	if until == nil {
		return true
	}
	span := until.AsTime().Sub(a.response.DecisionTime.AsTime())
	return now.since(a.since) < span && now.wall.Before(until.AsTime())
}

// watches are those that are open.
type watches struct {
	mu   sync.RWMutex // guards what follows
	open map[*watch]struct{}
}

func (ws *watches) add(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.open == nil {
		ws.open = make(map[*watch]struct{})
	}
	ws.open[w] = struct{}{}
}

func (ws *watches) remove(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.open, w)
}

// answer returns what a watch knows, nil if none does.
func (ws *watches) answer(key string, now moment) *teishiv1.CheckResponse {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	for w := range ws.open {
		if m := w.known.answer(key, now); m != nil {
			return m
		}
	}
	return nil
}
