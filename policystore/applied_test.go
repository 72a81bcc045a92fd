package policystore_test

import (
	"testing"
	"testing/synctest"

	"github.com/teishi-dev/teishi/policystore"
)

// Whoever asks for what is applied is told each of it in order, however late he takes it, and what was restored instead.
func TestApplied(t *testing.T) {
	h := history(t, 6)
	play(t, func(t *testing.T, s *stage) {
		s.give(h[0])
		var got []policystore.Applied
		slow := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for a := range s.replica.Applied(t.Context()) {
				if got = append(got, a); len(got) == 1 {
					<-slow
				}
				if a.Position == h[5].Position() {
					return
				}
			}
		}()
		synctest.Wait()
		s.give(h[1])
		s.prove(h[1].Position())
		s.give(h[2], h[3])
		s.store(checkpointAt(t, h[:5]))
		s.fail(policystore.ErrCompacted)
		s.give(h[5])
		close(slow)
		<-done
		for i, a := range got {
			switch want := h[i]; {
			case i < 4 && (a.Position != want.Position() || a.Previous.Hash != want.PreviousHash || len(a.Changes) == 0 || a.Revision() != want.Revision):
				t.Errorf("%d: %s after %s with %d changes, want %s", i, a.Position, a.Previous, len(a.Changes), want.Position())
			case i == 4 && (a.Position != h[5].Position() || a.Previous != h[4].Position()):
				t.Errorf("what follows the checkpoint is %s after %s", a.Position, a.Previous)
			}
		}
		if len(got) != 5 {
			t.Errorf("%d states were served, want 5: what is at the checkpoint is served with what follows it", len(got))
		}
	})
}
