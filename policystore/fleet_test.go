package policystore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// roll is a roll in memory whose writing a test holds up. The real ones are tested by package storetest.
type roll struct {
	entries []policystore.Entry // of the record
	mu      sync.Mutex
	members map[string]policystore.Member
	batches [][]string
	enrol   func() error // before anything is written
}

func (r *roll) Enrol(_ context.Context, members []policystore.Member) error {
	if r.enrol != nil {
		if err := r.enrol(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members == nil {
		r.members = make(map[string]policystore.Member)
	}
	var batch []string
	for _, m := range members {
		m.Reported = time.Now()
		r.members[m.ID] = m
		batch = append(batch, m.ID)
	}
	slices.Sort(batch)
	r.batches = append(r.batches, batch)
	return nil
}

func (r *roll) Members(context.Context) ([]policystore.Member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []policystore.Member
	for _, m := range r.members {
		m.Silence = time.Since(m.Reported)
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b policystore.Member) int { return len(a.ID) - len(b.ID) })
	return all, nil
}

func (r *roll) Forget(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.members[id]; !ok {
		return policystore.ErrNotFound
	}
	delete(r.members, id)
	return nil
}

// record is the log of the fleet of a roll, of which entries are read.
type record struct {
	policystore.Log
	r *roll
}

func (l record) Read(_ context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	all := l.r.entries
	first := min(int(from)-1, len(all))
	return all[first:min(first+n, len(all))], nil
}

// playFleet runs the test in a bubble with a fleet of the roll.
func playFleet(t *testing.T, r *roll, test func(*testing.T, *policystore.Fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "script", Source: &script{}}}, Domain: domain})
		f := policystore.NewFleet(r, policystore.NewAuthority(policystore.AuthorityConfig{Log: record{r: r}, Replica: replica, Name: "authority-0"}))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := f.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
		defer running.Wait()
		defer cancel()
		test(t, f)
	})
}

func report(t *testing.T, f *policystore.Fleet, id string, at policystore.Position) {
	t.Helper()
	if _, err := f.Report(t.Context(), policystore.Member{ID: id, Position: at}); err != nil {
		t.Errorf("Report(%s) = %v", id, err)
	}
}

// Reports that come while others are written are written together, the newest of each replica.
func TestReportsAreWrittenTogether(t *testing.T) {
	h := history(t, 2)
	held := make(chan struct{})
	r := &roll{}
	first := true
	r.enrol = func() error {
		if first {
			first = false
			<-held
		}
		return nil
	}
	playFleet(t, r, func(t *testing.T, f *policystore.Fleet) {
		held = make(chan struct{})
		report(t, f, "a", h[0].Position())
		synctest.Wait()
		report(t, f, "a", h[1].Position())
		report(t, f, "bb", h[0].Position())
		report(t, f, "bb", h[1].Position())
		close(held)
		synctest.Wait()
		if len(r.batches) != 2 || !slices.Equal(r.batches[1], []string{"a", "bb"}) {
			t.Errorf("the roll was written as %v, want a, then a and bb together", r.batches)
		}
		members, err := f.Members(t.Context())
		if err != nil || len(members) != 2 || members[0].Position != h[1].Position() || members[1].Position != h[1].Position() || members[0].Authority != "authority-0" {
			t.Errorf("Members = %+v, %v, want both at %s", members, err, h[1].Position())
		}
	})
}

// A report that could not be written is written later, unless there is a newer one.
func TestReportsAreNotLost(t *testing.T) {
	h := history(t, 2)
	fail := 3
	r := &roll{enrol: func() error {
		if fail--; fail >= 0 {
			return errors.New("the connection broke")
		}
		return nil
	}}
	playFleet(t, r, func(t *testing.T, f *policystore.Fleet) {
		report(t, f, "a", h[0].Position())
		report(t, f, "bb", h[0].Position())
		synctest.Wait()
		report(t, f, "a", h[1].Position())
		<-time.After(time.Second)
		members, err := f.Members(t.Context())
		if err != nil || len(members) != 2 || members[0].Position != h[1].Position() || members[1].Position != h[0].Position() {
			t.Errorf("Members = %+v, %v", members, err)
		}
	})
}

