package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
)

// tale is what a watch has told so far, and how it ended.
type tale struct {
	told []string
	err  error
	over bool
}

// listens runs a watch for a while, and returns what it has told by then.
func listens(t *testing.T, c client.Client, span time.Duration, queries ...client.Query) tale {
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	var all tale
	for change, err := range c.Watch(ctx, queries...) {
		if err != nil {
			all.err = err
			break
		}
		all.told = append(all.told, fmt.Sprintf("%d %s", change.Index, word(change.Decision)))
	}
	all.over = ctx.Err() == nil
	return all
}

// word is short for a decision.
func word(d client.Decision) string {
	switch {
	case d.Overridden():
		return "yes, undecided"
	case d.Allowed():
		return "yes"
	}
	return map[client.Outcome]string{client.Denied: "no", client.Undecided: "undecided", client.Indeterminate: "perhaps"}[d.Outcome()]
}

// TestWatchScripts plays what servers may say, and how they may end.
func TestWatchScripts(t *testing.T) {
	begin := []*teishiv1.WatchDecisionsResponse{changes(nil, true, yes()), changes(nil, false, nil, no()), synced(at(1))}
	ending := func(err error, more ...*teishiv1.WatchDecisionsResponse) func(*teishiv1.WatchDecisionsRequest, stream) error {
		return plays(err, slices.Concat(begin, more)...)
	}
	unavailable := trouble(codes.Unavailable, "DRAINING", 0)
	for name, c := range map[string]struct {
		watches []func(*teishiv1.WatchDecisionsRequest, stream) error
		want    []string
		resumes []int64    // the revision that each stream began after; 0: anew
		end     codes.Code // of a final error; OK: none
	}{
		"begins": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(nil)},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0},
		},
		"changes": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(nil, changes(at(2), false, no()), changes(at(3), false, yes(), yes()))},
			want:    []string{"0 yes", "1 no", "0 no", "0 yes", "1 yes"}, resumes: []int64{0},
		},
		"goes on": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable, changes(at(2), false, no())), plays(nil, synced(at(3)), changes(at(4), false, nil, yes()))},
			want:    []string{"0 yes", "1 no", "0 no", "1 yes"}, resumes: []int64{0, 2},
		},
		"half a change is none": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable, changes(nil, true, no())), plays(nil, changes(nil, true, no()), changes(at(2), false, nil, yes()), synced(at(2)))},
			want:    []string{"0 yes", "1 no", "0 no", "1 yes"}, resumes: []int64{0, 1},
		},
		"half a beginning is told again": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{plays(unavailable, changes(nil, true, yes())), ending(nil)},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 0},
		},
		"a place comes with a beat": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable, beat(at(9), fresh(0))), plays(nil, synced(at(9)))},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 9},
		},
		"ends without an error": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{
				func(_ *teishiv1.WatchDecisionsRequest, s stream) error {
					return errors.Join(s.Send(begin[0]), s.Send(begin[1]), s.Send(begin[2]))
				},
				plays(nil, synced(at(1)))},
			want: []string{"0 yes", "1 no"}, resumes: []int64{0, 1},
		},
		"compacted": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable), plays(trouble(codes.OutOfRange, "COMPACTED", 0)), plays(nil, changes(nil, false, yes(), yes()), synced(at(9)))},
			want:    []string{"0 yes", "1 no", "1 yes"}, resumes: []int64{0, 1, 0},
		},
		"another epoch": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable), plays(trouble(codes.FailedPrecondition, "EPOCH_MISMATCH", 0)), ending(nil)},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 1, 0},
		},
		"lagged": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(trouble(codes.Unavailable, "LAGGED", 0)), plays(nil, synced(at(1)))},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 1},
		},
		"not reached": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable), plays(trouble(codes.Unavailable, "REVISION_NOT_REACHED", 0))},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 1, 1, 1, 1, 1, 1, 0},
		},
		"restarted": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(unavailable, restarted(), changes(nil, false, yes(), yes())), ending(nil)},
			want:    []string{"0 yes", "1 no", "1 yes", "1 no"}, resumes: []int64{0, 0},
		},
		"foreign": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(nil, changes(at(2), false, nil, nil, yes())), ending(nil)},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 0},
		},
		"too many": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(nil, changes(nil, true, no(), yes()), changes(at(2), false, no())), ending(nil)},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0, 0},
		},
		"wrong": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{plays(trouble(codes.InvalidArgument, "INVALID_FIELD", 0))},
			resumes: []int64{0}, end: codes.InvalidArgument,
		},
		"wrong later": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{ending(trouble(codes.PermissionDenied, "", 0))},
			want:    []string{"0 yes", "1 no"}, resumes: []int64{0}, end: codes.PermissionDenied,
		},
		"nothing to go back from": {
			watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{plays(trouble(codes.FailedPrecondition, "RECORD_REWOUND", 0))},
			resumes: []int64{0}, end: codes.FailedPrecondition,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &actor{watches: c.watches}
				r, end := a.perform(t, client.Config{})
				defer end()
				got := listens(t, r, 14*time.Second, city, mic)
				if !slices.Equal(got.told, c.want) || got.over != (c.end != codes.OK) {
					t.Errorf("told %q, %v, want %q", got.told, got.err, c.want)
				}
				if e, _ := errors.AsType[*client.UndecidedError](got.err); c.end != codes.OK && (e == nil || e.Code != c.end) {
					t.Errorf("it ended as %v, want %s", got.err, c.end)
				}
				for i, want := range c.resumes {
					if n := a.streams(); i >= n || a.request(i).GetResume().GetRevision() != want {
						t.Fatalf("stream %d of %d began after %v, want %d", i, n, a.request(min(i, n-1)).GetResume(), want)
					}
				}
			})
		})
	}
}

