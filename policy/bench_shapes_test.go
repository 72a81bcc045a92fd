package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
)

// everyApp returns a binding directive of the root's over all apps, with these releases carved out of it.
func everyApp(id string, carveOuts ...policy.Release) *policy.Directive {
	root := workload.Organization(0)
	d := &policy.Directive{
		ID: id, Authority: root, Window: policy.Window{Start: workload.Now - workload.Day, End: policy.Forever}, CarveOuts: carveOuts,
		ExemptionRules: &policy.ExemptionRules{Grounds: []policy.Ground{{ID: "mission"}}},
		Provisions: []policy.Provision{{ID: "p", Force: policy.Binding, Selector: policy.Selector{
			Organizations: policy.OrganizationSelector{In: []string{root}}, Targets: policy.TargetSelector{All: true}, Window: policy.Always,
		}}},
	}
	for i := range d.CarveOuts {
		d.CarveOuts[i].Directive = id
	}
	return d
}

// opening returns a release with an id of its own.
func opening(i int, kind policy.ReleaseKind, directive string, sel policy.Selector) policy.Release {
	sel.Window = policy.Always
	return policy.Release{ID: fmt.Sprintf("r%05d", i), Directive: directive, Kind: kind, Selector: sel, EndTime: policy.Forever}
}

// exempt returns a directive over all apps from which n organizations are exempt.
func exempt(n int) []policy.Change {
	changes := []policy.Change{{Put: everyApp("exempt")}}
	for i := range n {
		r := opening(i, policy.Exemption, "exempt", policy.Selector{Organizations: policy.OrganizationSelector{In: []string{workload.Organization(1000 + i)}}})
		changes = append(changes, policy.Change{Put: &r})
	}
	return changes
}

// approve returns an allow-list of n apps.
func approve(n int) []policy.Change {
	var carveOuts []policy.Release
	for i := range n {
		carveOuts = append(carveOuts, opening(i, policy.CarveOut, "", policy.Selector{Targets: policy.TargetSelector{In: []policy.Target{{App: workload.App(i)}}}}))
	}
	return []policy.Change{{Put: everyApp("allow-list", carveOuts...)}}
}

// suspend returns n directives of the root's about app 0.
func suspend(n int) []policy.Change {
	var changes []policy.Change
	for i := range n {
		d := everyApp(fmt.Sprintf("suspend-%05d", i))
		d.Provisions[0].Selector.Targets = policy.TargetSelector{In: []policy.Target{{App: workload.App(0)}}}
		changes = append(changes, policy.Change{Put: d})
	}
	return changes
}

// registry returns the world without its directives.
func registry(w workload.World) []policy.Change {
	var changes []policy.Change
	for _, c := range w.Changes {
		switch c.Put.(type) {
		case *policy.Directive, *policy.Release:
		default:
			changes = append(changes, c)
		}
	}
	return changes
}

// BenchmarkDecideShape measures what one question costs, by what is found, on the registry of W2. The pairs with 10 show
// that 10,000 of a thing cost what ten do, and what each directive about one app adds.
func BenchmarkDecideShape(b *testing.B) {
	base := foldWorld(b, registry(workload.W2()))
	ask := func(i, app int) policy.Query {
		return policy.Query{Organization: workload.Organization(i), App: workload.App(app), Purpose: "service.payment", At: workload.Now,
			Attributes: map[string]string{"data-sensitivity": "public", "device": "contractor"}}
	}
	coarse := ask(1001, 0)
	coarse.Purpose = ""
	for _, shape := range []struct {
		name    string
		changes []policy.Change
		query   policy.Query
	}{
		{"nothing applies", nil, ask(1001, 0)},
		{"one directive bites", suspend(1), ask(1001, 0)},
		{"no purpose, one directive bites", suspend(1), coarse},
		{"a release applies", approve(1), ask(1001, 0)},
		{"10 exemptions", exempt(10), ask(1001, 0)},
		{"10000 exemptions", exempt(10_000), ask(1001, 0)},
		{"10 approved apps", approve(10), ask(1001, 3)},
		{"5000 approved apps", approve(5_000), ask(1001, 3)},
		{"10 directives on one app", suspend(10), ask(1001, 0)},
		{"10000 directives on one app", suspend(10_000), ask(1001, 0)},
	} {
		s, err := base.Apply(2, shape.changes)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(shape.name, func(b *testing.B) { decideEach(b, s, []policy.Query{shape.query}) })
	}
}

