package policystore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

// choice is a replica that may follow several scripts, the first of them best.
type choice struct {
	*stage           // of the replica; its script is the first
	sources []*stage // all of them
}

// playOf runs the test in a bubble with a replica that may follow n scripts; change may alter its configuration.
func playOf(t *testing.T, n int, test func(*testing.T, *choice), change ...func(*policystore.ReplicaConfig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &choice{}
		config := policystore.ReplicaConfig{Domain: domain, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
		for i := range n {
			s := &stage{script: &script{events: make(chan step)}, t: t}
			c.sources = append(c.sources, s)
			config.Origins = append(config.Origins, policystore.Origin{Name: fmt.Sprint("source", i), Source: s.script})
		}
		for _, f := range change {
			f(&config)
		}
		replica := policystore.NewReplica(config)
		for _, s := range c.sources {
			s.replica = replica
		}
		c.stage = c.sources[0]
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := replica.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
		defer running.Wait()
		defer cancel()
		test(t, c)
	})
}

// keeps proves a position by a source every second for a while.
func (s *stage) keeps(p policystore.Position, d time.Duration) {
	for range int(d / time.Second) {
		s.prove(p)
		s.pass(time.Second)
	}
}

// followed returns which source is followed: the one that has begun a tail since it was last asked.
func (c *choice) wantSource(name string) {
	c.t.Helper()
	v, err := c.replica.View(c.t.Context(), policystore.Demand{})
	if err != nil || v.Freshness.Source != name {
		c.t.Errorf("policy comes from %q, %v, want %s", v.Freshness.Source, err, name)
	}
}

// The next source is followed when one errs, and goes on from what was applied.
func TestNextSourceAfterAnError(t *testing.T) {
	h := history(t, 3)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0], h[1])
		c.sources[0].prove(h[1].Position())
		c.sources[0].fail(errors.New("the connection broke"))
		c.sources[1].give(h[2])
		c.sources[1].prove(h[2].Position())
		c.wantSource("source1")
		if began := c.sources[1].began(); len(began) != 1 || began[0] != h[1].Position() {
			t.Errorf("the second source was followed from %v, want once from %s", began, h[1].Position())
		}
	})
}

// The next source is followed when one proves nothing for three seconds, and no sooner.
func TestNextSourceAfterSilence(t *testing.T) {
	h := history(t, 2)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		c.sources[0].prove(h[0].Position())
		c.pass(2900 * time.Millisecond)
		c.sources[0].give(h[1])
		if n := len(c.sources[1].began()); n != 0 {
			t.Errorf("the second source was followed after 2.9 s of silence")
		}
		c.pass(500 * time.Millisecond)
		if n := len(c.sources[1].began()); n != 1 {
			t.Errorf("the second source was followed %d times after 3.4 s of silence, want once: entries prove nothing", n)
		}
	})
}

// The next source is followed when one proves what it does not deliver.
func TestNextSourceWhereDeliveryStops(t *testing.T) {
	h := history(t, 3)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		c.sources[0].keeps(h[0].Position(), 3*time.Second)
		c.sources[0].prove(h[2].Position())
		c.pass(900 * time.Millisecond)
		if n := len(c.sources[1].began()); n != 0 {
			t.Errorf("the second source was followed 0.9 s after a proof of what was not delivered")
		}
		c.pass(500 * time.Millisecond)
		if n := len(c.sources[1].began()); n != 1 {
			t.Errorf("the second source was followed %d times 1.4 s after a proof of what was not delivered, want once", n)
		}
		c.sources[1].give(h[1], h[2])
		c.want2(h[2].Position(), policystore.Fresh)
	})
}

// want2 checks where the replica is, and how fresh, whatever brought it there.
func (c *choice) want2(at policystore.Position, state policystore.State) {
	c.t.Helper()
	v, err := c.replica.View(c.t.Context(), policystore.Demand{})
	if err != nil || v.Position != at || v.Freshness.State != state {
		c.t.Errorf("the view is at %s, %s, %v, want %s, %s", v.Position, v.Freshness.State, err, at, state)
	}
}

