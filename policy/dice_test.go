package policy_test

import (
	"math/rand/v2"
	"slices"

	"github.com/teishi-dev/teishi/policy"
)

// dice make every random choice, so that a seed tells them all.
type dice struct {
	*rand.Rand
	epoch policy.Instant // about which all instants lie
	span  int            // how many instants there are: few, so that boundaries collide
}

func newDice(source rand.Source) *dice {
	d := &dice{Rand: rand.New(source)}
	d.epoch = pick(d, []policy.Instant{0, 0, 1_616_112_000_000_000})
	d.span = pick(d, []int{4, 8, 16})
	return d
}

func seeded(seed uint64) *dice { return newDice(rand.NewPCG(seed, seed)) }

// script is a source whose numbers are bytes, so that a fuzzer that changes a byte changes a choice.
type script struct {
	bytes []byte
	rest  rand.Source
}

func newScript(bytes []byte) *script {
	var seed uint64 = 14695981039346656037 // FNV-1a, for the same bytes must always give the same numbers
	for _, b := range bytes {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	return &script{bytes, rand.NewPCG(seed, seed)}
}

// Uint64 repeats the byte, for some of rand's methods use the high bits and some the low ones.
func (s *script) Uint64() uint64 {
	if len(s.bytes) == 0 {
		return s.rest.Uint64()
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return uint64(b) * 0x0101010101010101
}

// one reports true once in n.
func (d *dice) one(n int) bool { return d.IntN(n) == 0 }

func (d *dice) instant() policy.Instant { return d.epoch + policy.Instant(d.IntN(d.span)-d.span/2) }

// when is an instant to ask about; some lie outside all windows.
func (d *dice) when() policy.Instant {
	return d.epoch + policy.Instant(d.IntN(d.span+4)-d.span/2-2)
}

// window is often without an end or two, and sometimes empty.
func (d *dice) window() policy.Window {
	w := policy.Always
	if d.one(4) {
		w.Start = d.instant()
	}
	if d.one(4) {
		w.End = d.instant()
	}
	return w
}

// spans cut some of time into windows that do not overlap.
func (d *dice) spans() []policy.Window {
	cuts := []policy.Instant{policy.Beginning, policy.Forever}
	for range d.IntN(4) {
		cuts = append(cuts, d.instant())
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var windows []policy.Window
	for i := range len(cuts) - 1 {
		if !d.one(4) {
			windows = append(windows, policy.Window{Start: cuts[i], End: cuts[i+1]})
		}
	}
	shuffle(d, windows)
	return windows
}

func pick[E any](d *dice, list []E) E { return list[d.IntN(len(list))] }

// some are up to n of the list, in any order; none of an empty one.
func some[E any](d *dice, n int, list []E) []E {
	c := slices.Clone(list)
	shuffle(d, c)
	return c[:min(len(c), d.IntN(n+1))]
}

// few are one to n of the list.
func few[E any](d *dice, n int, list []E) []E {
	c := slices.Clone(list)
	shuffle(d, c)
	return c[:min(len(c), 1+d.IntN(n))]
}

func shuffle[E any](d *dice, list []E) {
	d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// freshSeed differs from run to run.
func freshSeed() uint64 { return uint64(rand.Uint32()) }