// Whoever said goodbye is not brought back by a report that was yet to be written.
func TestGoodbye(t *testing.T) {
	h := history(t, 1)
	r := &roll{}
	playFleet(t, r, func(t *testing.T, f *policystore.Fleet) {
		report(t, f, "a", h[0].Position())
		synctest.Wait()
		report(t, f, "a", h[0].Position())
		if err := f.Goodbye(t.Context(), "a"); err != nil {
			t.Errorf("Goodbye = %v", err)
		}
		if err := f.Goodbye(t.Context(), "a"); err != nil {
			t.Errorf("Goodbye again = %v", err)
		}
		synctest.Wait()
		if members, err := f.Members(t.Context()); err != nil || len(members) != 0 {
			t.Errorf("Members = %+v, %v, want none", members, err)
		}
		if err := f.Forget(t.Context(), "a"); !errors.Is(err, policystore.ErrNotFound) {
			t.Errorf("Forget = %v, want ErrNotFound", err)
		}
	})
}

// Wait returns when the last member has arrived, whoever took its report, and otherwise says who has not.
func TestWaitForAll(t *testing.T) {
	h := history(t, 3)
	r := &roll{entries: h}
	playFleet(t, r, func(t *testing.T, f *policystore.Fleet) {
		report(t, f, "a", h[2].Position())
		report(t, f, "bb", h[0].Position())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		members, all, err := f.Wait(ctx, h[1].Position())
		if err != nil || all || len(members) != 2 || time.Since(began) != 3*time.Second {
			t.Errorf("Wait = %d members, %t, %v after %s, want it to end after 3s", len(members), all, err, time.Since(began))
		}
		if !members[0].Arrived(h[1].Position()) || members[1].Arrived(h[1].Position()) {
			t.Errorf("arrived are %t and %t, want the first only", members[0].Arrived(h[1].Position()), members[1].Arrived(h[1].Position()))
		}
		time.AfterFunc(time.Second, func() { // by way of another authority
			if err := r.Enrol(context.Background(), []policystore.Member{{ID: "bb", Position: h[1].Position()}}); err != nil {
				t.Error(err)
			}
		})
		began = time.Now()
		members, all, err = f.Wait(t.Context(), h[1].Position())
		if took := time.Since(began); err != nil || !all || len(members) != 2 || took < time.Second || took > 1100*time.Millisecond {
			t.Errorf("Wait = %t, %v after %s, want all soon after 1s", all, err, took)
		}
	})
}

// Whoever has applied as many entries of a history that the record has lost, or more, has not arrived; and a wait ends when the
// record was rewound meanwhile.
func TestWaitForOneHistory(t *testing.T) {
	h := history(t, 3)
	other := follower(h[0], h[1].Payload)
	other.Reason = "another history"
	other.Hash = other.Sum(domain)
	r := &roll{entries: []policystore.Entry{h[0], other}}
	playFleet(t, r, func(t *testing.T, f *policystore.Fleet) {
		report(t, f, "ahead", h[2].Position())
		report(t, f, "beside it", h[1].Position())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		members, all, err := f.Wait(ctx, other.Position())
		if all || err != nil || len(members) != 2 || members[0].Arrived(other.Position()) || members[1].Arrived(other.Position()) {
			t.Errorf("Wait = %+v, %t, %v: none of them has applied it", members, all, err)
		}
		report(t, f, "in the next epoch", policystore.Position{Epoch: 2, Revision: 3})
		synctest.Wait()
		if _, _, err := f.Wait(t.Context(), h[0].Position()); !errors.As(err, new(*policystore.EpochError)) {
			t.Errorf("Wait after a rewind = %v, want an EpochError", err)
		}
	})
}

// Order is by epoch, then revision.
func TestArrived(t *testing.T) {
	target := policystore.Position{Epoch: 2, Revision: 5}
	for _, c := range []struct {
		at   policystore.Position
		want bool
	}{
		{policystore.Position{}, false},
		{policystore.Position{Epoch: 2, Revision: 4}, false},
		{policystore.Position{Epoch: 2, Revision: 5}, true},
		{policystore.Position{Epoch: 2, Revision: 6}, true},
		{policystore.Position{Epoch: 1, Revision: 9}, false},
		{policystore.Position{Epoch: 3, Revision: 1}, true},
	} {
		m := policystore.Member{Position: c.at}
		if got := m.Arrived(target); got != c.want {
			t.Errorf("a member at %s has arrived at %s: %t, want %t", c.at, target, got, c.want)
		}
	}
}