// A source that is behind and goes on delivering is not left at once, but after five seconds it is.
func TestSlowDelivery(t *testing.T) {
	h := history(t, 20)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		for i := range 4 {
			c.sources[0].prove(h[19].Position())
			c.pass(500 * time.Millisecond)
			c.sources[0].give(h[2*i+1])
			c.pass(500 * time.Millisecond)
			c.sources[0].give(h[2*i+2])
		}
		if n := len(c.sources[1].began()); n != 0 {
			t.Error("a source was left although it delivered")
		}
		c.sources[0].prove(h[19].Position())
		c.pass(900 * time.Millisecond)
		c.sources[0].give(h[9])
		c.pass(500 * time.Millisecond)
		if n := len(c.sources[1].began()); n != 1 {
			t.Errorf("the second source was followed %d times, want once: five seconds after a proof that is not reached", n)
		}
	})
}

// What does not verify poisons its source and no other: nothing of it is applied, and the next one is followed.
func TestNextSourceAfterAForgery(t *testing.T) {
	h := history(t, 3)
	forged := reworded(h[2])
	forged.PreviousHash[0]++
	forged.Hash = forged.Sum(domain)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0], h[1])
		c.sources[0].prove(h[1].Position())
		c.sources[0].give(forged)
		if err := c.replica.Err(); err != nil {
			t.Errorf("frozen though there is another source: %v", err)
		}
		c.sources[1].give(h[2])
		c.sources[1].prove(h[2].Position())
		c.wantSource("source1")
		c.want2(h[2].Position(), policystore.Fresh)
	})
}

// A replica is frozen while there is no source that it believes, and believes one again that gives what verifies.
func TestFrozenWhereNoSourceIsBelieved(t *testing.T) {
	h := history(t, 4)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		c.sources[0].give(reworded(h[0]))
		c.sources[1].give(reworded(h[0]))
		if err := c.replica.Err(); !errors.Is(err, policystore.ErrFrozen) || !errors.Is(err, policystore.ErrDiverged) {
			t.Errorf("with two forgers Err = %v, want ErrFrozen because ErrDiverged", err)
		}
		c.bring(0, h[1])
		c.bring(0, reworded(h[1]))
		c.bring(1, h[2]) // it is believed again
		if err := c.replica.Err(); err != nil {
			t.Errorf("with what verifies Err = %v", err)
		}
		c.sources[1].fail(errors.New("the connection broke"))
		c.bring(0, h[3])
		c.bring(0, reworded(h[3]))
		if err := c.replica.Err(); err != nil {
			t.Errorf("with one forger and one that was believed last Err = %v", err)
		}
	})
}

// A preferred source is taken back once it has delivered what it proves, and not for a proof alone.
func TestPreferredSourceIsTakenBack(t *testing.T) {
	h := history(t, 3)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		c.sources[0].fail(errors.New("the connection broke"))
		c.sources[1].give(h[1])
		c.sources[1].prove(h[1].Position())
		probed := len(c.sources[0].began())
		until(t, c, func() bool { c.sources[1].prove(h[1].Position()); return len(c.sources[0].began()) > probed })
		c.sources[0].prove(h[2].Position()) // which it does not deliver
		c.pass(time.Second)
		c.sources[1].prove(h[1].Position())
		c.wantSource("source1")
		if n := len(c.sources[0].began()); n != probed+1 {
			t.Errorf("the preferred source was followed for a proof of what it does not deliver")
		}
		c.sources[0].give(h[2])
		c.sources[0].prove(h[2].Position()) // and now it does
		synctest.Wait()
		c.sources[0].give(h[2])
		c.sources[0].prove(h[2].Position())
		c.wantSource("source0")
		c.want2(h[2].Position(), policystore.Fresh)
	})
}

// bring gives an entry until the replica has met it: a probe may have taken it first.
func (c *choice) bring(source int, e policystore.Entry) {
	c.t.Helper()
	before := c.replica.Err()
	until(c.t, c, func() bool {
		c.sources[source].give(e)
		v, err := c.replica.View(c.t.Context(), policystore.Demand{})
		return err == nil && (v.Position == e.Position() || e.Revision <= v.Position.Revision && v.Position.Hash != e.Hash) || c.replica.Err() != before
	})
}

