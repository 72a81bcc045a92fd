package policy_test

import (
	"testing"
	"time"
	_ "time/tzdata" // so that the zones are there wherever the tests run

	"github.com/teishi-dev/teishi/policy"
)

// Time, boundary by boundary. The scene is always the same: directive "halt" suspends the app "line" of the vendor
// "maker" for everybody, from noon on 19 March 2021 in Japan.
var noon = policy.InstantOf(time.Date(2021, 3, 19, 12, 0, 0, 0, time.FixedZone("JST", 9*60*60)))

const hour = policy.Instant(time.Hour / time.Microsecond)

func scene() world {
	w := world{}
	w.put(
		&policy.Purpose{ID: "service"},
		&policy.Organization{ID: "city"},
		&policy.Vendor{ID: "maker"},
		&policy.App{ID: "line", Ownerships: []policy.VendorPeriod{{Vendor: "maker", Window: policy.Always}}},
		halting("halt", noon, policy.Forever),
	)
	return w
}

// halting is a directive with one provision, "all", over the app.
func halting(id string, start, end policy.Instant) *policy.Directive {
	return &policy.Directive{ID: id, Authority: "city", Window: policy.Window{Start: start, End: end}, Provisions: []policy.Provision{
		{ID: "all", Force: policy.Binding, Selector: everybody(policy.Target{App: "line"})},
	}}
}

func everybody(target policy.Target) policy.Selector {
	return policy.Selector{Organizations: policy.OrganizationSelector{All: true}, Targets: policy.TargetSelector{In: []policy.Target{target}}, Window: policy.Always}
}

// liftBetween is of the whole directive "halt", between two instants.
func liftBetween(start, end policy.Instant) *policy.Release {
	return &policy.Release{ID: "lift", Directive: "halt", Kind: policy.Lift, Selector: policy.Selector{Window: policy.Window{Start: start, End: end}}, EndTime: policy.Forever}
}

// then is what is wanted at an instant, of the engine and of the reference, and until when it is promised.
type then struct {
	at    policy.Instant
	want  policy.Outcome
	until policy.Instant
}

func checkThen(t *testing.T, w world, cases ...then) {
	t.Helper()
	r := fold(t, seeded(1), w)
	for _, c := range cases {
		checkOne(t, r, c)
	}
}

func checkOne(t *testing.T, r record, c then) {
	t.Helper()
	q := policy.Query{Organization: "city", App: "line", Purpose: "service", At: c.at}
	if got := ask(r.snapshot, q); got.Outcome != c.want || got.ValidUntil != c.until {
		t.Errorf("Decide at %v = %v until %v, want %v until %v", c.at, got.Outcome, got.ValidUntil, c.want, c.until)
	}
	if got := newReference(r.world).answer(q); got.Outcome != c.want || got.ValidUntil != c.until {
		t.Errorf("the reference at %v = %v until %v, want %v until %v", c.at, got.Outcome, got.ValidUntil, c.want, c.until)
	}
}

func TestBoundaryDirectiveStarts(t *testing.T) {
	checkThen(t, scene(),
		then{noon - 1, policy.Allowed, noon},
		then{noon, policy.Denied, policy.Forever},
		then{noon + 1, policy.Denied, policy.Forever})
}

