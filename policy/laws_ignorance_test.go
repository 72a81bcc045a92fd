package policy_test

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// Laws about what a query leaves open, and about what does not enter a decision at all.

// supply is q with the attribute given.
func supply(q policy.Query, name, value string) policy.Query {
	given := maps.Clone(q.Attributes)
	if given == nil {
		given = map[string]string{}
	}
	given[name] = value
	q.Attributes = given
	return q
}

func TestLawMissingAttributeNeverChangesSettledAnswer(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r, ref := g.fold(t), newReference(g.world)
		for _, q := range g.queries() {
			settled, known := ask(r.snapshot, q), ref.known(q)
			if settled.Outcome == policy.Indeterminate {
				continue
			}
			for _, a := range all[*policy.Attribute](g.world) {
				if _, ok := known[a.ID]; ok {
					continue
				}
				for _, value := range a.Values {
					completed := supply(q, a.ID, value)
					if is := ask(r.snapshot, completed).Outcome; is != settled.Outcome {
						t.Fatalf("Decide(%s) = %v, want %v as without %s", render(completed), is, settled.Outcome, a.ID)
					}
				}
			}
		}
	})
}

func TestLawIndeterminateIsNeverMilderThanACompletion(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r, ref := g.fold(t), newReference(g.world)
		for _, q := range g.queries() {
			open := ask(r.snapshot, q).Outcome
			for range 8 {
				completed := q
				known := ref.known(q)
				for _, a := range all[*policy.Attribute](g.world) {
					if _, ok := known[a.ID]; !ok {
						completed = supply(completed, a.ID, pick(g.dice, a.Values))
					}
				}
				if is := ask(r.snapshot, completed).Outcome; open == policy.Allowed && is != policy.Allowed {
					t.Fatalf("Decide(%s) = %v, but without the attributes ALLOWED", render(completed), is)
				}
			}
		}
	})
}

func TestLawCoarseAnswersAddUp(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		purposes := ids[*policy.Purpose](g.world)
		for _, q := range g.queries() {
			coarse := ask(r.snapshot, q)
			if coarse.CitationsTotal == 0 && coarse.Outcome == policy.Denied {
				continue // something is unknown
			}
			free := true
			for _, p := range purposes {
				fine := q
				fine.Purpose = p
				if q.Purpose != "" && !within(p, q.Purpose) {
					continue
				}
				allowed := ask(r.snapshot, fine).Outcome == policy.Allowed
				free = free && allowed
				permitted := coarse.Outcome == policy.Allowed || slices.ContainsFunc(coarse.Permitted, func(top string) bool { return within(p, top) })
				if coarse.Outcome != policy.Denied && permitted != allowed {
					t.Fatalf("Decide(%s) permits %v, but %s is ALLOWED by itself: %t", render(q), coarse.Permitted, p, allowed)
				}
			}
			if free != (coarse.Outcome == policy.Allowed) {
				t.Fatalf("Decide(%s) = %v, but every purpose is ALLOWED by itself: %t", render(q), coarse.Outcome, free)
			}
		}
	})
}

func TestLawPartsBelongToTheirOutcome(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r, ref := g.fold(t), newReference(g.world)
		for _, q := range g.queries() {
			fresh, expired := observe(r.snapshot, q)
			known := ref.known(q)
			for _, a := range []answer{fresh, expired} {
				missing := slices.ContainsFunc(a.Missing, func(name string) bool { _, ok := known[name]; return ok })
				if a.Outcome != policy.Allowed && len(a.Obligations) > 0 || a.Outcome == policy.Allowed && len(a.Alternatives) > 0 || missing ||
					a.Outcome != policy.Indeterminate && len(a.Missing)+len(a.Permitted) > 0 || a.MissingPurpose != (a.Reason == policy.DependsOnPurpose) ||
					a.Reason == policy.Suspended && a.Outcome != policy.Denied {
					t.Fatalf("Decide(%s) = %s, whose parts do not belong to its outcome", render(q), render(a))
				}
			}
		}
	})
}

func TestLawRetirementNeverMatters(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		retired := g.with()
		for _, r := range g.world {
			switch r := r.(type) {
			case *policy.Organization:
				c := *r
				c.Retired = !r.Retired
				retired.put(&c)
			case *policy.Vendor:
				c := *r
				c.Retired = !r.Retired
				retired.put(&c)
			case *policy.App:
				c := *r
				c.Retired = !r.Retired
				retired.put(&c)
			case *policy.Purpose:
				c := *r
				c.Retired = !r.Retired
				retired.put(&c)
			case *policy.Attribute:
				c := *r
				c.Retired = !r.Retired
				retired.put(&c)
			}
		}
		sameAnswers(t, fold(t, g.dice, g.world).snapshot, fold(t, g.dice, retired).snapshot, g.queries(), ignoreNothing)
	})
}