// TestWatchRequest asks for what is watched, and goes on from exactly the place that was told.
func TestWatchRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := at(3)
		place.Uncertain = true
		a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{
			plays(trouble(codes.Unavailable, "DRAINING", 0), changes(nil, false, yes(), no()), synced(place)), plays(nil)}}
		c, end := a.perform(t, client.Config{})
		defer end()
		first, second := mic, city
		first.Language, second.Language = "ja", "ja"
		listens(t, c, 10*time.Second, first, second)
		want := text(t, &teishiv1.WatchDecisionsRequest{}, `selectors { organizations: "mic" apps: "line" purposes: "feedback.opinion" attributes { key: "data-sensitivity" value: "secret" } }
			selectors { organizations: "city" apps: "line" } heartbeat_interval { seconds: 2 } language: "ja"`)
		if got := a.request(0); !proto.Equal(got, want) {
			t.Errorf("it asked %v, want %v", got, want)
		}
		want.Resume = place
		if got := a.request(1); !proto.Equal(got, want) {
			t.Errorf("it went on with %v, want %v", got, want)
		}
	})
}

// TestWatchWaits as long as the server says, and longer each time where it does not.
func TestWatchWaits(t *testing.T) {
	for name, c := range map[string]struct {
		retry       time.Duration
		least, most time.Duration // between streams
	}{"told": {4 * time.Second, 4 * time.Second, 8 * time.Second}, "not told": {0, 40 * time.Millisecond, 8 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{plays(trouble(codes.Unavailable, "DRAINING", c.retry))}}
				r, end := a.perform(t, client.Config{})
				defer end()
				listens(t, r, 50*time.Second, city)
				for i, asked := range a.askedAt[1:] {
					if gap := asked.Sub(a.askedAt[i]); gap < c.least || gap > c.most {
						t.Errorf("stream %d came after %s, want %s to %s", i+1, gap, c.least, c.most)
					}
				}
				if n := a.streams(); n < 6 || n > 25 {
					t.Errorf("%d streams in 50 s", n)
				}
			})
		})
	}
}

// TestWatchSilence opens another stream where one says nothing.
func TestWatchSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{
			plays(nil, changes(nil, false, yes()), synced(at(1))), plays(nil, synced(at(1)), changes(at(2), false, no()))}}
		c, end := a.perform(t, client.Config{})
		defer end()
		if got := listens(t, c, 20*time.Second, city); !slices.Equal(got.told, []string{"0 yes", "0 no"}) || a.request(1).Resume.GetRevision() != 1 {
			t.Errorf("told %q by %d streams", got.told, a.streams())
		}
	})
}

