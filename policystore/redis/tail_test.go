//go:build linux

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// cursor is a tail that is read one event at a time.
type cursor struct {
	h    *house
	next func() (policystore.Event, error, bool)
	stop func() // returns when it has ended
}

func (h *house) tail(s policystore.Source, p policystore.Position) *cursor {
	h.t.Helper()
	next, stop := iter.Pull2(s.Tail(h.ctx(), p))
	h.t.Cleanup(stop)
	return &cursor{h, next, stop}
}

// live is a tail whose receiver always waits.
func (h *house) live(s policystore.Source, p policystore.Position) *cursor {
	h.t.Helper()
	type pair struct {
		event policystore.Event
		err   error
	}
	pairs := make(chan pair, 1000)
	ctx, cancel := context.WithCancel(h.ctx())
	var running sync.WaitGroup
	stop := func() { cancel(); running.Wait() }
	h.t.Cleanup(stop)
	running.Go(func() {
		defer close(pairs)
		for event, err := range s.Tail(ctx, p) {
			pairs <- pair{event, err}
		}
	})
	return &cursor{h, func() (policystore.Event, error, bool) {
		p, ok := <-pairs
		return p.event, p.err, ok
	}, stop}
}

// entry returns the next entry, past any proofs.
func (c *cursor) entry() (policystore.Entry, error) {
	for {
		event, err, ok := c.next()
		switch {
		case err != nil:
			return policystore.Entry{}, err
		case !ok:
			return policystore.Entry{}, errors.New("the tail ended")
		case event.Entry != nil:
			return *event.Entry, nil
		}
	}
}

// wantEntries checks that these entries come next.
func (c *cursor) wantEntries(want []policystore.Entry) {
	c.h.t.Helper()
	for i := range want {
		e, err := c.entry()
		if err != nil || e.Position() != want[i].Position() {
			c.h.t.Fatalf("the tail yields %s, %v, want %s", e.Position(), err, want[i].Position())
		}
	}
}

// ends returns the error that the tail ends with, before any entry.
func (c *cursor) ends() error {
	c.h.t.Helper()
	e, err := c.entry()
	if err == nil {
		c.h.t.Fatalf("the tail yields %s, want an error", e.Position())
	}
	if _, _, ok := c.next(); ok {
		c.h.t.Error("an error is not the last pair")
	}
	return err
}

// wantEnd checks what the tail ends with: is may be nil.
func (c *cursor) wantEnd(sort policystore.Trouble, is error) {
	c.h.t.Helper()
	err := c.ends()
	if policystore.TroubleOf(err) != sort || is != nil && !errors.Is(err, is) {
		c.h.t.Errorf("the tail ends with %v, of sort %s, want %v of sort %s", err, policystore.TroubleOf(err), is, sort)
	}
}

// do runs a command as who may do everything. LOG, HB and META stand for the keys.
func (h *house) do(args ...any) {
	h.t.Helper()
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = strings.NewReplacer("META", metaKey, "LOG", logKey, "HB", hbKey, "CKPT", ckptKey).Replace(text)
		}
	}
	if err := h.admin.Do(h.ctx(), args...).Err(); err != nil {
		h.t.Fatalf("%v: %v", args[:2], err)
	}
}

// full returns a house whose record of n entries is in Redis, and nobody publishes any longer.
func full(t *testing.T, n int) (*house, []policystore.Entry) {
	h := newHouse(t)
	all := h.grow(n)
	p := h.publish(nil)
	h.waitPublished()
	p.stop()
	return h, all
}

func TestTailNothingThere(t *testing.T) {
	h := newHouse(t)
	s := h.source(h.reader())
	h.tail(s, policystore.Position{}).wantEnd(policystore.Missing, nil)
	h.tail(s, policystore.Position{Epoch: 1, Revision: 3}).wantEnd(policystore.Missing, nil)
	if _, err := s.Checkpoint(h.ctx()); policystore.TroubleOf(err) != policystore.Missing || errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Checkpoint of nothing = %v, want trouble of sort missing, and not that there is none", err)
	}
	h.do("HSET", "META", "epoch", "1", "checkpoint", "none")
	h.tail(s, policystore.Position{}).wantEnd(policystore.Missing, nil)
	if _, err := s.Checkpoint(h.ctx()); policystore.TroubleOf(err) != policystore.Missing || errors.Is(err, policystore.ErrNotFound) {
		t.Errorf("Checkpoint without a log = %v, want trouble of sort missing, and not that there is none", err)
	}
}

