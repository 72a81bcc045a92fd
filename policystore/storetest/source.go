package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// RunSource runs the suite of a source. Start makes a new empty record and a source that follows it.
func RunSource(t *testing.T, start func(t *testing.T) Followed) {
	for name, test := range map[string]func(*testing.T, Followed){
		"TailFromBirth":    testTailFromBirth,
		"TailFromPosition": testTailFromPosition,
		"TailBlocks":       testTailBlocks,
		"TailProofs":       testTailProofs,
		"TailElsewhere":    testTailElsewhere,
		"TailEnds":         testTailEnds,
		"TailConcurrent":   testTailConcurrent,
		"Replica":          testReplica,
		"ReplicaRestarts":  testReplicaRestarts,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// tail is read one event at a time.
type tail struct {
	t    *testing.T
	next func() (policystore.Event, error, bool)
	stop func()
}

func follow(t *testing.T, s policystore.Source, p policystore.Position) *tail {
	next, stop := iter.Pull2(s.Tail(contextOf(t), p))
	t.Cleanup(stop)
	return &tail{t, next, stop}
}

// event returns the next event, exactly one of whose fields is set.
func (l *tail) event() (policystore.Event, error) {
	e, err, ok := l.next()
	switch {
	case err != nil:
		return e, err
	case !ok:
		return e, errors.New("the tail ended")
	case (e.Entry == nil) == (e.Head == nil):
		return e, fmt.Errorf("an event with an entry %v and a head %v", e.Entry, e.Head)
	}
	return e, nil
}

// collect returns the next n entries, past any proofs.
func (l *tail) collect(n int) ([]policystore.Entry, error) {
	var entries []policystore.Entry
	for len(entries) < n {
		e, err := l.event()
		if err != nil {
			return entries, err
		}
		if e.Entry != nil {
			entries = append(entries, *e.Entry)
		}
	}
	return entries, nil
}

// entries is collect where nothing may fail.
func (l *tail) entries(n int) []policystore.Entry {
	l.t.Helper()
	entries, err := l.collect(n)
	if err != nil {
		l.t.Fatalf("after %d of %d entries: %v", len(entries), n, err)
	}
	return entries
}

// proof returns the next head proof; no entry may come before it.
func (l *tail) proof() policystore.HeadProof {
	l.t.Helper()
	e, err := l.event()
	if err != nil || e.Head == nil {
		l.t.Fatalf("%+v, %v, want a head proof", e, err)
	}
	return *e.Head
}

func wantSame(t *testing.T, what string, want, got []policystore.Entry) {
	t.Helper()
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testTailFromBirth(t *testing.T, f Followed) {
	c := chain{t: t}
	all := c.grow(f.Log, 5)
	l := follow(t, f.Source, policystore.Position{})
	wantSame(t, "what there was", all, l.entries(5))
	wantSame(t, "what came", c.grow(f.Log, 3), l.entries(3))
}

func testTailFromPosition(t *testing.T, f Followed) {
	c := chain{t: t}
	all := c.grow(f.Log, 700) // more than a batch of any store
	for _, at := range []int{0, 1, 350, 699} {
		l := follow(t, f.Source, all[at].Position())
		wantSame(t, "what follows", all[at+1:], l.entries(len(all)-at-1))
	}
}

// A tail at the head of an empty record waits for its first entry.
func testTailBlocks(t *testing.T, f Followed) {
	c := chain{t: t}
	l := follow(t, f.Source, policystore.Position{})
	if p := l.proof(); p.Position != (policystore.Position{}) {
		t.Errorf("the head of an empty record is proven at %s", p.Position)
	}
	for range 3 {
		wantSame(t, "what came", c.grow(f.Log, 1), l.entries(1))
	}
}

// Proofs come at once and go on when nothing happens; each is of an entry that there is, and later than the one before.
func testTailProofs(t *testing.T, f Followed) {
	c := chain{t: t}
	all := c.grow(f.Log, 3)
	l := follow(t, f.Source, all[2].Position())
	var last policystore.HeadProof
	for last.Position != all[2].Position() { // one that was taken before is given out at once
		last = l.proof()
	}
	for range 3 {
		p := l.proof()
		if p.Domain != Domain || p.Position != all[2].Position() || p.Authority == "" {
			t.Errorf("proof %+v, want one of %s", p, all[2].Position())
		}
		if !p.IssuedTime.After(last.IssuedTime) {
			t.Errorf("a proof of %s after one of %s", p.IssuedTime, last.IssuedTime)
		}
		last = p
	}
}

// A tail from where the source has no place ends at once, and says why.
func testTailElsewhere(t *testing.T, f Followed) {
	c := chain{t: t}
	all := c.grow(f.Log, 3)
	follow(t, f.Source, policystore.Position{}).entries(3) // by now the source has them
	for name, want := range map[string]struct {
		at  policystore.Position
		err error // nil: any, for who only carries the record may yet get there
	}{
		"another hash":   {policystore.Position{Epoch: 1, Revision: 2, Hash: all[0].Hash}, policystore.ErrDiverged},
		"an epoch above": {policystore.Position{Epoch: 2, Revision: 3, Hash: all[2].Hash}, policystore.ErrDiverged},
		"an epoch below": {policystore.Position{Epoch: 0, Revision: 3, Hash: all[2].Hash}, policystore.ErrEpoch},
		"past the head":  {policystore.Position{Epoch: 1, Revision: 4, Hash: all[0].Hash}, f.pastHead()},
	} {
		next, stop := iter.Pull2(f.Source.Tail(contextOf(t), want.at))
		if e, err, ok := next(); !ok || err == nil || want.err != nil && !errors.Is(err, want.err) {
			t.Errorf("%s: Tail yields %v, %v, want %v", name, e, err, want.err)
		}
		if _, _, ok := next(); ok {
			t.Errorf("%s: an error is not the last pair", name)
		}
		stop()
	}
}

// pastHead returns what a tail from past the head must say.
func (f Followed) pastHead() error {
	if _, record := f.Source.(policystore.Log); record {
		return policystore.ErrDiverged
	}
	return nil
}

// A tail ends with its context, and when nobody wants more.
func testTailEnds(t *testing.T, f Followed) {
	c := chain{t: t}
	c.grow(f.Log, 3)
	ctx, cancel := context.WithCancel(contextOf(t))
	for e, err := range f.Source.Tail(ctx, policystore.Position{}) {
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("the tail ends with %v", err)
			}
			break
		}
		if e.Entry != nil && e.Entry.Revision == 3 {
			cancel()
		}
	}
	cancel()
	for e := range f.Source.Tail(contextOf(t), policystore.Position{}) {
		if e.Entry != nil {
			break
		}
	}
}

// Whoever follows while others write sees the one history.
func testTailConcurrent(t *testing.T, f Followed) {
	const followers, entries = 4, 60
	got := make(chan []policystore.Entry, followers)
	for range followers {
		l := follow(t, f.Source, policystore.Position{})
		go func() {
			seen, err := l.collect(entries)
			if err != nil {
				t.Error(err)
			}
			got <- seen
		}()
	}
	c := chain{t: t}
	want := c.grow(f.Log, entries)
	for range followers {
		wantSame(t, "a follower's history", want, <-got)
	}
}

// A replica has what was appended before it began and what is appended later.
func testReplica(t *testing.T, f Followed) {
	n := startNode(t, f.Log, f.Source)
	for range 3 {
		n.write(put(string(rune('a'+n.view(0).Position.Revision)), "o"))
	}
	entries := readAll(t, f.Log)
	wantState(t, n.view(4), entries)
	other := startNode(t, f.Log, f.Source)
	wantState(t, other.view(4), entries)
	changed := other.replica.Changed()
	n.write(put("z", "o"))
	<-changed
	wantState(t, other.view(5), readAll(t, f.Log))
}

// A replica that begins again goes on from a checkpoint or from birth, and gets to the same state.
func testReplicaRestarts(t *testing.T, f Followed) {
	for i := range 3 {
		n := startNode(t, f.Log, f.Source)
		for j := range 4 {
			n.write(put(string(rune('a'+4*i+j)), string(rune('a'+4*i+j))))
		}
		v := n.view(policy.Revision(1 + 4*(i+1)))
		wantState(t, v, readAll(t, f.Log))
		if i == 1 {
			storeCheckpoint(t, f.Log, v)
		}
		n.stop()
	}
}
