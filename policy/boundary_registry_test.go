package policy_test

import (
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// Boundaries that come from dated vendors, and what becomes of times on their way in.

// haltingTarget is the scene with another target in place of the app.
func haltingTarget(target policy.Target) world {
	d := halting("halt", noon, policy.Forever)
	d.Provisions[0].Selector = everybody(target)
	return scene().with(d)
}

func TestBoundaryOwnershipPasses(t *testing.T) {
	sold := &policy.App{ID: "line", Ownerships: []policy.VendorPeriod{
		{Vendor: "maker", Window: policy.Window{Start: policy.Beginning, End: noon + hour}},
		{Vendor: "buyer", Window: policy.Window{Start: noon + hour, End: policy.Forever}},
	}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "maker"}).with(&policy.Vendor{ID: "buyer"}, sold),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryOwnershipBetweenOwners(t *testing.T) {
	orphaned := &policy.App{ID: "line", Ownerships: []policy.VendorPeriod{
		{Vendor: "maker", Window: policy.Window{Start: policy.Beginning, End: noon + hour}},
		{Vendor: "maker", Window: policy.Window{Start: noon + 2*hour, End: policy.Forever}},
	}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "maker"}).with(orphaned),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, noon + 2*hour},
		then{noon + 2*hour, policy.Denied, policy.Forever})
}

func TestBoundaryRenewedOwnershipIsNoEdge(t *testing.T) {
	renewed := &policy.App{ID: "line", Ownerships: []policy.VendorPeriod{
		{Vendor: "maker", Window: policy.Window{Start: policy.Beginning, End: noon + hour}},
		{Vendor: "maker", Window: policy.Window{Start: noon + hour, End: policy.Forever}},
	}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "maker"}).with(renewed),
		then{noon, policy.Denied, policy.Forever},
		then{noon + hour, policy.Denied, policy.Forever})
}

func TestBoundaryOwnershipBeforeTheDirectiveIsNoEdge(t *testing.T) {
	sold := &policy.App{ID: "line", Ownerships: []policy.VendorPeriod{{Vendor: "maker", Window: policy.Window{Start: noon - hour, End: policy.Forever}}}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "maker"}).with(sold),
		then{noon - 2*hour, policy.Allowed, noon},
		then{noon - hour, policy.Allowed, noon})
}

func TestBoundaryOwnershipAtTheDirectivesStart(t *testing.T) {
	sold := &policy.App{ID: "line", Ownerships: []policy.VendorPeriod{{Vendor: "maker", Window: policy.Window{Start: noon, End: policy.Forever}}}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "maker"}).with(sold),
		then{noon - 1, policy.Allowed, noon},
		then{noon, policy.Denied, policy.Forever})
}

func TestBoundaryParentPasses(t *testing.T) {
	held := &policy.Vendor{ID: "maker", Parents: []policy.VendorPeriod{{Vendor: "group", Window: policy.Window{Start: noon + hour, End: noon + 2*hour}}}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "group"}).with(&policy.Vendor{ID: "group"}, held),
		then{noon, policy.Allowed, noon + hour},
		then{noon + hour, policy.Denied, noon + 2*hour},
		then{noon + 2*hour - 1, policy.Denied, noon + 2*hour},
		then{noon + 2*hour, policy.Allowed, policy.Forever})
}

