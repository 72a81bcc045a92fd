package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// restorable is a record that can be exchanged for another behind the backs of those who use it, as restoring a backup does.
type restorable struct {
	atomic.Pointer[policystore.Log]
}

func (r *restorable) now() policystore.Log { return *r.Load() }

func (r *restorable) become(log policystore.Log) { r.Store(&log) }

func (r *restorable) Append(ctx context.Context, after policystore.Position, e policystore.Entry) (policystore.Entry, error) {
	return r.now().Append(ctx, after, e)
}

func (r *restorable) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	return r.now().Read(ctx, from, n)
}

func (r *restorable) Request(ctx context.Context, principal, id string) (policystore.Entry, error) {
	return r.now().Request(ctx, principal, id)
}

func (r *restorable) Head(ctx context.Context) (policystore.Position, error) {
	return r.now().Head(ctx)
}

func (r *restorable) Checkpoint(ctx context.Context) (policystore.Checkpoint, error) {
	return r.now().Checkpoint(ctx)
}

// Changed looks again soon, as a store does that others write too.
func (r *restorable) Changed() <-chan struct{} {
	soon := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { close(soon) })
	return soon
}

func (r *restorable) Closed() <-chan struct{} { return nil }

func (r *restorable) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return policystore.Follow(ctx, r, Domain, "authority", p)
}

// lost is a record of nine entries, with an authority that has seen them all, that was restored to the first five.
type lost struct {
	*node
	record  *restorable
	whole   policystore.Log // still has all nine
	entries []policystore.Entry
	short   policystore.Log // has five
}

func loseEntries(t *testing.T, whole, short policystore.Log) *lost {
	t.Helper()
	l := &lost{record: &restorable{}, whole: whole, short: short}
	l.record.become(whole)
	l.node = startNode(t, l.record, l.record)
	proving, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	proven := make(chan struct{})
	go func() { l.authority.Prove(proving); close(proven) }()
	t.Cleanup(func() { stop(); <-proven })
	for i := 2; i <= 9; i++ {
		l.write(put(fmt.Sprint("r", i), fmt.Sprint("o", i)))
	}
	l.entries = readAll(t, whole)
	at := policystore.Position{}
	for _, e := range l.entries[:5] {
		if _, err := short.Append(contextOf(t), at, e); err != nil {
			t.Fatal(err)
		}
		at = e.Position()
	}
	await(t, "a proof", func() bool { h, _ := l.authority.Proof(); return h != nil })
	l.record.become(short)
	return l
}

// await waits for a condition, whatever it takes within the watchdog.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := contextOf(t)
	for !condition() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		}
	}
}

// wantStopped checks that the authority writes nothing and proves nothing any more.
func (l *lost) wantStopped() {
	l.t.Helper()
	_, err := l.authority.Write(contextOf(l.t), put("after", "after"))
	if !errors.Is(err, policystore.ErrRewound) {
		l.t.Errorf("Write to a record that was restored = %v, want ErrRewound", err)
	}
	await(l.t, "the end of proofs", func() bool { h, _ := l.authority.Proof(); return h == nil })
	if head, err := l.short.Head(contextOf(l.t)); err != nil || head != l.entries[4].Position() {
		l.t.Errorf("the record that was restored is at %s, %v, want it left at %s", head, err, l.entries[4].Position())
	}
}

// A record that was restored to an earlier point takes no writes until it is repaired, and then has lost nothing.
func testRepair(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	l.wantStopped()
	n, head, err := policystore.Repair(contextOf(t), l.short, Domain, l.whole, nil, nil)
	if err != nil || n != 4 || head != l.entries[8].Position() {
		t.Fatalf("Repair = %d, %s, %v, want 4 up to %s", n, head, err, l.entries[8].Position())
	}
	wantEntries(t, l.short, l.entries)
	await(t, "another proof", func() bool { h, _ := l.authority.Proof(); return h != nil })
	e := l.write(put("after", "after"))
	if e.Revision != 10 || e.Epoch != 1 {
		t.Errorf("after repair entry %s is written, want 10 of epoch 1", e.Position())
	}
	if n, _, err := policystore.Repair(contextOf(t), l.short, Domain, l.whole, nil, nil); n != 0 || err == nil {
		t.Errorf("Repair from a record that is behind = %d, %v, want an error", n, err)
	}
}

// An entry that is there by the time it would be brought back is passed over.
func testRepairPasses(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	n, head, err := policystore.Repair(contextOf(t), overtaken{l.short}, Domain, l.whole, nil, nil)
	if err != nil || n != 0 || head != l.entries[8].Position() {
		t.Errorf("Repair of a record where somebody else was first = %d, %s, %v, want none up to %s", n, head, err, l.entries[8].Position())
	}
	wantEntries(t, l.short, l.entries)
}

// overtaken is a log where somebody else has appended the very entry just before.
type overtaken struct{ policystore.Log }

func (o overtaken) Append(ctx context.Context, after policystore.Position, e policystore.Entry) (policystore.Entry, error) {
	if _, err := o.Log.Append(ctx, after, e); err != nil {
		return policystore.Entry{}, err
	}
	return o.Log.Append(ctx, after, e)
}

// A source that says nothing has not said that nothing is missing.
func testRepairUnheard(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	if _, _, err := policystore.Repair(contextOf(t), l.short, Domain, mute{l.whole}, nil, nil); err == nil {
		t.Error("Repair from what says nothing succeeds")
	}
}

// mute is a source that never answers.
type mute struct{ policystore.Source }

func (mute) Tail(ctx context.Context, _ policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(func(policystore.Event, error) bool) { <-ctx.Done() }
}

