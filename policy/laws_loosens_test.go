package policy_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// loosened is what the entry that leads from one world to the other loosens.
func loosened(t *testing.T, before record, to world) []string {
	t.Helper()
	entry := changes(before.world, to)
	named, err := policy.Loosens(before.snapshot, entry)
	if err != nil {
		t.Fatalf("Loosens(%s) = %v", render(entry), err)
	}
	return named
}

// TestLawWhatIsNotNamedIsNeverMilder lets all sorts of things happen, and asks each directive, alone, what it answers now and
// what it did after it was named last. So what was unknown for a while is asked about too. Where none is named, all are asked together.
func TestLawWhatIsNotNamedIsNeverMilder(t *testing.T) {
	named, spared := 0, 0
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		since := map[string]record{} // by directive
		for range 10 {
			before := r
			if g.one(3) {
				g.happen(1 + g.IntN(2))
			} else {
				g.retouch()
			}
			g.endOnlySooner(before.world)
			loosened := loosened(t, before, g.world)
			r = r.then(t, g.dice, g.world)
			if len(loosened) == 0 {
				neverMilder(t, g.dice, before, r)
			}
			for _, d := range all[*policy.Directive](before.world) {
				if _, asked := since[d.ID]; !asked {
					since[d.ID] = before
				}
				switch {
				case slices.Contains(loosened, d.ID):
					since[d.ID] = r
					named++
				case d.Withdrawal == nil:
					neverMilder(t, g.dice, fold(t, g.dice, since[d.ID].world.alone(d.ID)), fold(t, g.dice, r.world.alone(d.ID)))
					spared++
				}
			}
		}
	})
	t.Logf("%d named, %d not", named, spared)
}

// verdict is what of an answer may not become milder.
type verdict struct {
	outcome, expired policy.Outcome
	device           policy.DeviceAction
}

// judge asks for no more than the verdict; nobody judged whoever was unknown.
func judge(s *policy.Snapshot, q policy.Query) (v verdict, known bool) {
	r := s.Resolve(q)
	d := s.Decide(&r)
	stale := d.Expire()
	return verdict{d.Outcome, stale.Outcome, d.DeviceAction()}, d.Reason > policy.UnknownPurpose
}

// neverMilder asks about whatever was known before.
func neverMilder(t *testing.T, d *dice, before, after record) {
	t.Helper()
	ref := newReference(before.world)
	for _, questions := range []*questions{newQuestions(d, before.world), newQuestions(d, after.world)} {
		for range asks / 2 {
			q := questions.query()
			if d.one(3) {
				q.Purpose = ""
			}
			was, known := judge(before.snapshot, q)
			if !known {
				continue
			}
			is, _ := judge(after.snapshot, q)
			milder := is.outcome < was.outcome || is.outcome == was.outcome && is.device < was.device ||
				is.outcome == policy.Allowed && is.expired < was.expired && ref.namesApp(q)
			if milder {
				t.Fatalf("nothing is named, but by%s\nDecide(%s) became (-before +after):\n%s%+v, %+v\nin %s", render(changes(before.world, after.world)), render(q),
					difference(ask(before.snapshot, q), ask(after.snapshot, q)), was, is, render(before.world))
			}
		}
	}
}

// alone is the registry with the one directive and its releases, and with no more of those that supersede it than that.
func (w world) alone(id string) world {
	alone := world{}
	for k, r := range w {
		switch r := r.(type) {
		case *policy.Directive:
			if slices.Contains(r.Supersedes, id) {
				alone.put(&policy.Directive{ID: k.ID, Authority: r.Authority, Window: r.Window, Withdrawal: r.Withdrawal, Supersedes: []string{id}})
			}
			if k.ID == id {
				c := *r
				c.Supersedes, c.CarveOuts = nil, slices.Clone(r.CarveOuts)
				eachOf(c.CarveOuts, func(c *policy.Release) { c.Instrument = "" })
				alone.put(&c)
			}
		case *policy.Release:
			if r.Directive == id {
				c := *r
				c.Instrument = ""
				alone.put(&c)
			}
		case *policy.ConcernState, *policy.Statement:
		default:
			alone.put(r)
		}
	}
	return alone
}

// namesApp reports whether a binding provision holds at some instant whose targets are true of the app at that instant.
func (ref *reference) namesApp(q policy.Query) bool {
	asked, _ := ref.ask(q)
	return slices.ContainsFunc(asked.rules, func(r *rule) bool {
		for i := range asked.moments {
			span := policy.Window{Start: asked.moments[i].from, End: policy.Forever}
			if i+1 < len(asked.moments) {
				span.End = asked.moments[i+1].from
			}
			named := asked.targetSelected(&r.provision.Selector.Targets, &asked.moments[i])
			if held := intersect(span, r.window); named && !held.Empty() && r.provision.Force == policy.Binding {
				return true
			}
		}
		return false
	})
}

// TestLawTighteningIsNeverNamed lest Loosens name everything.
func TestLawTighteningIsNeverNamed(t *testing.T) {
	seen := map[string]int{}
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		for range 20 {
			what := g.tighten()
			if named := loosened(t, r, g.world); len(named) > 0 {
				t.Fatalf("Loosens = %v, want none, for there is only %s:%s\nin %s", named, what, render(changes(r.world, g.world)), render(r.world))
			}
			r = r.then(t, g.dice, g.world)
			seen[what]++
		}
	})
	t.Logf("%v", slices.Sorted(maps.Keys(seen)))
}