// until lets seconds pass until the condition holds.
func until(t *testing.T, c *choice, condition func() bool) {
	t.Helper()
	for range 120 {
		if condition() {
			return
		}
		c.pass(time.Second)
		synctest.Wait()
	}
	t.Fatal("the condition never came")
}

// A revision that is demanded is asked of the next source after a tenth of a second.
func TestDemandedRevisionIsAskedOfTheNextSource(t *testing.T) {
	h := history(t, 3)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		c.sources[0].prove(h[0].Position())
		type answer struct {
			view policystore.View
			err  error
			took time.Duration
		}
		got := make(chan answer, 1)
		began := time.Now()
		go func() {
			v, err := c.replica.View(t.Context(), policystore.Demand{MinRevision: 2})
			got <- answer{v, err, time.Since(began)}
		}()
		c.pass(90 * time.Millisecond)
		synctest.Wait()
		if n := len(c.sources[1].began()); n != 0 {
			t.Error("the next source is asked before a tenth of a second")
		}
		c.sources[1].give(h[1])
		a := <-got
		if a.err != nil || a.view.Position != h[1].Position() || a.took != 100*time.Millisecond {
			t.Errorf("View = %s, %v after %s, want %s after 100ms", a.view.Position, a.err, a.took, h[1].Position())
		}
		c.sources[0].give(h[1], h[2]) // what the other brought already is skipped
		c.sources[0].prove(h[2].Position())
		c.want2(h[2].Position(), policystore.Fresh)
		c.wantSource("source0")
	})
}

// What another source helps out with keeps nobody from leaving the one that is followed: it is silent nevertheless, or does not
// deliver what is proven.
func TestHelpHidesNothing(t *testing.T) {
	h := history(t, 30)
	for name, prove := range map[string]bool{"silent": false, "wedged": true} {
		t.Run(name, func(t *testing.T) {
			playOf(t, 2, func(t *testing.T, c *choice) {
				c.sources[0].give(h[0])
				c.sources[0].prove(h[0].Position())
				for i := range 29 {
					got := make(chan error, 1)
					go func() {
						_, err := c.replica.View(t.Context(), policystore.Demand{MinRevision: h[i+1].Revision})
						got <- err
					}()
					c.pass(150 * time.Millisecond)
					c.sources[1].prove(h[i+1].Position())
					c.sources[1].give(h[i+1])
					if err := <-got; err != nil {
						t.Fatal(err)
					}
					if prove && i%6 == 0 && len(c.sources[0].began()) == 1 {
						c.sources[0].prove(h[i+1].Position())
					}
					c.pass(100 * time.Millisecond)
				}
				if n := len(c.sources[0].began()); n < 2 {
					t.Error("the first source is still followed: nobody has probed it")
				}
			})
		})
	}
}

// Policy that nothing proves is spent after its time: EXPIRED long before, it then permits nothing.
func TestSpent(t *testing.T) {
	h := history(t, 1)
	playOf(t, 1, func(t *testing.T, c *choice) {
		c.give(h[0])
		c.prove(h[0].Position())
		c.pass(time.Hour)
		if v, err := c.replica.View(t.Context(), policystore.Demand{}); err != nil || v.Freshness.Spent || v.Freshness.State != policystore.Expired {
			t.Errorf("after its time View = %+v, %v, want EXPIRED and not spent", v.Freshness, err)
		}
		c.pass(time.Second)
		if v, err := c.replica.View(t.Context(), policystore.Demand{}); err != nil || !v.Freshness.Spent {
			t.Errorf("past its time View = %+v, %v, want spent", v.Freshness, err)
		}
	}, func(c *policystore.ReplicaConfig) { c.ServeStaleFor = time.Hour })
}

// rewoundAfter returns another history: the first n entries of h, and then in epoch 2 what the entries from there on held.
func rewoundAfter(h []policystore.Entry, n int) []policystore.Entry {
	second := append([]policystore.Entry(nil), h[:n]...)
	for i, e := range h[n:] {
		next := follower(second[n+i-1], e.Payload)
		next.Epoch = 2
		if i == 0 {
			next.Method, next.Payload = "rewind", nil
		}
		next.Hash = next.Sum(domain)
		second = append(second, next)
	}
	return second
}

