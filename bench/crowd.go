//go:build linux

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
)

// crowdCommand makes this program many readers of one Redis: sources as decision points have them, each with a connection of
// its own, that read and decode entries and fold nothing.
const crowdCommand = "crowd"

// crowdWrites is how many entries they are given.
const crowdWrites = 250

// crowd is readers who follow the same record from the same place, up to so many entries later.
type crowd struct {
	out     io.Writer
	from    policystore.Position
	alive   sync.WaitGroup // until each has got anything
	reading sync.WaitGroup // until each has got all

	mu   sync.Mutex
	last []int64 // by the wall clock, in nanoseconds, when the last reader had each entry
}

// followAll has as many readers as the arguments say follow a Redis until ctx ends. It prints a line when all of them do, and
// another when all have got all entries: when the last of them had each.
func followAll(ctx context.Context, args []string, stdout io.Writer) error {
	url, readers, from, err := parseCrowd(args)
	if err != nil {
		return err
	}
	c := &crowd{out: stdout, from: from, last: make([]int64, crowdWrites)}
	c.alive.Add(readers)
	c.reading.Add(readers)
	g, ctx := errgroup.WithContext(ctx)
	for range readers {
		source, err := redis.NewSource(redis.Config{URL: url})
		if err != nil {
			return err
		}
		g.Go(func() error { return c.follow(ctx, source) })
	}
	go c.report(strings.TrimPrefix(url, "redis://")) // ends with the process, perhaps before it has anything to say
	return g.Wait()
}

func parseCrowd(args []string) (url string, readers int, from policystore.Position, err error) {
	if len(args) != 4 {
		return "", 0, from, fmt.Errorf("%d arguments, want the URL, how many readers, and the revision and hash to read from", len(args))
	}
	readers, err = strconv.Atoi(args[1])
	revision, err2 := strconv.ParseInt(args[2], 10, 64)
	hash, err3 := hex.DecodeString(args[3])
	if copy(from.Hash[:], hash) != len(hash) {
		err3 = fmt.Errorf("a hash of %d bytes", len(hash))
	}
	from.Epoch, from.Revision = 1, policy.Revision(revision) // the record is new, so it was never rewound
	return args[0], readers, from, errors.Join(err, err2, err3)
}

// follow is one reader.
func (c *crowd) follow(ctx context.Context, source *redis.Source) error {
	lives, left := false, len(c.last)
	for event, err := range source.Tail(ctx, c.from) {
		if err != nil {
			return err
		}
		if !lives {
			lives = true
			c.alive.Done()
		}
		if event.Entry == nil || left == 0 {
			continue
		}
		c.had(int(event.Entry.Revision - c.from.Revision - 1))
		if left--; left == 0 {
			c.reading.Done()
		}
	}
	return nil
}

func (c *crowd) had(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[i] = time.Now().UnixNano()
}

func (c *crowd) report(address string) {
	c.alive.Wait()
	fmt.Fprintln(c.out, "following Redis on", address)
	c.reading.Wait()
	_ = json.NewEncoder(c.out).Encode(c.last) // who started us misses it
}

// crowded is what it took to give a stream of entries to readers.
type crowded struct {
	readers int
	elapsed time.Duration
	redis   time.Duration   // CPU
	process time.Duration   // CPU of all readers
	lags    []time.Duration // from the acknowledgement of each until the last reader had it, sorted
}

// crowds measures one reader, then many.
func (b *benchmark) crowds(ctx context.Context, s *site, fresh *apps) error {
	one, err := b.crowd(ctx, s, 1, fresh.take(crowdWrites))
	if err != nil {
		return err
	}
	many, err := b.crowd(ctx, s, b.readers, fresh.take(crowdWrites))
	if err != nil {
		return err
	}
	b.printCrowds(one, many)
	return nil
}

// crowd has readers follow while apps from the first on are suspended.
func (b *benchmark) crowd(ctx context.Context, s *site, readers, first int) (c crowded, err error) {
	resp, err := teishiv1.NewLogServiceClient(s.authority.Conn()).GetHead(ctx, &teishiv1.GetHeadRequest{})
	if err != nil {
		return c, err
	}
	p, err := start(ctx, b.self, crowdCommand, s.redis.URL(""), strconv.Itoa(readers), strconv.FormatInt(resp.Head.Revision, 10), hex.EncodeToString(resp.Head.Hash))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	before, err := usage(s, p)
	if err != nil {
		return c, err
	}
	began, called := time.Now(), make([]int64, crowdWrites)
	if err := paced(ctx, crowdWrites, func(i int) error {
		called[i] = time.Now().UnixNano()
		return s.suspend(ctx, first+i)
	}); err != nil {
		return c, err
	}
	var last []int64
	if err := json.NewDecoder(p.stdout).Decode(&last); err != nil {
		return c, fmt.Errorf("learn when %d readers had what was written: %w", readers, err)
	}
	after, err := usage(s, p)
	if err != nil {
		return c, err
	}
	for i, at := range last {
		c.lags = append(c.lags, time.Duration(at-called[i]))
	}
	slices.Sort(c.lags)
	c.readers, c.elapsed, c.redis, c.process = readers, time.Since(began), after[0]-before[0], after[1]-before[1]
	return c, nil
}

// usage returns the CPU that Redis has used, and that a process has.
func usage(s *site, p *process) (used [2]time.Duration, err error) {
	u, err := s.redis.Usage()
	if err != nil {
		return used, err
	}
	used[0] = u.CPU
	used[1], err = p.cpu()
	return used, err
}

// printCrowds prints what many readers take beside what one does.
func (b *benchmark) printCrowds(one, many crowded) {
	const columns = "%-60s %11s %11s %8s\n"
	fmt.Fprintf(b.out, columns, fmt.Sprintf("readers of one Redis, %d writes at %.0f/s", crowdWrites, 1/writeEvery.Seconds()),
		"1", strconv.Itoa(many.readers), "ratio")
	line := func(what string, format func(float64) string, of func(crowded) float64) {
		a, c := of(one), of(many)
		fmt.Fprintf(b.out, columns, "  "+what, format(a), format(c), fmt.Sprintf("%.2f", c/a))
	}
	line("CPU of Redis, of one processor", share, func(c crowded) float64 { return c.redis.Seconds() / c.elapsed.Seconds() })
	line("CPU of Redis for each entry a reader is given", microseconds, func(c crowded) float64 { return float64(c.redis) / c.given() })
	line("CPU of a reader, of one processor", share, func(c crowded) float64 { return c.process.Seconds() / c.elapsed.Seconds() / float64(c.readers) })
	line("CPU of a reader for each entry", microseconds, func(c crowded) float64 { return float64(c.process) / c.given() })
	line("from the call of a write until the last reader has it: p50", microseconds, func(c crowded) float64 { return float64(quantile(c.lags, 0.50)) })
	line("p99", microseconds, func(c crowded) float64 { return float64(quantile(c.lags, 0.99)) })
	fmt.Fprintln(b.out)
}

func (c crowded) given() float64 { return float64(c.readers * crowdWrites) }
