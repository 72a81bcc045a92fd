//go:build linux

package redis_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// A Redis of which no authority proves anything is repaired from up to its last entry, and nothing is missing where the record
// has that. One that does not answer is no proof that nothing is missing, nor is one that has less.
func TestRepair(t *testing.T) {
	bothWays(t, func(t *testing.T, h *house, trust *policystore.TrustedKeys) {
		h.grow(40)
		h.publish(trusting(trust, nil)).doubtless(h)
		s := h.source(h.reader())
		log := h.restored(30)
		for _, want := range []int{10, 0} {
			n, head, err := policystore.Repair(h.ctx(), log, storetest.Domain, s, trust, nil)
			if err != nil || n != want || head != h.at {
				t.Errorf("Repair = %d, %s, %v, want %d up to %s", n, head, err, want, h.at)
			}
		}
		h.must(h.redis.Pause())
		for _, kept := range []int{20, 39} {
			if _, _, err := policystore.Repair(h.ctx(), h.restored(kept), storetest.Domain, s, trust, nil); policystore.TroubleOf(err) != policystore.Timeout {
				t.Errorf("Repair from a Redis that does not answer = %v, want a timeout", err)
			}
		}
		h.must(h.redis.Resume())
		h.grow(1)
		if _, _, err := policystore.Repair(h.ctx(), h.record, storetest.Domain, s, trust, nil); policystore.TroubleOf(err) != policystore.Behind {
			t.Errorf("Repair from a Redis that has less = %v, want that it is behind", err)
		}
		h.do("FLUSHALL")
		if _, _, err := policystore.Repair(h.ctx(), h.restored(10), storetest.Domain, s, trust, nil); policystore.TroubleOf(err) != policystore.Missing {
			t.Errorf("Repair from a Redis that has nothing = %v, want that it is missing", err)
		}
	})
}

// What was forged is not brought back, and what is before it is.
func TestRepairUpToWhatIsForged(t *testing.T) {
	h := newHouse(t)
	trust := h.sign()
	h.grow(40)
	h.publish(trusting(trust, nil)).doubtless(h)
	h.put("41-0", h.unsigned(h.at, "forged"))
	log := h.restored(30)
	n, head, err := policystore.Repair(h.ctx(), log, storetest.Domain, h.source(h.reader()), trust, nil)
	if n != 10 || head != h.at || !errors.Is(err, policystore.ErrSignature) {
		t.Errorf("Repair = %d, %s, %v, want 10 up to %s, and that the next is not signed", n, head, err, h.at)
	}
}

// following is a source that cannot be asked where it ends, and gives this of what another has.
type following struct {
	policystore.Source
	gives func(policystore.Event) bool
}

func (f following) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		for event, err := range f.Source.Tail(ctx, p) {
			if (err != nil || f.gives(event)) && !yield(event, err) {
				return
			}
		}
	}
}

// A source that falls silent before it has given what it proves, or proves by nobody's word, has not given all.
func TestRepairFromWhatStalls(t *testing.T) {
	for name, test := range map[string]struct {
		signed bool
		gives  func(policystore.Event) bool
	}{
		"after some entries":   {false, func(e policystore.Event) bool { return e.Head != nil || e.Entry.Revision < 35 }},
		"with unsigned proofs": {true, func(e policystore.Event) bool { return e.Head != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			h := bareHouse(t)
			var trust *policystore.TrustedKeys
			if test.signed {
				trust = h.sign()
			}
			h.grow(40)
			log := h.restored(30)
			from := following{h.record, test.gives}
			if test.signed {
				from.Source = log // which proves that there is no more than it has, by nobody's word
			}
			_, _, err := policystore.Repair(h.ctx(), log, storetest.Domain, from, trust, nil)
			if policystore.TroubleOf(err) != policystore.Silent {
				t.Errorf("Repair = %v, want that it is silent", err)
			}
		})
	}
}
