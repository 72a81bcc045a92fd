package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// told is an answer with the resources that it quotes: an amended one is another, whatever the amendment says.
type told struct {
	fresh, expired answer
	quoted         []any
}

func tell(s *policy.Snapshot, q policy.Query) told {
	r := s.Resolve(q)
	d := s.Decide(&r)
	stale := d.Expire()
	a := told{fresh: flatten(&d), expired: flatten(&stale)}
	a.fresh.Unrecognized = r.Unrecognized
	citations, _ := d.Citations()
	for _, c := range citations {
		a.quoted = append(a.quoted, c.Directive, c.Release)
	}
	for _, v := range d.Advice() {
		a.quoted = append(a.quoted, v.Directive, v.Release)
	}
	return a
}

func (a *told) equal(b *told) bool {
	return equal(a.fresh, b.fresh) && equal(a.expired, b.expired) && slices.Equal(a.quoted, b.quoted)
}

// tally counts questions about what an entry that does not touch everything touched, and what not.
type tally struct{ changed, touched, untouched int }

// TestTouchedMissesNothing asks the same before and after each entry of random histories: whatever is answered otherwise
// is touched. What is not touched is counted, lest everything be.
func TestTouchedMissesNothing(t *testing.T) {
	var n tally
	inRandomWorlds(t, func(t *testing.T, g *generator) {
		if g.one(6) {
			*g = *generate(g.dice, pick(g.dice, []shape{pointed, exempting, broad, released}))
		}
		r := g.fold(t)
		for range 20 {
			before := r
			if g.happen(1 + g.IntN(2)); g.one(4) {
				g.changeVendor() // what stands above an owner is seldom seen to matter
			}
			r = r.then(t, g.dice, g.world)
			n.compare(t, g.dice, before, r)
		}
	})
	t.Logf("%+v", n)
	if *seedFlag == 0 && n.touched+n.changed > 3*n.untouched {
		t.Errorf("%+v: too little is untouched", n)
	}
}

// compare asks about the world as it was and as it is.
func (n *tally) compare(t *testing.T, d *dice, before, after record) {
	t.Helper()
	entry := changes(before.world, after.world)
	touched := after.snapshot.Touched(before.snapshot, entry)
	for _, w := range []world{before.world, after.world} {
		questions := newQuestions(d, w)
		for range asks / 2 {
			q := questions.query()
			was, is := tell(before.snapshot, q), tell(after.snapshot, q)
			n.count(t, &touched, q, !was.equal(&is))
			if t.Failed() {
				t.Fatalf("though by %s it became (-before +after):\n%s%s", render(entry), difference(was.fresh, is.fresh), difference(was.expired, is.expired))
			}
		}
	}
}

func (n *tally) count(t *testing.T, touched *policy.Touched, q policy.Query, changed bool) {
	t.Helper()
	query := touched.Query(q.Organization, q.App)
	switch {
	case changed && !query:
		t.Errorf("Query(%q, %q) = false, want true, for the answer to %s changed", q.Organization, q.App, render(q))
	case query && !touched.App(q.App):
		t.Errorf("App(%q) = false, want true, as is Query(%q, %[1]q)", q.App, q.Organization)
	case query && !touched.Organization(q.Organization):
		t.Errorf("Organization(%q) = false, want true, as is Query(%[1]q, %q)", q.Organization, q.App)
	case query && touched.Nothing(), touched.All() && !query:
		t.Errorf("Nothing() = %t, All() = %t, Query(%q, %q) = %t", touched.Nothing(), touched.All(), q.Organization, q.App, query)
	case touched.All():
	case changed:
		n.changed++
	case query:
		n.touched++
	default:
		n.untouched++
	}
}

// country is what the tables of precision happen to: two bodies beneath one, another beside them; two apps of one owner,
// which a holding owned until instant 5, and one of somebody else's.
func country(t *testing.T) *policy.Snapshot {
	t.Helper()
	until5 := policy.Window{Start: policy.Beginning, End: 5}
	owned := func(vendor string) []policy.VendorPeriod {
		return []policy.VendorPeriod{{Vendor: vendor, Window: policy.Always}}
	}
	return foldWorld(t, puts(
		&policy.Purpose{ID: "work"}, &policy.Attribute{ID: "device", Values: []string{"own"}},
		&policy.Organization{ID: "jp"}, &policy.Organization{ID: "tokyo", Parent: "jp", Aliases: []string{"jis:130001"}},
		&policy.Organization{ID: "shinjuku", Parent: "tokyo"}, &policy.Organization{ID: "osaka", Parent: "jp"}, &policy.Organization{ID: "us"},
		&policy.Vendor{ID: "holding"}, &policy.Vendor{ID: "ly", Parents: []policy.VendorPeriod{{Vendor: "holding", Window: until5}}}, &policy.Vendor{ID: "acme"},
		&policy.App{ID: "line", Ownerships: owned("ly"), Tags: []string{"sns"}, Identifiers: []string{"ios:line", "domain:line.me"}},
		&policy.App{ID: "works", Ownerships: owned("ly"), Identifiers: []string{"domain:works.line.me"}},
		&policy.App{ID: "chat", Ownerships: owned("acme"), Tags: []string{"sns"}, Identifiers: []string{"ios:chat"}},
		haltOf("nationwide", "jp", policy.Target{Tag: "sns"}),
		haltOf("halt", "tokyo", policy.Target{App: "line"}),
		exempted("halt", "standing", "shinjuku"),
	))
}