// A source whose record was rewound, and has no checkpoint, is folded again from the beginning, which takes as long as it takes:
// what is served meanwhile is no sign that it does not deliver.
func TestSlowFoldOfALaterEpoch(t *testing.T) {
	h := history(t, 45)
	second := rewoundAfter(h, 30)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.give(h...)
		c.prove(h[44].Position())
		c.fail(policystore.ErrEpoch)
		for i, e := range second {
			if i%5 == 0 {
				c.prove(second[44].Position())
			}
			c.pass(200 * time.Millisecond)
			c.give(e)
			if v, err := c.replica.View(t.Context(), policystore.Demand{}); i < 30 && (err != nil || v.Position != h[44].Position()) {
				t.Fatalf("with %d entries folded again the view is at %s, %v", i+1, v.Position, err)
			}
		}
		c.prove(second[44].Position())
		c.want2(second[44].Position(), policystore.Fresh)
		if n := len(c.sources[1].began()); n != 0 {
			t.Errorf("the second source was followed %d times, though the first delivered", n)
		}
	})
}

// What is restored is served, though nothing proves it, once its source has been silent for three seconds and not refused to go on
// from there; not one that has.
func TestRestoredWithoutProof(t *testing.T) {
	h := history(t, 3)
	c := checkpointAt(t, h)
	playFrom(t, &c, func(t *testing.T, s *stage) {
		s.pass(2 * time.Second)
		if v, err := s.replica.View(t.Context(), policystore.Demand{}); !errors.Is(err, policystore.ErrUnavailable) {
			t.Errorf("before its source was silent for long View = %s, %v", v.Position, err)
		}
		s.pass(2 * time.Second)
		v, err := s.replica.View(t.Context(), policystore.Demand{})
		want := policystore.Freshness{State: policystore.Expired, Age: policystore.Never, Source: "script", Spent: true}
		if err != nil || v.Position != h[2].Position() || v.Freshness != want {
			t.Errorf("View = %s, %+v, %v, want %s, %+v", v.Position, v.Freshness, err, h[2].Position(), want)
		}
		s.prove(h[2].Position())
		s.want(h[2].Position(), policystore.Fresh, 0)
	})
	playFrom(t, &c, func(t *testing.T, s *stage) {
		for range 5 {
			s.fail(policystore.ErrDiverged)
			s.pass(time.Second)
		}
		if v, err := s.replica.View(t.Context(), policystore.Demand{}); err == nil {
			t.Errorf("though its source is not at %s View = %+v", v.Position, v.Freshness)
		}
	})
}

// What is applied of a later epoch is not FRESH by a proof of the former one.
func TestProofOfAFormerEpoch(t *testing.T) {
	h := history(t, 6)
	second := rewoundAfter(h, 3)
	play(t, func(t *testing.T, s *stage) {
		s.give(h...)
		s.prove(h[5].Position())
		s.store(checkpointAt(t, second[:4]))
		s.fail(policystore.ErrEpoch)
		s.pass(time.Second)
		s.give(second[4]) // the head, (2, 6), is held back; nothing of epoch 2 was ever proven
		v, err := s.replica.View(t.Context(), policystore.Demand{})
		if err != nil || v.Position != second[4].Position() || v.Freshness.State != policystore.Expired {
			t.Errorf("%s is %v, %v: no proof of that epoch was ever received", v.Position, v.Freshness, err)
		}
	})
}

// A source that only repeats its last proof is silent.
func TestRepeatedProofIsSilence(t *testing.T) {
	h := history(t, 2)
	playOf(t, 2, func(t *testing.T, c *choice) {
		c.sources[0].give(h[0])
		issued := time.Now()
		for len(c.sources[1].began()) == 0 && time.Since(issued) < time.Minute {
			c.sources[0].prove(h[0].Position(), func(p *policystore.HeadProof) { p.IssuedTime = issued })
			c.pass(time.Second)
		}
		if after := time.Since(issued); after > 8*time.Second {
			t.Errorf("the second source was followed after %s", after)
		}
	})
}
