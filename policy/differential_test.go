package policy_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/teishi-dev/teishi/policy"
)

var (
	seedFlag        = flag.Uint64("seed", 0, "the `seed` of the one random world to compare in; 0: as many as it takes, from a fresh one on")
	comparisonsFlag = flag.Int("comparisons", 200_000, "`how many` answers of the engine and the reference to compare")
)

// TestDifferential compares the engine with the reference evaluator: complete answers, in random worlds, as they were
// written and as they change. A failing world is repeated by -run TestDifferential -seed N.
func TestDifferential(t *testing.T) {
	if *seedFlag != 0 {
		count := compareIn(t, *seedFlag)
		t.Log(count)
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // the heap is small, and the garbage of a million answers large
	const workers = 2
	goal := *comparisonsFlag
	if testing.Short() {
		goal = min(goal, 20_000)
	}
	base := freshSeed()
	t.Logf("worlds from seed %d on", base)
	counts := make([]count, workers)
	t.Run("worlds", func(t *testing.T) {
		for i := range workers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for seed := base + uint64(i); counts[i].compared < goal/workers+1 && !t.Failed(); seed += workers {
					counts[i].add(compareIn(t, seed))
				}
			})
		}
	})
	total := count{}
	for _, c := range counts {
		total.add(c)
	}
	t.Log(total)
	fmt.Fprintf(os.Stdout, "differential test, seeds from %d on: %v\n", base, total)
	if missing := total.missing(); len(missing) > 0 && goal >= 500_000 && !t.Failed() {
		t.Errorf("no answer was compared with %v: the worlds are too dull", missing)
	}
}

// count says what was compared, so that a test that compares only dull answers is seen.
type count struct {
	compared, worlds int
	seen             map[string]int
}

func (c *count) add(other count) {
	c.compared += other.compared
	c.worlds += other.worlds
	for k, n := range other.seen {
		c.see(k, n)
	}
}

func (c *count) see(what string, n int) {
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[what] += n
}

// interesting are the marks that answers must bear, some of them, in a run of any length.
var interesting = []string{"over 32 that bite", "over 32 undecided", "over 32 released", "undecided and blocked", "undecided and not blocked", "obligations", "advice", "missing", "permitted purposes", "alternatives", "unrecognized", "valid until", "upcoming"}

func (c *count) answer(a answer) {
	c.compared++
	c.see(a.Reason.String(), 1)
	many := a.CitationsTotal > policy.MaxCitations
	for i, marked := range []bool{many && a.Outcome == policy.Denied, many && a.Outcome == policy.Indeterminate, many && a.Outcome == policy.Allowed, a.Device == policy.DeviceBlock && a.Outcome == policy.Indeterminate,
		a.Device == policy.DeviceAllow && a.Outcome == policy.Indeterminate, len(a.Obligations) > 0, len(a.Advice) > 0, len(a.Missing) > 0, len(a.Permitted) > 0,
		len(a.Alternatives) > 0, len(a.Unrecognized) > 0, a.ValidUntil != policy.Forever, len(a.Upcoming) > 0} {
		if marked {
			c.see(interesting[i], 1)
		}
	}
}

func (c count) missing() []string {
	var missing []string
	for r := policy.UnknownOrganization; r <= policy.NoDirective; r++ {
		if c.seen[r.String()] == 0 && r != policy.ClockUncertain {
			missing = append(missing, r.String())
		}
	}
	return append(missing, slices.DeleteFunc(slices.Clone(interesting), func(mark string) bool { return c.seen[mark] > 0 })...)
}

func (c count) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d complete answers compared in %d worlds;", c.compared, c.worlds)
	for _, k := range slices.SortedFunc(maps.Keys(c.seen), func(a, b string) int { return cmp.Compare(c.seen[b], c.seen[a]) }) {
		fmt.Fprintf(&b, " %s %d", k, c.seen[k])
	}
	return b.String()
}

// compareIn compares in one world, which its seed tells, and in what becomes of it.
func compareIn(t *testing.T, seed uint64) count {
	t.Helper()
	name := fmt.Sprintf("seed %d", seed)
	if odd, ok := map[uint64]shape{0: wide, 25: broad, 50: pointed, 75: exempting, 100: suspended, 125: undecided, 150: released, 175: released}[seed%200]; ok {
		return compareWorld(t, seeded(seed), name, odd, 60, 3)
	}
	return compareWorld(t, seeded(seed), name, ordinary, 120, 5)
}

func compareWorld(t testing.TB, d *dice, name string, s shape, queries, events int) count {
	t.Helper()
	g := generate(d, s)
	r := g.fold(t)
	c := count{worlds: 1}
	c.compare(t, name, d, r, queries)
	r.checkIdentifiers(t)
	for range events {
		before := r
		g.event()
		r = r.then(t, d, g.world)
		c.compare(t, name, d, r, queries/4)
		c.compare(t, name+", former snapshot", d, before, queries/16)
	}
	r.checkState(t)
	loaded := r.load(t)
	loaded.checkState(t)
	c.compare(t, name+", loaded", d, loaded, queries/16)
	return c
}

// fold writes the world in one of the ways in which a record comes to be.
func (g *generator) fold(t testing.TB) record {
	t.Helper()
	switch g.IntN(3) {
	case 0:
		return fold(t, g.dice, g.world)
	case 1:
		return fold(t, g.dice, g.world).load(t)
	}
	return foldPiecemeal(t, g.dice, g.world)
}