// TestWatchLost takes back what was ALLOWED when no server has said anything for a minute, once, and tells it again.
func TestWatchLost(t *testing.T) {
	for name, c := range map[string]struct {
		fallback client.Fallback
		want     []string
	}{
		"refuse": {client.Refuse, []string{"0 yes", "1 no", "0 undecided", "0 yes"}},
		"allow":  {client.Allow, []string{"0 yes", "1 no", "0 yes, undecided", "0 yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				back := func(r *teishiv1.WatchDecisionsRequest, s stream) error {
					if time.Since(began) < 150*time.Second {
						return plays(nil)(r, s)
					}
					return plays(nil, changes(nil, false, yes(), no()), synced(at(1)))(r, s)
				}
				a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{plays(nil, changes(nil, false, yes(), no()), synced(at(1))), back}}
				r, end := a.perform(t, client.Config{})
				defer end()
				first := city
				first.IfUndecided = c.fallback
				got := listens(t, r, 200*time.Second, first, mic)
				if !slices.Equal(got.told, c.want) {
					t.Errorf("told %q, want %q", got.told, c.want)
				}
				lost := slices.IndexFunc(a.askedAt, func(at time.Time) bool { return at.Sub(began) >= time.Minute })
				if a.request(1).Resume == nil || a.request(lost).Resume != nil {
					t.Errorf("the second stream began after %v, that after the loss after %v", a.request(1).Resume, a.request(lost).Resume)
				}
				want := client.Stats{Undecided: 1, Resumed: r.Stats().Resumed}
				if c.fallback == client.Allow {
					want.Overridden = 1
				}
				if r.Stats() != want {
					t.Errorf("stats = %+v, want %+v", r.Stats(), want)
				}
			})
		})
	}
}

// TestWatchEnds when the loop is left, when its context ends, and when the client is closed.
func TestWatchEnds(t *testing.T) {
	ended := make(chan struct{}, 3)
	script := func(r *teishiv1.WatchDecisionsRequest, s stream) error {
		defer func() { ended <- struct{}{} }()
		return plays(nil, changes(nil, false, yes(), no()), synced(at(1)))(r, s)
	}
	synctest.Test(t, func(t *testing.T) {
		ended = make(chan struct{}, 3)
		a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{script}}
		c, end := a.perform(t, client.Config{})
		defer end()
		for range c.Watch(t.Context(), city, mic) {
			break
		}
		<-ended
		if got := listens(t, c, time.Second, city, mic); got.err != nil || len(got.told) != 2 {
			t.Errorf("a watch whose context ends told %q, %v", got.told, got.err)
		}
		<-ended
		time.AfterFunc(time.Second, func() { _ = c.Close() })
		got := listens(t, c, time.Minute, city, mic)
		if e, ok := errors.AsType[*client.UndecidedError](got.err); !ok || e.Code != codes.Canceled {
			t.Errorf("a watch of a closed client ended as %v", got.err)
		}
	})
}

// TestWatchRefuses what cannot be watched, here and there.
func TestWatchRefuses(t *testing.T) {
	h := open(t)
	h.settle()
	newer, japanese := city, city
	newer.MinRevision, japanese.Language = 1, "ja"
	both(t, h, func(t *testing.T, c client.Client) {
		for name, queries := range map[string][]client.Query{
			"nothing": {}, "too much": slices.Repeat([]client.Query{city}, 1001), "no app": {{Organization: "mic"}}, "a revision": {newer}, "two languages": {city, japanese},
		} {
			got := listens(t, c, time.Minute, queries...)
			if e, ok := errors.AsType[*client.UndecidedError](got.err); !ok || e.Code != codes.InvalidArgument || len(got.told) != 0 {
				t.Errorf("a watch of %s told %q, %v", name, got.told, got.err)
			}
		}
	})
}

// TestWatchSlowListener loses nothing by being slow himself, even where that ends the stream.
func TestWatchSlowListener(t *testing.T) {
	for name, end := range map[string]error{"open": nil, "ended": trouble(codes.Unavailable, "LAGGED", 0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{
					plays(end, changes(nil, false, yes()), synced(at(1)), beat(at(1), fresh(0))), plays(nil, synced(at(1)), changes(at(2), false, no()))}}
				c, stop := a.perform(t, client.Config{})
				defer stop()
				ctx, cancel := context.WithTimeout(t.Context(), 140*time.Second)
				defer cancel()
				var told []string
				for change, err := range c.Watch(ctx, city) {
					if told = append(told, word(change.Decision)); err != nil {
						t.Fatal(err)
					}
					if len(told) == 1 {
						time.Sleep(90 * time.Second)
					}
				}
				if want := []string{"yes", "no"}; !slices.Equal(told, want) {
					t.Errorf("told %q, want %q", told, want)
				}
			})
		})
	}
}

// TestWatchEndsWhileItWaits for a server: it does not wait that long to say that the client is closed.
func TestWatchEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &actor{watches: []func(*teishiv1.WatchDecisionsRequest, stream) error{plays(trouble(codes.Unavailable, "DRAINING", time.Hour))}}
		c, end := a.perform(t, client.Config{})
		defer end()
		began := time.Now()
		time.AfterFunc(time.Second, func() { _ = c.Close() })
		if got := listens(t, c, time.Minute, city); got.err == nil || time.Since(began) > 2*time.Second {
			t.Errorf("a watch of a closed client ended as %v after %s", got.err, time.Since(began))
		}
	})
}
