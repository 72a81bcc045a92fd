package client_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
)

// questions asks, and fails unless that many questions have come to the actor by then.
func (a *actor) questions(t *testing.T, c client.Checker, q client.Query, want int64) client.Decision {
	t.Helper()
	d, err := c.Check(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.checks.Load(); got != want {
		t.Errorf("%d questions were asked, want %d", got, want)
	}
	return d
}

func answering(answer func() *teishiv1.CheckResponse) *actor {
	return &actor{check: func(context.Context, int, *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
		return answer(), nil
	}}
}

// TestNothingIsKept unless it is asked for.
func TestNothingIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(yes)
		c, end := a.perform(t, client.Config{})
		defer end()
		a.questions(t, c, city, 1)
		a.questions(t, c, city, 2)
	})
}

// TestKept keeps an answer for as long as the server says and no longer, although the server's clock is another.
func TestKept(t *testing.T) {
	for name, off := range map[string]time.Duration{"same clock": 0, "ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := answering(func() *teishiv1.CheckResponse {
					m := yes()
					m.DecisionTime = timestamppb.New(time.Now().Add(off))
					m.CacheUntilTime = timestamppb.New(time.Now().Add(off + 5*time.Second))
					return m
				})
				c, end := a.perform(t, client.Config{Cache: 10})
				defer end()
				a.questions(t, c, city, 1)
				time.Sleep(5*time.Second - time.Millisecond)
				if d := a.questions(t, c, city, 1); !d.Allowed() || c.Stats().Cached != 1 {
					t.Errorf("the answer kept is %v; stats %+v", d, c.Stats())
				}
				time.Sleep(time.Millisecond)
				a.questions(t, c, city, 2)
			})
		})
	}
}

// TestNotKept keeps nothing that is not FRESH, is hypothetical, or has no time until which it may be kept.
func TestNotKept(t *testing.T) {
	for name, spoil := range map[string]func(*teishiv1.CheckResponse){
		"stale":        func(m *teishiv1.CheckResponse) { m.Freshness.State = teishiv1.Freshness_STATE_STALE },
		"expired":      func(m *teishiv1.CheckResponse) { m.Freshness.State = teishiv1.Freshness_STATE_EXPIRED },
		"unknown":      func(m *teishiv1.CheckResponse) { m.Freshness = nil },
		"hypothetical": func(m *teishiv1.CheckResponse) { m.Hypothetical = true },
		"no time":      func(m *teishiv1.CheckResponse) { m.CacheUntilTime = nil },
		"no span":      func(m *teishiv1.CheckResponse) { m.CacheUntilTime = m.DecisionTime },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := answering(func() *teishiv1.CheckResponse {
					m := yes()
					spoil(m)
					return m
				})
				c, end := a.perform(t, client.Config{Cache: 10})
				defer end()
				a.questions(t, c, city, 1)
				a.questions(t, c, city, 2)
			})
		})
	}
}

// TestKeptByTheWholeQuestion never gives the answer to another question, nor one that was demanded to be newer.
func TestKeptByTheWholeQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(yes)
		c, end := a.perform(t, client.Config{Cache: 100})
		defer end()
		whole := client.Query{Organization: "o", App: "a", Purpose: "p", Language: "en", Attributes: map[string]string{"n": "v"}}
		a.questions(t, c, whole, 1)
		asked := int64(1)
		for name, change := range map[string]func(*client.Query){
			"organization": func(q *client.Query) { q.Organization = "o2" },
			"app":          func(q *client.Query) { q.App = "a2" },
			"purpose":      func(q *client.Query) { q.Purpose = "" },
			"language":     func(q *client.Query) { q.Language = "ja" },
			"value":        func(q *client.Query) { q.Attributes["n"] = "w" },
			"name":         func(q *client.Query) { q.Attributes = map[string]string{"m": "v"} },
			"one more":     func(q *client.Query) { q.Attributes["m"] = "v" },
			"none":         func(q *client.Query) { q.Attributes = nil },
			"border":       func(q *client.Query) { q.Purpose, q.Language = "pe", "n" },
			"revision":     func(q *client.Query) { q.MinRevision = 1 },
			"epoch":        func(q *client.Query) { q.Epoch = 1 },
			"staleness":    func(q *client.Query) { q.MaxStaleness = time.Minute },
		} {
			q := whole
			q.Attributes = maps.Clone(whole.Attributes)
			change(&q)
			asked++
			if a.questions(t, c, q, asked); t.Failed() {
				t.Fatalf("another %s was answered from what was kept", name)
			}
		}
		a.questions(t, c, whole, asked)
	})
}

