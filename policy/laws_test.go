package policy_test

import (
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// The laws of a decision, each asked of the engine in random worlds. A failing law names the seed that repeats it.

// inRandomWorlds checks a law in many worlds.
func inRandomWorlds(t *testing.T, check func(t *testing.T, g *generator)) {
	t.Helper()
	t.Parallel()
	worlds := 120
	if testing.Short() {
		worlds = 40
	}
	base := freshSeed()
	if *seedFlag != 0 {
		base, worlds = *seedFlag, 1
	}
	seed := base
	defer func() {
		if t.Failed() {
			t.Logf("-seed %d repeats it", seed)
		}
	}()
	for ; seed < base+uint64(worlds) && !t.Failed(); seed++ {
		check(t, generate(seeded(seed), ordinary))
	}
}

// asks is how many questions a law asks of each world.
const asks = 40

// queries are random ones about the world as it is.
func (g *generator) queries() []policy.Query {
	questions := newQuestions(g.dice, g.world)
	list := make([]policy.Query, asks)
	for i := range list {
		list[i] = questions.query()
	}
	return list
}

func ask(s *policy.Snapshot, q policy.Query) answer {
	a, _ := observe(s, q)
	return a
}

// sameAnswers checks that nothing but what ignore erases differs between two snapshots.
func sameAnswers(t *testing.T, a, b *policy.Snapshot, queries []policy.Query, ignore func(*answer)) {
	t.Helper()
	for _, q := range queries {
		before, after := ask(a, q), ask(b, q)
		ignore(&before)
		ignore(&after)
		if !equal(before, after) {
			t.Fatalf("Decide(%s) changed (-before +after):\n%s", render(q), difference(before, after))
		}
	}
}

func ignoreNothing(*answer) {}

// laterTimes ignores what speaks of other instants or of things that do not decide.
func laterTimes(a *answer) { a.ValidUntil, a.Considered, a.Upcoming = 0, nil, nil }

func TestLawEntryOrderNeverMatters(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		once := fold(t, g.dice, g.world)
		for range 2 {
			sameAnswers(t, once.snapshot, foldPiecemeal(t, g.dice, g.world).snapshot, g.queries(), ignoreNothing)
		}
		sameAnswers(t, once.snapshot, once.load(t).snapshot, g.queries(), ignoreNothing)
	})
}

// anyDirective is one that stands and supersedes nothing.
func (g *generator) anyDirective() *policy.Directive {
	candidates := slices.DeleteFunc(g.standing(), func(d *policy.Directive) bool { return len(d.Supersedes) > 0 })
	if len(candidates) > 0 && !g.one(3) {
		return pick(g.dice, candidates)
	}
	fresh := &policy.Directive{ID: g.id("d"), Authority: ids[*policy.Organization](g.world)[0], Window: policy.Window{Start: g.instant(), End: policy.Forever}}
	g.put(fresh)
	return fresh
}

// oneMoreProvision is the world before and after a directive that supersedes nothing gets a provision.
func (g *generator) oneMoreProvision(force policy.Force) (before, after world) {
	amended := *g.anyDirective()
	p := g.newProvision(g.id("p"))
	p.Force = force
	amended.Provisions = append(slices.Clip(amended.Provisions), p)
	return g.world, g.with(&amended)
}

func TestLawBindingNeverLoosens(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		before, after := g.oneMoreProvision(policy.Binding)
		a, b := fold(t, g.dice, before), fold(t, g.dice, after)
		for _, q := range g.queries() {
			if was, is := ask(a.snapshot, q).Outcome, ask(b.snapshot, q).Outcome; is < was {
				t.Fatalf("Decide(%s) = %v, want %v or stricter, as it was without the binding provision of%s", render(q), is, was, render(changes(before, after)))
			}
		}
	})
}

func TestLawAdvisoryNeverChangesOutcome(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		before, after := g.oneMoreProvision(policy.Advisory)
		a, b := fold(t, g.dice, before), fold(t, g.dice, after)
		sameAnswers(t, a.snapshot, b.snapshot, g.queries(), func(a *answer) {
			laterTimes(a)
			a.Advice = nil
		})
	})
}

// oneMoreRelease is the world after a directive gets a release.
func (g *generator) oneMoreRelease() (*policy.Release, world) {
	d := g.anyDirective()
	if len(d.Provisions) == 0 {
		d = pick(g.dice, all[*policy.Directive](g.world))
	}
	r := g.newRelease(d, g.id("r"))
	return &r, g.with(&r)
}

func TestLawReleaseNeverTightens(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		release, after := g.oneMoreRelease()
		a, b := fold(t, g.dice, g.world), fold(t, g.dice, after)
		for _, q := range g.queries() {
			if was, is := ask(a.snapshot, q).Outcome, ask(b.snapshot, q).Outcome; is > was {
				t.Fatalf("Decide(%s) = %v, want %v or milder, as it was without %s", render(q), is, was, render(release))
			}
		}
	})
}

func TestLawReleaseTouchesOnlyItsOwnProvisions(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		release, after := g.oneMoreRelease()
		touches := func(directive, provision string) bool {
			return directive == release.Directive && (len(release.Provisions) == 0 || slices.Contains(release.Provisions, provision))
		}
		a, b := fold(t, g.dice, g.world), fold(t, g.dice, after)
		for _, q := range g.queries() {
			was, is := ask(a.snapshot, q), ask(b.snapshot, q)
			for _, list := range []*answer{&was, &is} {
				list.Considered = slices.DeleteFunc(list.Considered, func(c policy.Considered) bool { return touches(c.Directive, c.Provision) })
			}
			if !slices.Equal(was.Considered, is.Considered) {
				t.Fatalf("Explain(%s) of provisions that %s does not name changed:\n%s", render(q), render(release), difference(was, is))
			}
			touched := slices.ContainsFunc(was.Citations, func(c citation) bool { return touches(c.Directive, c.Provision) })
			if was.Outcome == policy.Denied && !touched && (is.Outcome != policy.Denied || !slices.Equal(was.Citations, is.Citations)) {
				t.Fatalf("Decide(%s) changed, though %s names nothing that it cited:\n%s", render(q), render(release), difference(was, is))
			}
		}
	})
}