func TestBoundaryCountryOfAVendorAbovePasses(t *testing.T) {
	held := &policy.Vendor{ID: "maker", Parents: []policy.VendorPeriod{{Vendor: "group", Window: policy.Always}}}
	group := &policy.Vendor{ID: "group", Countries: []policy.CountryPeriod{
		{Country: "XX", Window: policy.Window{Start: policy.Beginning, End: noon + hour}},
		{Country: "JP", Window: policy.Window{Start: noon + hour, End: policy.Forever}},
	}}
	checkThen(t, haltingTarget(policy.Target{Country: "XX"}).with(group, held),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour - 1, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryExcludedTargetPasses(t *testing.T) {
	d := halting("halt", noon, policy.Forever)
	d.Provisions[0].Selector.Targets = policy.TargetSelector{All: true, Out: []policy.Target{{Country: "JP"}}}
	moved := &policy.Vendor{ID: "maker", Countries: []policy.CountryPeriod{{Country: "JP", Window: policy.Window{Start: noon + hour, End: policy.Forever}}}}
	checkThen(t, scene().with(d, moved),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryVendorsThatOwnEachOtherInTurn(t *testing.T) {
	maker := &policy.Vendor{ID: "maker", Parents: []policy.VendorPeriod{{Vendor: "group", Window: policy.Window{Start: policy.Beginning, End: noon + hour}}}}
	group := &policy.Vendor{ID: "group", Parents: []policy.VendorPeriod{{Vendor: "maker", Window: policy.Window{Start: noon + hour, End: policy.Forever}}}}
	checkThen(t, haltingTarget(policy.Target{Vendor: "group"}).with(maker, group),
		then{noon, policy.Denied, noon + hour},
		then{noon + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryLongestLifeOfAYear9999(t *testing.T) {
	last := policy.InstantOf(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
	if !last.Finite() || last.String() != "9999-12-31T23:59:59.999999Z" {
		t.Fatalf("the last microsecond of 9999 = %v, want it finite and itself", last)
	}
	checkThen(t, scene().with(halting("halt", noon, last)),
		then{noon, policy.Denied, last},
		then{last - 1, policy.Denied, last},
		then{last, policy.Allowed, policy.Forever})
	checkThen(t, scene(), then{last, policy.Denied, policy.Forever})
}

func TestBoundaryFirstInstantOfYear1(t *testing.T) {
	first := policy.InstantOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	checkThen(t, scene().with(halting("halt", first, first+hour)),
		then{first, policy.Denied, first + hour},
		then{first + hour, policy.Allowed, policy.Forever})
}

func TestBoundaryNanosecondsAreFloored(t *testing.T) {
	start := noon.Time()
	for _, c := range []struct {
		at   time.Time
		want policy.Instant
	}{
		{start.Add(-1), noon - 1},
		{start.Add(-999), noon - 1},
		{start.Add(-1000), noon - 1},
		{start.Add(-1001), noon - 2},
		{start.Add(999), noon},
		{start.Add(1000), noon + 1},
		{time.Unix(0, -1), -1}, // floored, not cut towards zero
		{time.Unix(0, -1000), -1},
		{time.Unix(0, -1001), -2},
	} {
		if got := policy.InstantOf(c.at); got != c.want {
			t.Errorf("InstantOf(%v) = %v, want %v", c.at, got, c.want)
		}
	}
	checkThen(t, scene(),
		then{policy.InstantOf(start.Add(-1)), policy.Allowed, noon},
		then{policy.InstantOf(start.Add(999)), policy.Denied, policy.Forever})
}

func TestBoundaryOtherZonesAreTheSameInstant(t *testing.T) {
	for _, zone := range []string{"UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"} {
		start := noon.Time().In(location(t, zone))
		checkThen(t, scene(),
			then{policy.InstantOf(start.Add(-time.Microsecond)), policy.Allowed, noon},
			then{policy.InstantOf(start), policy.Denied, policy.Forever})
	}
}

func location(t *testing.T, zone string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// In New York 01:30 came twice on 7 November 2021; the halt starts with the second.
func TestBoundaryHourThatComesTwice(t *testing.T) {
	newYork := location(t, "America/New_York")
	first := time.Date(2021, 11, 7, 1, 30, 0, 0, newYork)
	second := first.Add(time.Hour)
	if first.Format("15:04 MST") != "01:30 EDT" || second.Format("15:04 MST") != "01:30 EST" {
		t.Fatalf("the hour came as %v and %v, want 01:30 twice", first, second)
	}
	start := policy.InstantOf(second)
	checkThen(t, scene().with(halting("halt", start, policy.Forever)),
		then{policy.InstantOf(first), policy.Allowed, start},
		then{policy.InstantOf(second.Add(-time.Microsecond)), policy.Allowed, start},
		then{policy.InstantOf(second), policy.Denied, policy.Forever},
		then{policy.InstantOf(second.UTC()), policy.Denied, policy.Forever})
}

// In New York the hour from 02:00 was left out on 14 March 2021: a halt from 01:00 to 03:00 lasted one hour.
func TestBoundaryHourThatIsLeftOut(t *testing.T) {
	newYork := location(t, "America/New_York")
	start := policy.InstantOf(time.Date(2021, 3, 14, 1, 0, 0, 0, newYork))
	end := policy.InstantOf(time.Date(2021, 3, 14, 3, 0, 0, 0, newYork))
	if end-start != hour {
		t.Fatalf("from 01:00 to 03:00 = %v, want one hour", end-start)
	}
	checkThen(t, scene().with(halting("halt", start, end)),
		then{end - 1, policy.Denied, end},
		then{end, policy.Allowed, policy.Forever})
}