// What lies around the place a tail begins at decides how it ends.
func TestTailPlaces(t *testing.T) {
	const n = 6
	for name, test := range map[string]struct {
		change func(h *house)
		at     func(h *house) policystore.Position
		sort   policystore.Trouble
		is     error
	}{
		"ahead":             {nil, last(func(p *policystore.Position) { p.Revision += 2 }), policystore.Behind, nil},
		"another hash":      {nil, last(func(p *policystore.Position) { p.Hash[0]++ }), policystore.Foreign, policystore.ErrDiverged},
		"a higher epoch":    {nil, last(func(p *policystore.Position) { p.Epoch++ }), policystore.Foreign, policystore.ErrDiverged},
		"a lower epoch":     {nil, last(func(p *policystore.Position) { p.Epoch-- }), policystore.Foreign, policystore.ErrEpoch},
		"ahead, epoch":      {nil, last(func(p *policystore.Position) { p.Epoch--; p.Revision++ }), policystore.Foreign, policystore.ErrEpoch},
		"trimmed":           {func(h *house) { h.do("XTRIM", "LOG", "MAXLEN", "2") }, first, policystore.Missing, policystore.ErrCompacted},
		"birth is trimmed":  {func(h *house) { h.do("XTRIM", "LOG", "MAXLEN", "5") }, birth, policystore.Missing, policystore.ErrCompacted},
		"a hole":            {func(h *house) { h.do("XDEL", "LOG", "1-0", "2-0") }, first, policystore.Missing, policystore.ErrCompacted},
		"no log":            {func(h *house) { h.do("DEL", "LOG") }, first, policystore.Missing, nil},
		"no meta":           {func(h *house) { h.do("DEL", "META") }, first, policystore.Missing, nil},
		"an emptied log":    {func(h *house) { h.do("XTRIM", "LOG", "MAXLEN", "0") }, first, policystore.Missing, nil},
		"a log of no entry": {func(h *house) { h.do("DEL", "LOG"); h.do("XADD", "LOG", "1-0", "a", "b") }, first, policystore.Unknown, policystore.ErrFormat},
		"no stream":         {func(h *house) { h.do("DEL", "LOG"); h.do("SET", "LOG", "b") }, first, policystore.Damaged, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := full(t, n)
			if test.change != nil {
				test.change(h)
			}
			h.tail(h.source(h.reader()), test.at(h)).wantEnd(test.sort, test.is)
		})
	}
}

func first(h *house) policystore.Position {
	e := h.entryAt(1)
	return e.Position()
}

func birth(*house) policystore.Position { return policystore.Position{} }

// last returns the position of the last entry, changed.
func last(change func(*policystore.Position)) func(*house) policystore.Position {
	return func(h *house) policystore.Position {
		p := h.at
		change(&p)
		return p
	}
}

// entryAt returns an entry of the record.
func (h *house) entryAt(r policy.Revision) policystore.Entry {
	h.t.Helper()
	all, err := h.record.Read(h.ctx(), r, 1)
	if err != nil || len(all) != 1 {
		h.t.Fatalf("Read(%d) = %v, %v", r, all, err)
	}
	return all[0]
}

// A stream that begins right after a place leads on from it, if its first entry says so.
func TestTailBeforeTheFirst(t *testing.T) {
	h, all := full(t, 5)
	h.do("XTRIM", "LOG", "MAXLEN", "2")
	s := h.source(h.reader())
	h.tail(s, all[2].Position()).wantEntries(all[3:])
	other := all[2].Position()
	other.Hash[0]++
	h.tail(s, other).wantEnd(policystore.Foreign, policystore.ErrDiverged)
}

// What is not the next entry, or none, ends a tail.
func TestTailDamaged(t *testing.T) {
	for name, test := range map[string]struct {
		change func(h *house, next policystore.Entry)
		sort   policystore.Trouble
		is     error
	}{
		"a jump": {func(h *house, next policystore.Entry) { h.put("8-0", next) }, policystore.Missing, policystore.ErrCompacted},
		"at another revision": {func(h *house, next policystore.Entry) {
			next.Revision++
			h.put("6-0", next)
		}, policystore.Damaged, policystore.ErrBroken},
		"a second at one": {func(h *house, next policystore.Entry) { h.put("5-1", next) }, policystore.Damaged, policystore.ErrBroken},
		"no entry":        {func(h *house, _ policystore.Entry) { h.do("XADD", "LOG", "6-0", "entry", "x") }, policystore.Unknown, policystore.ErrFormat},
		"no fields":       {func(h *house, _ policystore.Entry) { h.do("XADD", "LOG", "6-0", "a", "b") }, policystore.Unknown, policystore.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			h, all := full(t, 5)
			c := h.tail(h.source(h.reader()), all[3].Position())
			c.wantEntries(all[4:])
			test.change(h, h.entry(h.at, "next"))
			c.wantEnd(test.sort, test.is)
		})
	}
}

