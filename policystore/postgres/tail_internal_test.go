//go:build linux

package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
)

// events follows a log from a position until the test ends, and yields what comes.
func events(t *testing.T, l *Log, p policystore.Position) <-chan policystore.Event {
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Watchdog)
	come := make(chan policystore.Event)
	var following sync.WaitGroup
	following.Go(func() {
		defer close(come)
		for e, err := range l.Tail(ctx, p) {
			if err != nil && ctx.Err() == nil {
				t.Errorf("the tail ends: %v", err)
			}
			select {
			case come <- e:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); following.Wait() })
	return come
}

// settle returns when who follows has nothing to read, and waits.
func settle(t *testing.T, l *Log) {
	t.Helper()
	last := int64(-1)
	err := cluster.Wait(t.Context(), "nothing to be read", func(context.Context) error {
		before := last
		if last = l.following.Stat().AcquireCount(); last != before {
			return fmt.Errorf("%d times so far", last)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Who follows looks once a second anyhow, after a proof. What it learns in another way comes before the proof.
func TestLearntBeforeTheProof(t *testing.T) {
	const seldom = time.Hour
	for name, c := range map[string]struct {
		every   time.Duration
		own     bool // it is appended by the same log
		wake    bool
		without bool // nothing tells, and so the proof comes first
	}{
		"by waking":           {every: seldom, wake: true},
		"by an own append":    {every: seldom, own: true},
		"by polling":          {every: pollEvery},
		"not, if nobody says": {every: seldom, without: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			writer, database := born(t)
			l := writer
			if !c.own {
				l = opened(t, Server.DSN(database))
			}
			l.every = c.every
			head, _ := writer.next(t)
			come := events(t, l, head)
			<-come         // the first proof
			for range 10 { // for a proof may be due just then
				settle(t, l)
				writer.mustAppend(t)
				if c.wake {
					l.Wake()
				}
				if first := <-come; (first.Entry == nil) == c.without {
					return
				}
				<-come // what came second
			}
			t.Errorf("the entry never comes first: %t, want %t", !c.without, c.without)
		})
	}
}

// The head is polled by one goroutine while somebody follows, however many they are, and by none when nobody does.
func TestPolledWhileFollowed(t *testing.T) {
	l, _ := born(t)
	polls := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.stopPolling != nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	var begun sync.WaitGroup
	for range 3 {
		begun.Add(1)
		following.Go(func() {
			first := true
			for range l.Tail(ctx, policystore.Position{}) {
				if first {
					begun.Done()
				}
				first = false
			}
		})
	}
	begun.Wait()
	if !polls() || l.followers != 3 {
		t.Errorf("with 3 followers, %d are counted, polled: %t", l.followers, polls())
	}
	cancel()
	following.Wait()
	if polls() || l.followers != 0 {
		t.Fatalf("with no followers, %d are counted, polled: %t", l.followers, polls())
	}
	l.polling.Wait()
}