// compare asks both evaluators n random questions.
func (c *count) compare(t testing.TB, name string, d *dice, r record, n int) {
	t.Helper()
	ref, questions := newReference(r.world), newQuestions(d, r.world)
	for range n {
		q := questions.query()
		want, wantExpired := ref.answers(q)
		got, gotExpired := observe(r.snapshot, q)
		if !equal(got, want) {
			t.Fatalf("%s: Decide(%s) differs (-reference +engine):\n%s\n%s", name, render(q), difference(want, got), explain(t, r.world, q))
		}
		if !equal(gotExpired, wantExpired) {
			t.Fatalf("%s: Decide(%s).Expire() differs (-reference +engine):\n%s\n%s", name, render(q), difference(wantExpired, gotExpired), explain(t, r.world, q))
		}
		c.answer(want)
		if want.Outcome != wantExpired.Outcome {
			c.answer(wantExpired)
		}
	}
}

// observe asks the engine, also for what the answer becomes when policy has expired.
func observe(s *policy.Snapshot, q policy.Query) (fresh, expired answer) {
	resolved := s.Resolve(q)
	decision := s.Decide(&resolved)
	stale := decision.Expire()
	fresh, expired = flatten(&decision), flatten(&stale)
	explanation := s.Explain(&resolved)
	for _, a := range []*answer{&fresh, &expired} {
		a.Unrecognized, a.Considered, a.Upcoming = resolved.Unrecognized, explanation.Considered, explanation.Upcoming
	}
	return fresh, expired
}

func flatten(d *policy.Decision) answer {
	a := answer{Outcome: d.Outcome, Reason: d.Reason, ValidUntil: d.ValidUntil, Obligations: d.Obligations(), Permitted: d.PermittedPurposes(), Device: d.DeviceAction(), Alternatives: d.Alternatives()}
	a.Missing, a.MissingPurpose = d.Missing()
	citations, total := d.Citations()
	a.CitationsTotal = total
	for _, c := range citations {
		flat := citation{Directive: c.Directive.ID, Provision: c.Provision.ID, Window: c.Window}
		if c.Release != nil {
			flat.Release = c.Release.ID
		}
		if c.Instrument != nil {
			flat.Instrument = c.Instrument.ID
		}
		a.Citations = append(a.Citations, flat)
	}
	for _, v := range d.Advice() {
		flat := advice{Directive: v.Directive.ID, Provision: v.Provision.ID, Met: v.Met}
		if v.Release != nil {
			flat.Release = v.Release.ID
		}
		a.Advice = append(a.Advice, flat)
	}
	return a
}

func equal(a, b answer) bool {
	return a.Outcome == b.Outcome && a.Reason == b.Reason && a.CitationsTotal == b.CitationsTotal && a.MissingPurpose == b.MissingPurpose && a.Device == b.Device && a.ValidUntil == b.ValidUntil &&
		slices.Equal(a.Citations, b.Citations) && slices.Equal(a.Obligations, b.Obligations) && slices.Equal(a.Advice, b.Advice) && slices.Equal(a.Missing, b.Missing) &&
		slices.Equal(a.Permitted, b.Permitted) && slices.Equal(a.Alternatives, b.Alternatives) && slices.Equal(a.Unrecognized, b.Unrecognized) &&
		slices.Equal(a.Considered, b.Considered) && slices.Equal(a.Upcoming, b.Upcoming)
}

func difference(want, got answer) string { return gocmp.Diff(want, got, cmpopts.EquateEmpty()) }

// TestDifferentialAtScale compares in a record of thousands of resources, whose tables have many pages.
func TestDifferentialAtScale(t *testing.T) {
	t.Parallel()
	s := shape{purposes: 60, attributes: 6, values: 10, organizations: 1500, vendors: 16, apps: 300, directives: 120, provisions: 3, releases: 6}
	if testing.Short() {
		s.organizations, s.apps, s.directives = 300, 60, 30
	}
	seed := cmp.Or(*seedFlag, freshSeed())
	t.Logf("seed %d", seed)
	g := generate(seeded(seed), s)
	r := foldPiecemeal(t, g.dice, g.world)
	c := count{worlds: 1}
	for range 40 {
		c.compare(t, fmt.Sprintf("seed %d", seed), g.dice, r, 8)
		g.event()
		r = r.then(t, g.dice, g.world)
	}
	r.checkState(t)
	t.Log(c)
}

// TestDifferentialBeyondLists compares answers whose lists are longer than explain gives.
func TestDifferentialBeyondLists(t *testing.T) {
	t.Parallel()
	s := suspended
	s.directives, s.provisions, s.releases = 40, 8, 12
	seed := cmp.Or(*seedFlag, freshSeed())
	t.Logf("seed %d", seed)
	g := generate(seeded(seed), s)
	c := count{worlds: 1}
	c.compare(t, fmt.Sprintf("seed %d", seed), g.dice, fold(t, g.dice, g.world), 40)
	t.Log(c)
}

// TestReadersDoNotMeetWriters asks one snapshot from several goroutines while further ones grow out of it.
func TestReadersDoNotMeetWriters(t *testing.T) {
	t.Parallel()
	g := generate(seeded(1), ordinary)
	r := g.fold(t)
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			d := seeded(uint64(i))
			d.epoch, d.span = g.epoch, g.span
			c := count{}
			c.compare(t, "beside a writer", d, r, 300)
		})
	}
	later := r
	for range 50 {
		g.event()
		later = later.then(t, g.dice, g.world)
	}
	readers.Wait()
}

// FuzzDecide lets the fuzzer make the choices of the generator.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{})
	for i := range byte(8) {
		f.Add([]byte{i, 255 - i, i * 31, 7, 0, 128, i, i, 64, 200, 3, 3, i, 90, 17})
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		d := newDice(newScript(choices))
		compareWorld(t, d, "these choices", pick(d, []shape{ordinary, ordinary, ordinary, suspended, undecided, released, pointed, exempting}), 60, 3)
	})
}