// put puts an entry into Redis, past every publisher.
func (h *house) put(id string, e policystore.Entry) {
	h.t.Helper()
	b, err := policystore.EncodeEntry(&e)
	if err != nil {
		h.t.Fatal(err)
	}
	h.do("XADD", "LOG", id, "hash", e.Hash.String(), "entry", b)
}

// An entry that does not chain is for the receiver to refuse, unless the stream became another meanwhile.
func TestTailOfAnotherHistory(t *testing.T) {
	h, all := full(t, 5)
	s := h.source(h.reader())
	c := h.tail(s, all[3].Position())
	c.wantEntries(all[4:])
	forged := h.entry(policystore.Position{Epoch: 1, Revision: 5, Hash: policystore.Hash{9}}, "forged")
	h.put("6-0", forged)
	c.wantEntries([]policystore.Entry{forged})

	c = h.tail(s, all[3].Position())
	c.wantEntries(all[4:])
	h.do("FLUSHALL")
	h.do("HSET", "META", "epoch", "2", "seed", "another", "checkpoint", "none")
	other := h.entry(policystore.Position{Epoch: 2, Revision: 4, Hash: policystore.Hash{7}}, "other")
	h.put("5-0", other)
	h.put("6-0", h.entry(other.Position(), "next"))
	c.wantEnd(policystore.Foreign, policystore.ErrEpoch)
}

// Whoever is blocked while everything is deleted notices, though a read neither wakes nor fails.
func TestTailFlushed(t *testing.T) {
	for name, lose := range map[string]func(h *house){
		"flushed":              func(h *house) { h.do("FLUSHALL") },
		"log deleted":          func(h *house) { h.do("DEL", "LOG") },
		"flushed, with proofs": func(h *house) { h.do("FLUSHALL"); h.beat(20) },
	} {
		t.Run(name, func(t *testing.T) {
			h, all := full(t, 5)
			s := h.source(h.reader())
			c := h.live(s, all[3].Position())
			c.wantEntries(all[4:])
			h.wait("a blocked reader", h.blocked(1))
			lose(h)
			c.wantEnd(policystore.Missing, nil)

			h.publish(nil)
			h.waitPublished()
			c = h.tail(s, h.at)
			c.wantEntries(h.grow(3))
		})
	}
}

// beat puts n head proofs into Redis, at once.
func (h *house) beat(n int) []policystore.HeadProof {
	h.t.Helper()
	var proofs []policystore.HeadProof
	for i := range n {
		p := policystore.HeadProof{Domain: storetest.Domain, Position: h.at, Authority: fmt.Sprint("authority-", i), IssuedTime: time.Now()}
		b, err := policystore.EncodeHead(&p)
		if err != nil {
			h.t.Fatal(err)
		}
		h.do("XADD", "HB", "*", "proof", b)
		proofs = append(proofs, p)
	}
	return proofs
}

// blocked reports as an error that not so many clients are blocked.
func (h *house) blocked(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		all, err := h.admin.ClientList(ctx).Result()
		if got := strings.Count(all, " flags=b "); err != nil || got != n {
			return errors.Join(err, fmt.Errorf("%d clients are blocked, want %d", got, n))
		}
		return nil
	}
}

// A stream made anew that still has the place is followed on.
func TestTailOfAStreamMadeAnew(t *testing.T) {
	h, all := full(t, 5)
	c := h.live(h.source(h.reader()), all[3].Position())
	c.wantEntries(all[4:])
	p := h.newPress(nil)
	if _, err := p.Reseed(h.ctx(), false); err != nil {
		t.Fatalf("Reseed = %v", err)
	}
	looks := h.calls(h.ctx(), "xlen") // which only readers look with
	h.wait("two looks at the stream", func(ctx context.Context) error {
		if n := h.calls(ctx, "xlen"); n < looks+2 {
			return fmt.Errorf("%d looks, were %d", n, looks)
		}
		return nil
	})
	p.run(t)
	c.wantEntries(h.grow(3))
}