// After a rewind a request that the record still has is answered from its entry, and whoever follows from what was given up is told
// that there is another epoch, though nobody writes.
func testRewindRepeats(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	e, err := policystore.Rewind(contextOf(t), l.short, Domain, nil, 0, "lost")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the next epoch", func() bool {
		v, err := l.replica.View(contextOf(t), policystore.Demand{})
		return err == nil && v.Position == e.Position() && l.authority.Doubted() == nil
	})
	if got, err := l.authority.Write(contextOf(t), put("r3", "o3")); err != nil || got.Revision != 3 {
		t.Errorf("the request of entry 3 once more = %s, %v, want entry 3", got.Position(), err)
	}
	ctx, cancel := context.WithTimeout(contextOf(t), 20*time.Second)
	defer cancel()
	for event, err := range l.authority.Tail(ctx, l.entries[8].Position()) {
		if err != nil {
			if !errors.Is(err, policystore.ErrEpoch) {
				t.Errorf("Tail after what was given up = %v, want ErrEpoch", err)
			}
			return
		}
		if event.Entry != nil {
			t.Errorf("Tail after what was given up yields entry %s", event.Entry.Position())
		}
	}
	t.Error("Tail after what was given up never ended")
}

// What cannot be brought back is not, and the record stays as it is.
func testRepairRefuses(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	at := l.entries[4]
	other := follower(at.Position(), at.Time+1, "another", "another", encode(t))
	if _, err := l.short.Append(contextOf(t), at.Position(), other); err != nil {
		t.Fatal(err)
	}
	want := append(l.entries[:5:5], other)
	if _, _, err := policystore.Repair(contextOf(t), l.short, Domain, l.whole, nil, nil); !errors.Is(err, policystore.ErrDiverged) {
		t.Errorf("Repair of a record that went on differently = %v, want ErrDiverged", err)
	}
	wantEntries(t, l.short, want)
}

// Only what is signed by who is trusted is brought back.
func testRepairUnsigned(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	signer, err := policystore.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := policystore.ParseTrustedKeys(strings.NewReader(signer.Public()))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := policystore.Repair(contextOf(t), l.short, Domain, l.whole, trust, nil); !errors.Is(err, policystore.ErrSignature) {
		t.Errorf("Repair with what is not signed = %v, want ErrSignature", err)
	}
	wantEntries(t, l.short, l.entries[:5])
}

// A record that is rewound goes on in another epoch, and those who were ahead follow it there.
func testRewind(t *testing.T, whole, short func() policystore.Log) {
	l := loseEntries(t, whole(), short())
	l.wantStopped()
	e, err := policystore.Rewind(contextOf(t), l.short, Domain, nil, 6, "the disk is lost")
	if err != nil || e.Epoch != 7 || e.Revision != 6 || !strings.Contains(e.Reason, "the disk is lost") || !strings.Contains(e.Reason, l.entries[4].Hash.String()) {
		t.Fatalf("Rewind = %+v, %v, want entry 6 of epoch 7, that says why and after what", e, err)
	}
	ctx := contextOf(t)
	v, err := l.replica.View(ctx, policystore.Demand{Epoch: 7})
	for errors.Is(err, policystore.ErrNotReached) && ctx.Err() == nil {
		v, err = l.replica.View(ctx, policystore.Demand{Epoch: 7})
	}
	if err != nil || v.Position != e.Position() {
		t.Fatalf("the replica that was ahead is at %s, %v, want %s", v.Position, err, e.Position())
	}
	wantState(t, v, readAll(t, l.short))
	if _, err := l.replica.View(ctx, policystore.Demand{Epoch: 1}); !errors.Is(err, policystore.ErrEpochMismatch) {
		t.Errorf("View in the epoch that is over = %v, want ErrEpochMismatch", err)
	}
	await(t, "an authority that is not in doubt", func() bool { return l.authority.Doubted() == nil })
	if next := l.write(put("after", "after")); next.Epoch != 7 || next.Revision != 7 {
		t.Errorf("after a rewind entry %s is written, want 7 of epoch 7", next.Position())
	}
	entries := readAll(t, l.short)
	wantChain(t, entries)
	if v, err := policystore.Verify(ctx, l.short, Domain, policystore.Evidence{}, nil); err != nil || v.Problem != "" || v.Entries != 7 {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	h := policystore.NewHistory(l.short, Domain)
	if v, err := h.At(ctx, 5); err != nil || v.Position != l.entries[4].Position() {
		t.Errorf("At(5) = %s, %v, want what was before the rewind", v.Position, err)
	}
}

// What is after a rewind of a later epoch does not follow without the entry that says so.
func testEpochs(t *testing.T, open func() policystore.Log) {
	log, c := open(), chain{t: t}
	c.grow(log, 2)
	e := c.next()
	e.Epoch = 2
	e.Hash = e.Sum(Domain)
	if err := e.Follows(c.at, c.time, Domain); !errors.Is(err, policystore.ErrBroken) {
		t.Errorf("an entry of a later epoch follows: %v", err)
	}
	e.Method = "rewind"
	e.Hash = e.Sum(Domain)
	if err := e.Follows(c.at, c.time, Domain); err != nil {
		t.Errorf("a rewind does not follow: %v", err)
	}
	for _, epoch := range []int64{0, 1} {
		e.Epoch = epoch
		e.Hash = e.Sum(Domain)
		if err := e.Follows(c.at, c.time, Domain); !errors.Is(err, policystore.ErrBroken) {
			t.Errorf("a rewind to epoch %d follows: %v", epoch, err)
		}
	}
}