// haltOf suspends one target in one body.
func haltOf(id, organization string, target policy.Target, supersedes ...string) *policy.Directive {
	d := suspension(id, organization, policy.TargetSelector{In: []policy.Target{target}})
	d.Supersedes = supersedes
	return d
}

func exempted(directive, id, organization string) *policy.Release {
	return &policy.Release{Directive: directive, ID: id, Kind: policy.Exemption, EndTime: policy.Forever,
		Selector: policy.Selector{Organizations: policy.OrganizationSelector{In: []string{organization}}, Window: policy.Always}}
}

// pairs are organizations and apps.
type pairs [][2]string

func TestTouchedIsPrecise(t *testing.T) {
	for name, test := range map[string]struct {
		changes            []policy.Change
		touched, untouched pairs
	}{
		"a halt of one app": {
			puts(haltOf("new", "tokyo", policy.Target{App: "line"})),
			pairs{{"tokyo", "line"}, {"jis:130001", "ios:line"}, {"shinjuku", "domain:www.line.me"}},
			pairs{{"osaka", "line"}, {"jp", "line"}, {"tokyo", "chat"}, {"tokyo", "works"}, {"tokyo", "domain:works.line.me"}, {"tokyo", "ios:unknown"}, {"nobody", "line"}, {"tokyo", "unknown"}},
		},
		"an amended halt, of another app in another body": {
			puts(haltOf("halt", "us", policy.Target{App: "chat"})),
			pairs{{"tokyo", "line"}, {"us", "chat"}},
			pairs{{"us", "line"}, {"tokyo", "chat"}, {"osaka", "line"}},
		},
		"a successor": {
			puts(haltOf("new", "us", policy.Target{App: "works"}, "halt")),
			pairs{{"us", "works"}, {"shinjuku", "line"}},
			pairs{{"us", "line"}, {"tokyo", "works"}, {"osaka", "line"}},
		},
		"a halt of what a vendor ever owned": {
			puts(haltOf("new", "jp", policy.Target{Vendor: "holding"})),
			pairs{{"osaka", "line"}, {"jp", "works"}},
			pairs{{"jp", "chat"}, {"us", "line"}, {"jp", "ios:unknown"}},
		},
		"a halt of all that a target names": {
			puts(haltOf("new", "jp", policy.Target{Vendor: "ly", Tag: "sns"})),
			pairs{{"jp", "line"}},
			pairs{{"jp", "works"}, {"jp", "chat"}},
		},
		"an exemption from what holds nationwide": {
			puts(exempted("nationwide", "new", "tokyo")),
			pairs{{"tokyo", "line"}, {"shinjuku", "chat"}},
			pairs{{"osaka", "line"}, {"jp", "line"}, {"tokyo", "works"}, {"us", "line"}},
		},
		"an exemption of whom the directive does not reach": {
			puts(exempted("halt", "new", "osaka")),
			nil,
			pairs{{"osaka", "line"}, {"tokyo", "line"}},
		},
		"an exemption put anew": {
			puts(exempted("halt", "standing", "shinjuku")),
			pairs{{"shinjuku", "line"}},
			pairs{{"tokyo", "line"}, {"shinjuku", "chat"}},
		},
		"a registered organization": {
			puts(&policy.Organization{ID: "new", Parent: "tokyo", Aliases: []string{"jis:1"}}),
			pairs{{"new", "line"}, {"jis:1", "unknown"}},
			pairs{{"tokyo", "line"}, {"shinjuku", "line"}, {"jp", "chat"}, {"nobody", "chat"}},
		},
		"an organization that moved and lost its alias": {
			puts(&policy.Organization{ID: "tokyo", Parent: "us"}),
			pairs{{"tokyo", "line"}, {"jis:130001", "line"}, {"shinjuku", "works"}},
			pairs{{"jp", "line"}, {"us", "line"}, {"osaka", "line"}},
		},
		"a deleted organization": {
			deletes(key(policy.KindOrganization, "osaka")),
			pairs{{"osaka", "line"}},
			pairs{{"jp", "line"}, {"tokyo", "line"}},
		},
		"an app that took a domain": {
			puts(&policy.App{ID: "pay", Identifiers: []string{"domain:pay.line.me"}}),
			pairs{{"us", "pay"}, {"us", "domain:pay.line.me"}, {"us", "domain:www.pay.line.me"}},
			pairs{{"us", "line"}, {"us", "domain:line.me"}, {"us", "domain:works.line.me"}, {"nobody", "pay"}},
		},
		"an app that lost a domain": {
			puts(&policy.App{ID: "works"}),
			pairs{{"us", "works"}, {"us", "domain:works.line.me"}, {"us", "domain:a.works.line.me"}},
			pairs{{"us", "line"}, {"us", "domain:line.me"}, {"us", "domain:www.line.me"}},
		},
		"a vendor that once was above the owner": {
			puts(&policy.Vendor{ID: "holding", Countries: []policy.CountryPeriod{{Country: "KR", Window: policy.Always}}}),
			pairs{{"us", "line"}, {"jp", "domain:works.line.me"}},
			pairs{{"us", "chat"}, {"us", "ios:unknown"}},
		},
		"a vendor that was sold": {
			puts(&policy.Vendor{ID: "acme", Parents: []policy.VendorPeriod{{Vendor: "holding", Window: policy.Always}}}),
			pairs{{"us", "chat"}},
			pairs{{"us", "line"}, {"us", "works"}},
		},
		"a concern and a statement": {
			puts(&policy.ConcernState{Directive: "halt", Concern: "c", Resolved: true}, &policy.Statement{Directive: "halt", ID: "s"}),
			nil,
			pairs{{"tokyo", "line"}},
		},
		"a purpose":    {puts(&policy.Purpose{ID: "work.mail"}), pairs{{"us", "unknown"}, {"nobody", "line"}}, nil},
		"an attribute": {puts(&policy.Attribute{ID: "act", Values: []string{"use"}}), pairs{{"us", "unknown"}, {"nobody", "line"}}, nil},
	} {
		touched := touch(t, test.changes)
		for want, list := range map[bool]pairs{true: test.touched, false: test.untouched} {
			for _, p := range list {
				if got := touched.Query(p[0], p[1]); got != want {
					t.Errorf("of %s: Query(%q, %q) = %t, want %t", name, p[0], p[1], got, want)
				}
			}
		}
	}
}