// calls returns how often a command was called.
func (h *house) calls(ctx context.Context, command string) (n int) {
	for line := range strings.Lines(h.admin.Info(ctx, "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			_, _ = fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

// Only proofs that are new prove anything; what is no proof is skipped and counted.
func TestTailProofs(t *testing.T) {
	h, all := full(t, 3)
	h.beat(3) // old by the time that anybody follows
	var damaged atomic.Int64
	reader := h.reader()
	reader.Damaged = func() { damaged.Add(1) }
	s := h.source(reader)
	began := time.Now()
	c := h.live(s, all[1].Position())
	c.wantEntries(all[2:])
	h.wait("a blocked reader", h.blocked(1))
	before := time.Now()
	want := h.beat(1)[0]
	event, err, _ := c.next()
	if err != nil || event.Head == nil {
		t.Fatalf("the tail yields %+v, %v, want a proof", event, err)
	}
	if event.Head.Position != want.Position || event.Head.Authority != want.Authority || !event.Head.IssuedTime.Equal(want.IssuedTime.Truncate(time.Microsecond)) {
		t.Errorf("the tail yields %+v, want %+v", event.Head, want)
	}
	if r := event.Head.Received; r.Before(began) || !r.Before(before) {
		t.Errorf("the proof was received at %s, want before it was there, %s, and after %s", r, before, began)
	}
	h.do("XADD", "HB", "*", "proof", "x")
	h.do("XADD", "HB", "*", "a", "b")
	h.beat(1)
	if event, err, _ := c.next(); err != nil || event.Head == nil {
		t.Errorf("after what is no proof the tail yields %+v, %v, want a proof", event, err)
	}
	if n := damaged.Load(); n != 2 {
		t.Errorf("%d proofs were damaged, want 2", n)
	}
}

// However long the receiver takes, a proof that was there meanwhile is no newer than the read before.
func TestTailProofsOfASlowReceiver(t *testing.T) {
	h, all := full(t, 3)
	c := h.tail(h.source(h.reader()), all[1].Position())
	c.wantEntries(all[2:])
	held := time.Now() // the receiver has the entry, and asks for nothing
	h.beat(100)
	for i := range 100 {
		event, err, _ := c.next()
		if err != nil || event.Head == nil {
			t.Fatalf("the tail yields %+v, %v, want a proof", event, err)
		}
		if event.Head.Received.After(held) {
			t.Fatalf("proof %d was received %s after the receiver had asked last", i, event.Head.Received.Sub(held))
		}
	}
}

// An administrator who unblocks a reader, or a change of role that does, loses nothing.
func TestTailUnblocked(t *testing.T) {
	h, all := full(t, 3)
	s := h.source(h.reader())
	c := h.live(s, all[1].Position())
	c.wantEntries(all[2:])
	h.wait("a blocked reader", h.blocked(1))
	for _, line := range strings.Split(h.admin.ClientList(h.ctx()).Val(), "\n") {
		if strings.Contains(line, "name=teishi-reader") {
			var id int64
			if _, err := fmt.Sscanf(line, "id=%d", &id); err != nil {
				t.Fatal(err)
			}
			if n, err := h.admin.ClientUnblockWithError(h.ctx(), id).Result(); err != nil || n != 1 {
				t.Fatalf("CLIENT UNBLOCK %d = %d, %v", id, n, err)
			}
		}
	}
	c.wantEnd(policystore.ReadOnly, nil)
	h.publish(nil)
	c = h.tail(s, h.at)
	c.wantEntries(h.grow(2))
}

// A tail ends with its context at once, not when a read has blocked long enough.
func TestTailEndsAtOnce(t *testing.T) {
	h, all := full(t, 3)
	ctx, cancel := context.WithCancel(h.ctx())
	ended := make(chan error)
	go func() {
		var last error
		for _, err := range h.source(h.reader()).Tail(ctx, all[2].Position()) {
			last = err
		}
		ended <- last
	}()
	h.wait("a blocked reader", h.blocked(1))
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("a tail whose context ends yields %v", err)
	}
	h.wait("no reader", h.blocked(0))
}

// Nobody who only reads may change anything, or see another domain.
func TestReaderMayOnlyRead(t *testing.T) {
	h, _ := full(t, 3)
	c := h.client(redis.Reader)
	for _, args := range [][]any{
		{"XADD", logKey, "*", "a", "b"}, {"DEL", logKey}, {"SET", metaKey, "a"}, {"FLUSHALL"}, {"EVAL", "return 1", "0"}, {"XTRIM", logKey, "MAXLEN", "0"},
		{"XREAD", "STREAMS", "{teishi:other}:log", "0"}, {"KEYS", "*"}, {"CONFIG", "GET", "*"}, {"ACL", "LIST"}, {"INFO"},
	} {
		if err := c.Do(t.Context(), args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v = %v, want NOPERM", args, err)
		}
	}
	w := h.client(redis.Writer)
	for _, args := range [][]any{
		{"XADD", "{teishi:other}:log", "*", "a", "b"}, {"FLUSHALL"}, {"KEYS", "*"}, {"CONFIG", "SET", "save", ""},
		{"SUBSCRIBE", "a"}, {"SCRIPT", "FLUSH"}, {"CLIENT", "LIST"},
	} {
		if err := w.Do(t.Context(), args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v = %v, want NOPERM", args, err)
		}
	}
	const foreign = "return redis.call('SET', '{teishi:other}:log', 'a')"
	if err := goredis.NewScript(foreign).Run(t.Context(), w, []string{logKey}).Err(); redis.SortOf(err) != policystore.Unauthorized {
		t.Errorf("a script that writes elsewhere = %v, want unauthorized", err)
	}
}