// TestKeepsNoMore than it may.
func TestKeepsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(yes)
		c, end := a.perform(t, client.Config{Cache: 1})
		defer end()
		a.questions(t, c, city, 1)
		a.questions(t, c, mic, 2)
		a.questions(t, c, mic, 2)
		a.questions(t, c, city, 3)
	})
}

// watching runs a watch of the question until the test ends, and waits until it is synced.
func watching(t *testing.T, c client.Client, queries ...client.Query) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range c.Watch(ctx, queries...) {
		}
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-done
	}
}

// TestKeptByAWatch answers from an open watch for as long as it is fresh, which is longer than the server permits without one.
func TestKeptByAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(no)
		a.watches = append(a.watches, func(_ *teishiv1.WatchDecisionsRequest, s stream) error {
			_ = s.Send(changes(nil, false, yes()))
			_ = s.Send(synced(at(1)))
			for range 10 {
				time.Sleep(2 * time.Second)
				_ = s.Send(beat(at(1), fresh(500*time.Millisecond)))
			}
			<-s.Context().Done()
			return nil
		})
		c, end := a.perform(t, client.Config{Cache: 10})
		defer end()
		defer watching(t, c, city)()
		time.Sleep(19 * time.Second)
		if d := a.questions(t, c, city, 0); !d.Allowed() {
			t.Errorf("the watch knows %v", d)
		}
		a.questions(t, c, mic, 1)           // which is not watched
		time.Sleep(3600 * time.Millisecond) // the last beat began to be waited for at 18 s, and said 0.5 s: too old at 22.5 s
		if d := a.questions(t, c, city, 2); d.Allowed() {
			t.Errorf("the watch is not fresh, and %v was answered from it", d)
		}
	})
}

// TestNotKeptByAWatch that is not sure.
func TestNotKeptByAWatch(t *testing.T) {
	uncertain := at(1)
	uncertain.Uncertain = true
	soon := func() *teishiv1.CheckResponse {
		m := yes()
		m.ValidUntilTime = timestamppb.New(time.Now().Add(time.Second))
		return m
	}
	stale := &teishiv1.Freshness{State: teishiv1.Freshness_STATE_STALE}
	for name, messages := range map[string]func() []*teishiv1.WatchDecisionsResponse{
		"not synced": func() []*teishiv1.WatchDecisionsResponse {
			return []*teishiv1.WatchDecisionsResponse{changes(nil, false, yes())}
		},
		"half a change": func() []*teishiv1.WatchDecisionsResponse {
			return []*teishiv1.WatchDecisionsResponse{changes(nil, false, yes(), yes()), synced(at(1)), changes(nil, true, nil, no())}
		},
		"uncertain": func() []*teishiv1.WatchDecisionsResponse {
			return []*teishiv1.WatchDecisionsResponse{changes(nil, false, yes()), synced(uncertain)}
		},
		"over": func() []*teishiv1.WatchDecisionsResponse {
			return []*teishiv1.WatchDecisionsResponse{changes(nil, false, soon()), synced(at(1))}
		},
		"stale": func() []*teishiv1.WatchDecisionsResponse {
			return []*teishiv1.WatchDecisionsResponse{changes(nil, false, yes()), synced(at(1)), beat(at(1), stale)}
		},
		"restarted": func() []*teishiv1.WatchDecisionsResponse {
			return []*teishiv1.WatchDecisionsResponse{changes(nil, false, yes()), synced(at(1)), restarted()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := answering(no)
				a.watches = append(a.watches, func(r *teishiv1.WatchDecisionsRequest, s stream) error { return plays(nil, messages()...)(r, s) })
				c, end := a.perform(t, client.Config{Cache: 10})
				defer end()
				defer watching(t, c, city, mic)()
				time.Sleep(time.Second)
				if d := a.questions(t, c, city, 1); d.Allowed() {
					t.Errorf("%v was answered from a watch that is not sure", d)
				}
			})
		})
	}
}

// TestWatchDropsWhatIsKept has no use for an answer that a watch has told to be another, even when the watch is not sure any longer.
func TestWatchDropsWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(yes)
		a.watches = append(a.watches, plays(nil, changes(nil, false, no()), synced(at(1)), restarted()))
		c, end := a.perform(t, client.Config{Cache: 10})
		defer end()
		a.questions(t, c, city, 1)
		defer watching(t, c, city)()
		a.questions(t, c, city, 2)
	})
}