func TestLawConcernsNeverEnter(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		before, after := fold(t, g.dice, g.world), g.with()
		for _, d := range all[*policy.Directive](g.world) {
			after.put(&policy.ConcernState{Directive: d.ID, Concern: "c", Resolved: g.one(2), Time: g.instant()})
			amended := *d
			amended.LiftMode, amended.Concerns = policy.LiftWhenConcernsResolved, []policy.Concern{{ID: "c"}, {ID: "another"}}
			after.put(&amended)
		}
		sameAnswers(t, before.snapshot, before.then(t, g.dice, after).snapshot, g.queries(), ignoreNothing)
	})
}

func TestLawWithdrawnIsVoid(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		d := *pick(g.dice, all[*policy.Directive](g.world))
		void := g.without(d.ID)
		if void.dangling() {
			return // another one names it, as its instrument or as what it supersedes
		}
		d.Withdrawal = &policy.Withdrawal{Time: g.instant()}
		withdrawn := fold(t, g.dice, g.world).then(t, g.dice, g.with(&d))
		sameAnswers(t, fold(t, g.dice, void).snapshot, withdrawn.snapshot, g.queries(), func(a *answer) {
			a.Considered = slices.DeleteFunc(a.Considered, func(c policy.Considered) bool { return c.Directive == d.ID })
		})
	})
}

func TestLawSuccessorsEndDoesNotRevive(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		for _, successor := range g.standing() {
			for _, former := range successor.Supersedes {
				ended := *successor
				ended.Window.End = ended.Window.Start + policy.Instant(g.IntN(3))
				before, after := fold(t, g.dice, g.world), fold(t, g.dice, g.with(&ended))
				if was, is := before.snapshot.DirectiveWindow(former), after.snapshot.DirectiveWindow(former); was != is && !(was.Empty() && is.Empty()) {
					t.Fatalf("DirectiveWindow(%s) = %v once its successor ends at %v, want %v as before", former, is, ended.Window.End, was)
				}
			}
		}
	})
}

func TestLawStalePolicyNeverLoosens(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		for _, q := range g.queries() {
			if fresh, expired := observe(r.snapshot, q); expired.Outcome < fresh.Outcome {
				t.Fatalf("Decide(%s).Expire() = %v, want %v or stricter", render(q), expired.Outcome, fresh.Outcome)
			}
		}
	})
}

// Policy that is too old permits nothing, whatever the app says, and is where the app says deny what it is when it expires.
func TestLawSpentPolicyPermitsNothing(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		for _, q := range g.queries() {
			resolved := r.snapshot.Resolve(q)
			fresh := r.snapshot.Decide(&resolved)
			spent, expired := fresh.Spend(), fresh.Expire()
			switch {
			case spent.Outcome == policy.Allowed, spent.Outcome < expired.Outcome:
				t.Fatalf("Decide(%s).Spend() = %v after %v, want no permission", render(q), spent.Outcome, fresh.Outcome)
			case fresh.Outcome == policy.Allowed && spent.Reason != policy.StalePolicy:
				t.Fatalf("Decide(%s).Spend() gives the reason %v", render(q), spent.Reason)
			case expired.Reason == policy.StalePolicy && spent.Outcome != expired.Outcome:
				t.Fatalf("Decide(%s).Spend() = %v, want %v as it expires", render(q), spent.Outcome, expired.Outcome)
			case len(spent.PermittedPurposes()) > 0, spent.DeviceAction() != policy.DeviceBlock:
				t.Fatalf("Decide(%s).Spend() permits %q, and devices %d", render(q), spent.PermittedPurposes(), spent.DeviceAction())
			}
		}
	})
}

// While the time is in doubt no answer is milder than at either of the times.
func TestLawDoubtNeverLoosens(t *testing.T) {
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		r := g.fold(t)
		for _, q := range g.queries() {
			one := r.snapshot.Resolve(q)
			first := r.snapshot.Decide(&one)
			later := q
			later.At += policy.Instant(g.IntN(7) - 3)
			two := r.snapshot.Resolve(later)
			second := r.snapshot.Decide(&two)
			got := first.Doubt(&second)
			if want := max(first.Outcome, second.Outcome); got.Outcome != want {
				t.Fatalf("Decide(%s).Doubt(%d) = %v, want %v", render(q), later.At, got.Outcome, want)
			}
			if want := max(first.DeviceAction(), second.DeviceAction()); got.DeviceAction() != want {
				t.Fatalf("Decide(%s).Doubt(%d) has devices do %d, want %d", render(q), later.At, got.DeviceAction(), want)
			}
			if differ := first.Outcome != second.Outcome; differ != (got.Reason == policy.ClockUncertain) && (!differ || got.Reason != first.Reason || got.Reason > policy.ClockUncertain) {
				t.Fatalf("Decide(%s).Doubt(%d) gives the reason %v", render(q), later.At, got.Reason)
			}
		}
	})
}

func TestLawOrderOfStrictness(t *testing.T) {
	order := []policy.Outcome{policy.Allowed, policy.Indeterminate, policy.Denied}
	if !slices.IsSortedFunc(order, cmp.Compare[policy.Outcome]) || policy.Allowed == 0 {
		t.Errorf("ALLOWED = %d, INDETERMINATE = %d, DENIED = %d, want them to rise, and none to be zero", policy.Allowed, policy.Indeterminate, policy.Denied)
	}
}