// touch is what an entry after the country touches.
func touch(t *testing.T, changes []policy.Change) policy.Touched {
	t.Helper()
	before := country(t)
	after, err := before.Apply(2, changes)
	if err != nil {
		t.Fatal(err)
	}
	return after.Touched(before, changes)
}

// TestTouchedOfOneSide asks for all apps of an organization, all organizations of an app, and everything.
func TestTouchedOfOneSide(t *testing.T) {
	for name, test := range map[string]struct {
		changes                             []policy.Change
		nothing, all, line, chat, tokyo, us bool
	}{
		"a halt":          {changes: puts(haltOf("new", "tokyo", policy.Target{App: "line"})), line: true, tokyo: true},
		"an exemption":    {changes: puts(exempted("halt", "new", "tokyo")), line: true, tokyo: true},
		"an organization": {changes: puts(&policy.Organization{ID: "us"}), line: true, chat: true, us: true},
		"an app":          {changes: deletes(key(policy.KindApp, "chat")), chat: true, tokyo: true, us: true},
		"a vendor":        {changes: puts(&policy.Vendor{ID: "ly"}), line: true, tokyo: true, us: true},
		"a concern":       {changes: puts(&policy.ConcernState{Directive: "halt", Concern: "c"}), nothing: true},
		"a purpose":       {changes: puts(&policy.Purpose{ID: "new"}), all: true, line: true, chat: true, tokyo: true, us: true},
		"no change":       {nothing: true},
	} {
		touched := touch(t, test.changes)
		for _, x := range []struct {
			call      string
			got, want bool
		}{
			{"Nothing()", touched.Nothing(), test.nothing}, {"All()", touched.All(), test.all},
			{"App(line)", touched.App("line"), test.line}, {"App(chat)", touched.App("ios:chat"), test.chat},
			{"Organization(tokyo)", touched.Organization("jis:130001"), test.tokyo}, {"Organization(us)", touched.Organization("us"), test.us},
		} {
			if x.got != x.want {
				t.Errorf("of %s: %s = %t, want %t", name, x.call, x.got, x.want)
			}
		}
	}
}

// TestTouchedOfTooMuch puts as many provisions as are looked through, and then more.
func TestTouchedOfTooMuch(t *testing.T) {
	large := haltOf("large", "us", policy.Target{App: "chat"})
	large.Provisions = slices.Repeat(large.Provisions, 1024)
	for i := range large.Provisions {
		large.Provisions[i].ID = fmt.Sprint(i)
	}
	if touched := touch(t, puts(large)); touched.All() || touched.App("line") {
		t.Errorf("of %d provisions: All() = %t, App(line) = %t, want false", len(large.Provisions), touched.All(), touched.App("line"))
	}
	if touched := touch(t, puts(large, haltOf("one", "us", policy.Target{App: "chat"}))); !touched.All() {
		t.Errorf("of %d provisions and one: All() = false, want true", len(large.Provisions))
	}
}