// shuffleKinds turns lifts into exemptions and carve-outs, and the other way round.
func (g *generator) shuffleKinds() world {
	w := g.with()
	for _, d := range all[*policy.Directive](w) {
		amended := *d
		amended.CarveOuts = nil
		releases := slices.Clone(d.CarveOuts)
		for _, r := range all[*policy.Release](w) {
			if r.Directive == d.ID {
				releases = append(releases, *r)
				delete(w, r.Key())
			}
		}
		for _, r := range releases {
			r.Kind = pick(g.dice, []policy.ReleaseKind{policy.CarveOut, policy.Lift, policy.Exemption})
			if r.EndTime == policy.Forever && r.Kind == policy.CarveOut {
				amended.CarveOuts = append(amended.CarveOuts, r)
				continue
			}
			w.put(&r)
		}
		w.put(&amended)
	}
	return w
}

func TestLawReleaseKindNeverMatters(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		a, b := fold(t, g.dice, g.world), fold(t, g.dice, g.shuffleKinds())
		sameAnswers(t, a.snapshot, b.snapshot, g.queries(), ignoreNothing)
	})
}

func TestLawSubtreeHoldsForDescendants(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		organizations := ids[*policy.Organization](g.world)
		root, out := pick(g.dice, organizations), some(g.dice, 2, organizations)
		d := &policy.Directive{ID: "law", Authority: root, Window: policy.Window{Start: g.epoch - 100, End: policy.Forever}, Provisions: []policy.Provision{{
			ID: "all", Force: policy.Binding, Selector: policy.Selector{
				Organizations: policy.OrganizationSelector{In: []string{root}, Out: out}, Targets: policy.TargetSelector{All: true}, Window: policy.Always},
		}}}
		r := fold(t, g.dice, g.with(d))
		for _, q := range g.queries() {
			q.Organization = pick(g.dice, organizations)
			selected := r.within(q.Organization, root) && !slices.ContainsFunc(out, func(o string) bool { return r.within(q.Organization, o) })
			a := ask(r.snapshot, q)
			if a.Reason == policy.UnknownApp || a.Reason == policy.UnknownPurpose || a.CitationsTotal > policy.MaxCitations {
				continue
			}
			cited := slices.ContainsFunc(a.Citations, func(c citation) bool { return c.Directive == "law" })
			if cited != selected || selected && a.Outcome != policy.Denied {
				t.Fatalf("Decide(%s) = %v, cited %t, under a provision over %s without %v, want cited %t", render(q), a.Outcome, cited, root, out, selected)
			}
		}
	})
}

// within reports whether the organization is root or beneath it, as the world says.
func (r record) within(organization, root string) bool {
	o, _ := r.world[policy.Key{Kind: policy.KindOrganization, ID: organization}].(*policy.Organization)
	return o != nil && (o.ID == root || r.within(o.Parent, root))
}

func TestLawLiftChangesNothingBefore(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		lift, _ := g.oneMoreRelease()
		lift.Kind, lift.Selector.Window.Start = policy.Lift, g.instant()
		a, b := fold(t, g.dice, g.world), fold(t, g.dice, g.with(lift))
		var before []policy.Query
		for _, q := range g.queries() {
			q.At = min(q.At, lift.Selector.Window.Start-1)
			before = append(before, q)
		}
		sameAnswers(t, a.snapshot, b.snapshot, before, laterTimes)
	})
}

func TestLawValidUntil(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		ref := newReference(g.world)
		for _, q := range g.queries() {
			first := ask(r.snapshot, q)
			if want := ref.answer(q).ValidUntil; first.ValidUntil != want {
				t.Fatalf("Decide(%s).ValidUntil = %v, want %v by its definition", render(q), first.ValidUntil, want)
			}
			end := min(first.ValidUntil, g.epoch+policy.Instant(g.span)+2)
			first.Considered = nil // what does not count may come and go
			for q.At++; q.At < end; q.At++ {
				again := ask(r.snapshot, q)
				if again.Considered = nil; !equal(first, again) {
					t.Fatalf("Decide(%s) changed before %v:\n%s", render(q), first.ValidUntil, difference(first, again))
				}
			}
		}
	})
}

func TestLawEveryDenialCites(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		for _, q := range g.queries() {
			fresh, expired := observe(r.snapshot, q)
			for _, a := range []answer{fresh, expired} {
				unknown := []policy.Reason{policy.UnknownOrganization, policy.UnknownApp, policy.UnknownPurpose}
				switch {
				case a.Outcome != policy.Denied, a.Reason == policy.StalePolicy:
				case slices.Contains(unknown, a.Reason) && a.CitationsTotal == 0:
				case a.Reason == policy.Suspended && len(a.Citations) > 0 && r.allBind(a.Citations):
				default:
					t.Fatalf("Decide(%s) = %s, which is DENIED without a binding provision", render(q), render(a))
				}
			}
		}
	})
}

func (r record) allBind(citations []citation) bool {
	for _, c := range citations {
		d := r.world[policy.Key{Kind: policy.KindDirective, ID: c.Directive}].(*policy.Directive)
		binds := func(p policy.Provision) bool { return p.ID == c.Provision && p.Force == policy.Binding }
		if !slices.ContainsFunc(d.Provisions, binds) {
			return false
		}
	}
	return true
}
