package policystore_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const domain = "teishi"

// history returns n entries of a record: the first registers organization o1, and so on.
func history(t *testing.T, n int) []policystore.Entry {
	t.Helper()
	entries := make([]policystore.Entry, n)
	last := policystore.Entry{Epoch: 1}
	for i := range entries {
		id := fmt.Sprint("o", i+1)
		payload, err := policystore.EncodeChanges([]policy.Change{{Put: &policy.Organization{ID: id}}})
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = follower(last, payload)
		last = entries[i]
	}
	return entries
}

// follower returns an entry after e, with its hash.
func follower(e policystore.Entry, payload []byte) policystore.Entry {
	next := policystore.Entry{
		Epoch:        e.Epoch,
		Revision:     e.Revision + 1,
		Time:         e.Time + 1,
		Principal:    "local",
		Method:       "method",
		RequestID:    fmt.Sprint("r", e.Revision+1),
		Reason:       "a test",
		Payload:      payload,
		PreviousHash: e.Hash,
	}
	next.Hash = next.Sum(domain)
	return next
}

// script is a source that yields what a test tells it to.
type script struct {
	events chan step
	mu     sync.Mutex
	stored *policystore.Checkpoint
	tails  []policystore.Position // where tails began
}

// step is what a tail yields next. After an error the next tail goes on with the steps.
type step struct {
	event policystore.Event
	proof func() *policystore.HeadProof // made when a tail is there to yield it
	err   error
}

func (s *script) Checkpoint(context.Context) (policystore.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored == nil {
		return policystore.Checkpoint{}, policystore.ErrNotFound
	}
	return *s.stored, nil
}

func (s *script) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	s.mu.Lock()
	s.tails = append(s.tails, p)
	s.mu.Unlock()
	return func(yield func(policystore.Event, error) bool) {
		for {
			select {
			case next := <-s.events:
				if next.proof != nil {
					next.event.Head = next.proof()
				}
				if !yield(next.event, next.err) || next.err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// began returns where tails began.
func (s *script) began() []policystore.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tails
}

func (s *script) store(c policystore.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = &c
}

// stage is a replica that follows a script, in a bubble of synctest.
type stage struct {
	*script
	t       *testing.T
	replica *policystore.Replica
}

// play runs the test in a bubble with a replica that follows a script.
func play(t *testing.T, test func(*testing.T, *stage)) {
	t.Helper()
	playFrom(t, nil, test)
}

// playFrom is play with a checkpoint stored.
func playFrom(t *testing.T, c *policystore.Checkpoint, test func(*testing.T, *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{script: &script{events: make(chan step), stored: c}, t: t}
		s.replica = policystore.NewReplica(policystore.ReplicaConfig{
			Origins: []policystore.Origin{{Name: "script", Source: s.script}}, Domain: domain, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := s.replica.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
		defer running.Wait()
		defer cancel()
		test(t, s)
	})
}

// give yields entries.
func (s *stage) give(entries ...policystore.Entry) {
	for i := range entries {
		s.events <- step{event: policystore.Event{Entry: &entries[i]}}
	}
	synctest.Wait()
}

// fail ends the tail with an error.
func (s *stage) fail(err error) {
	s.events <- step{err: err}
	synctest.Wait()
}

// prove yields a head proof, issued now unless it says otherwise.
func (s *stage) prove(p policystore.Position, change ...func(*policystore.HeadProof)) {
	s.events <- step{proof: func() *policystore.HeadProof {
		h := &policystore.HeadProof{Domain: domain, Position: p, Authority: "a", IssuedTime: time.Now()}
		for _, c := range change {
			c(h)
		}
		return h
	}}
	synctest.Wait()
}

// want checks where the replica is, and how fresh: its age to a tenth of a second, for a tail that was interrupted begins
// again after a moment.
func (s *stage) want(at policystore.Position, state policystore.State, age time.Duration) {
	s.t.Helper()
	v, err := s.replica.View(s.t.Context(), policystore.Demand{})
	if err != nil {
		s.t.Errorf("View = %v", err)
		return
	}
	if v.Position != at || v.Revision() != at.Revision {
		s.t.Errorf("the view is at %s, want %s", v.Position, at)
	}
	want := policystore.Freshness{State: state, Age: age.Truncate(coarse), Source: "script", Spent: age > 24*time.Hour}
	v.Freshness.Age = v.Freshness.Age.Truncate(coarse)
	if v.Freshness != want {
		s.t.Errorf("the view is %v, want %v", v.Freshness, want)
	}
}

const coarse = 100 * time.Millisecond

// checkpointAt returns a checkpoint of what the entries fold into.
func checkpointAt(t *testing.T, entries []policystore.Entry) policystore.Checkpoint {
	t.Helper()
	s := policy.New()
	for _, e := range entries {
		changes, err := e.Changes()
		if err == nil {
			s, err = s.Apply(e.Revision, changes)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	last := entries[len(entries)-1]
	c, err := policystore.NewCheckpoint(domain, policystore.View{Snapshot: s, Position: last.Position(), Time: last.Time})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wait lets a pause between tails pass.
func (s *stage) wait() {
	tails := len(s.began())
	for len(s.began()) == tails && s.replica.Err() == nil {
		s.pass(100 * time.Millisecond)
		synctest.Wait()
	}
}

// age returns the age of what is in force.
func (s *stage) age() time.Duration {
	v, err := s.replica.View(s.t.Context(), policystore.Demand{})
	if err != nil {
		s.t.Fatal(err)
	}
	return v.Freshness.Age
}

// pass lets time pass, which in a bubble takes none.
func (s *stage) pass(d time.Duration) { <-time.After(d) }