func TestBoundaryDirectiveExpires(t *testing.T) {
	checkThen(t, scene().with(halting("halt", noon, noon+hour)),
		then{noon - 1, policy.Allowed, noon},
		then{noon, policy.Denied, noon + hour},
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryDirectiveOfOneMicrosecond(t *testing.T) {
	checkThen(t, scene().with(halting("halt", noon, noon+1)),
		then{noon - 1, policy.Allowed, noon},
		then{noon, policy.Denied, noon + 1},
		then{noon + 1, policy.Allowed, policy.Forever})
}

func TestBoundaryDirectiveThatEndsAsItStartsHasNoEdge(t *testing.T) {
	for _, end := range []policy.Instant{noon, noon - 1} {
		checkThen(t, scene().with(halting("halt", noon, end)),
			then{noon - 2, policy.Allowed, policy.Forever},
			then{noon - 1, policy.Allowed, policy.Forever},
			then{noon, policy.Allowed, policy.Forever})
	}
}

func TestBoundaryProvisionIsClippedByItsDirective(t *testing.T) {
	d := halting("halt", noon, noon+2*hour)
	d.Provisions[0].Selector.Window = policy.Window{Start: noon - hour, End: noon + hour}
	checkThen(t, scene().with(d),
		then{noon - hour, policy.Allowed, noon},
		then{noon, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryProvisionOutsideItsDirectiveHasNoEdge(t *testing.T) {
	d := halting("halt", noon, policy.Forever)
	d.Provisions[0].Selector.Window = policy.Window{Start: policy.Beginning, End: noon}
	checkThen(t, scene().with(d), then{noon - 1, policy.Allowed, policy.Forever}, then{noon, policy.Allowed, policy.Forever})
}

func TestBoundaryLiftStartsAndEnds(t *testing.T) {
	checkThen(t, scene().with(liftBetween(noon+hour, noon+2*hour)),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour - 1, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour, policy.Denied, policy.Forever})
}

func TestBoundaryLiftFromTheStartLeavesNoGap(t *testing.T) {
	checkThen(t, scene().with(liftBetween(policy.Beginning, policy.Forever)),
		then{noon - 1, policy.Allowed, noon},
		then{noon, policy.Allowed, policy.Forever})
}

func TestBoundaryRevocationEndsTheLift(t *testing.T) {
	revoked := liftBetween(noon+hour, noon+3*hour)
	revoked.EndTime = noon + 2*hour
	checkThen(t, scene().with(revoked),
		then{noon + hour, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour - 1, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour, policy.Denied, policy.Forever})
}

func TestBoundaryRevocationAfterTheEndIsIdle(t *testing.T) {
	revoked := liftBetween(noon+hour, noon+2*hour)
	revoked.EndTime = noon + 3*hour
	checkThen(t, scene().with(revoked),
		then{noon + hour, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour, policy.Denied, policy.Forever})
}

func TestBoundaryRevocationAtOrBeforeTheStartMeansItNeverHeld(t *testing.T) {
	for _, end := range []policy.Instant{noon + hour, noon + hour - 1, noon - hour} {
		revoked := liftBetween(noon+hour, policy.Forever)
		revoked.EndTime = end
		checkThen(t, scene().with(revoked),
			then{noon, policy.Denied, policy.Forever},
			then{noon + hour - 1, policy.Denied, policy.Forever},
			then{noon + hour, policy.Denied, policy.Forever})
	}
}

func TestBoundarySuccessorStarts(t *testing.T) {
	successor := advising("successor", noon+hour, policy.Forever)
	checkThen(t, scene().with(successor),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

// advising supersedes "halt" but binds nobody, so that only the end of "halt" is seen.
func advising(id string, start, end policy.Instant) *policy.Directive {
	d := halting(id, start, end)
	d.Provisions[0].Force, d.Supersedes = policy.Advisory, []string{"halt"}
	return d
}

func TestBoundarySuccessorsEndRevivesNothing(t *testing.T) {
	successor := advising("successor", noon+hour, noon+2*hour)
	checkThen(t, scene().with(successor),
		then{noon + hour, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour, policy.Allowed, policy.Forever})
}

func TestBoundarySuccessorThatIsNeverInForceStillEnds(t *testing.T) {
	successor := advising("successor", noon+hour, noon+hour)
	checkThen(t, scene().with(successor),
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryWithdrawnSuccessorGivesEverythingBack(t *testing.T) {
	successor := advising("successor", noon+hour, policy.Forever)
	r := fold(t, seeded(1), scene().with(successor))
	checkOne(t, r, then{noon + hour, policy.Allowed, policy.Forever})
	withdrawn := *successor
	withdrawn.Withdrawal = &policy.Withdrawal{Time: noon + 2*hour, Reason: "issued in error"}
	later := r.then(t, seeded(1), r.world.with(&withdrawn))
	checkOne(t, later, then{noon + hour, policy.Denied, policy.Forever})
	checkOne(t, later, then{noon + 3*hour, policy.Denied, policy.Forever})
	checkOne(t, r, then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryEarliestSuccessorEnds(t *testing.T) {
	early, late := advising("early", noon+hour, policy.Forever), advising("late", noon+2*hour, policy.Forever)
	w := scene().with(early, late)
	checkThen(t, w, then{noon, policy.Denied, noon + hour}, then{noon + hour, policy.Allowed, noon + 2*hour})
	withdrawn := *early
	withdrawn.Withdrawal = &policy.Withdrawal{Time: noon}
	checkThen(t, w.with(&withdrawn), then{noon + hour, policy.Denied, noon + 2*hour}, then{noon + 2*hour, policy.Allowed, policy.Forever})
}

func TestBoundarySupersededSuccessorStillEnds(t *testing.T) {
	second := advising("second", noon+2*hour, policy.Forever)
	third := advising("third", noon+hour, policy.Forever)
	third.Supersedes = []string{"second"} // which is thereby in force at no time
	checkThen(t, scene().with(second, third),
		then{noon, policy.Denied, noon + hour}, // an edge of third's advice
		then{noon + hour, policy.Denied, noon + 2*hour},
		then{noon + 2*hour, policy.Allowed, policy.Forever})
}

func TestBoundarySuccessorThatStartsFirstVoidsTheFormer(t *testing.T) {
	for _, start := range []policy.Instant{noon - hour, noon} {
		successor := advising("successor", start, policy.Forever)
		checkThen(t, scene().with(successor),
			then{start - 1, policy.Allowed, start},
			then{noon, policy.Allowed, policy.Forever})
	}
}

func TestBoundaryHandoverToABindingSuccessorHasNoGap(t *testing.T) {
	successor := halting("successor", noon+hour, policy.Forever)
	successor.Supersedes = []string{"halt"}
	checkThen(t, scene().with(successor),
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Denied, policy.Forever})
}

func TestBoundaryWithdrawnDirectiveIsInForceAtNoTime(t *testing.T) {
	r := fold(t, seeded(1), scene())
	checkOne(t, r, then{noon, policy.Denied, policy.Forever})
	d := halting("halt", noon, policy.Forever)
	d.Withdrawal = &policy.Withdrawal{Time: noon + hour, Reason: "void"}
	later := r.then(t, seeded(1), r.world.with(d))
	for _, at := range []policy.Instant{noon - 1, noon, noon + hour, noon + 2*hour} {
		checkOne(t, later, then{at, policy.Allowed, policy.Forever})
	}
}

func TestBoundaryLastConcernLifts(t *testing.T) {
	d := halting("halt", noon, policy.Forever)
	d.LiftMode, d.Concerns = policy.LiftWhenConcernsResolved, []policy.Concern{{ID: "servers", Text: "abroad"}}
	before := fold(t, seeded(1), scene().with(d))
	checkOne(t, before, then{noon + hour, policy.Denied, policy.Forever})

	whole := liftBetween(noon+hour, policy.Forever)
	whole.ID = "concerns-2"
	resolved := before.then(t, seeded(1), before.world.with(whole, &policy.ConcernState{Directive: "halt", Concern: "servers", Resolved: true, Time: noon + hour}))
	checkOne(t, resolved, then{noon, policy.Denied, noon + hour})
	checkOne(t, resolved, then{noon + hour - 1, policy.Denied, noon + hour})
	checkOne(t, resolved, then{noon + hour, policy.Allowed, policy.Forever})

	ended := *whole
	ended.EndTime = noon + 2*hour
	reopened := resolved.then(t, seeded(1), resolved.world.with(&ended, &policy.ConcernState{Directive: "halt", Concern: "servers", Time: noon + 2*hour}))
	checkOne(t, reopened, then{noon + hour, policy.Allowed, noon + 2*hour})
	checkOne(t, reopened, then{noon + 2*hour, policy.Denied, policy.Forever})
}