// BenchmarkApply measures folding one entry of one resource into W2, by kind.
func BenchmarkApply(b *testing.B) {
	s := foldWorld(b, workload.W2().Changes)
	directive := s.Directive(workload.Directive(17))
	exemption := opening(0, policy.Exemption, directive.ID, policy.Selector{Organizations: policy.OrganizationSelector{In: []string{directive.Authority}}})
	moved := *s.Organization(workload.Organization(7))
	moved.Parent = workload.Organization(3)
	sold := *s.Vendor(workload.Vendor(1))
	sold.Parents = []policy.VendorPeriod{{Vendor: workload.Vendor(0), Window: policy.Always}}
	attribute := *s.Attribute("device")
	attribute.Values = append(attribute.Values[:len(attribute.Values):len(attribute.Values)], "robot")
	for name, change := range map[string]policy.Change{
		"organization new":   {Put: &policy.Organization{ID: "new", Parent: workload.Organization(9), Kind: "office"}},
		"organization moved": {Put: &moved},
		"organization gone":  {Delete: policy.Key{Kind: policy.KindOrganization, ID: workload.Organization(99_999)}},
		"vendor":             {Put: &sold},
		"app":                {Put: &policy.App{ID: "new", Tags: []string{"sns"}, Identifiers: []string{"ios:new.app"}}},
		"purpose":            {Put: &policy.Purpose{ID: "service.new"}},
		"attribute":          {Put: &attribute},
		"directive new":      {Put: everyApp("new")},
		"directive amended":  {Put: directive},
		"release":            {Put: &exemption},
		"concern":            {Put: &policy.ConcernState{Directive: directive.ID, Concern: "c"}},
		"statement":          {Put: &policy.Statement{Directive: directive.ID, ID: "s"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Apply(2, []policy.Change{change}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoosens measures, on W2, telling which directives an entry loosens, and how many those are.
func BenchmarkLoosens(b *testing.B) {
	s := foldWorld(b, workload.W2().Changes)
	moved := *s.Organization(workload.Organization(7))
	moved.Parent = workload.Organization(3)
	sold := *s.Vendor(workload.Vendor(2))
	sold.Parents = nil
	holding := *s.Vendor(workload.Vendor(0))
	holding.Countries = nil
	bought := *s.App(workload.App(1))
	bought.Ownerships, bought.Tags = nil, nil
	attribute := *s.Attribute("data-sensitivity")
	attribute.Values = append(slices.Clip(attribute.Values), "rumour")
	lift := opening(0, policy.Lift, workload.Directive(17), policy.Selector{})
	var moves, apps []policy.Change
	for i := range 1_000 {
		o, a := *s.Organization(workload.Organization(99_000 + i)), *s.App(workload.App(i))
		o.Parent, a.Ownerships = workload.Organization(3), nil
		moves, apps = append(moves, policy.Change{Put: &o}), append(apps, policy.Change{Put: &a})
	}
	for _, entry := range []struct {
		name    string
		changes []policy.Change
	}{
		{"organization moved", puts(&moved)},
		{"vendor sold", puts(&sold)},
		{"holding's country", puts(&holding)},
		{"app sold", puts(&bought)},
		{"1000 organizations moved", moves},
		{"1000 apps sold", apps},
		{"purpose", puts(&policy.Purpose{ID: "new"})},
		{"attribute", puts(&attribute)},
		{"directive amended", puts(s.Directive(workload.Directive(17)))},
		{"lift", puts(&lift)},
	} {
		b.Run(entry.name, func(b *testing.B) {
			b.ReportAllocs()
			var named []string
			var err error
			for b.Loop() {
				if named, err = policy.Loosens(s, entry.changes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(named)), "directives")
		})
	}
}

// BenchmarkTouched measures, on W1, telling what an entry touches and asking whether a query is among it.
func BenchmarkTouched(b *testing.B) {
	w := workload.W1()
	before := foldWorld(b, slices.Concat(w.Changes, exempt(10_000)))
	broad := everyApp("broad")
	targets := &broad.Provisions[0].Selector.Targets
	targets.All = false
	for i := range 5_000 {
		targets.In = append(targets.In, policy.Target{App: workload.App(i % 500), Tag: fmt.Sprint(i)})
	}
	exemption := opening(0, policy.Exemption, "exempt", policy.Selector{Organizations: policy.OrganizationSelector{In: []string{workload.Organization(1000)}}})
	for _, entry := range []struct {
		name   string
		change policy.Resource
	}{
		{"halt", before.Directive(workload.Directive(17))},
		{"nationwide", everyApp("new")},
		{"5000 targets", broad},
		{"10000 exemptions", before.Directive("exempt")},
		{"exemption", &exemption},
		{"organization", &policy.Organization{ID: "new", Parent: workload.Organization(0)}},
		{"vendor", before.Vendor(workload.Vendor(1))},
		{"app", before.App(workload.App(1))},
	} {
		changes := []policy.Change{{Put: entry.change}}
		after, err := before.Apply(2, changes)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(entry.name, func(b *testing.B) { touchEach(b, before, after, changes, w.Queries) })
	}
}

func touchEach(b *testing.B, before, after *policy.Snapshot, changes []policy.Change, queries []policy.Query) {
	touched := after.Touched(before, changes)
	b.Run("build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			after.Touched(before, changes)
		}
	})
	b.Run("Query", func(b *testing.B) {
		b.ReportAllocs()
		var asked, among int
		for b.Loop() {
			q := &queries[asked%len(queries)]
			if touched.Query(q.Organization, q.App) {
				among++
			}
			asked++
		}
		b.ReportMetric(float64(among)/float64(asked), "touched/op")
	})
}
