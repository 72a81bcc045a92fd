package policy_test

import (
	"maps"
	"slices"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// retouch changes one small thing of the world, to whatever effect. The former world stays as it was.
func (g *generator) retouch() {
	g.world = maps.Clone(g.world)
	pick(g.dice, []func(){g.retouchDirective, g.retouchDirective, g.retouchDirective, g.retouchOrganization, g.retouchApp, g.retouchApp, g.replace, g.retouchAndDelete})()
}

// retouchAndDelete drops from a text, it may be, what named something, and deletes that too.
func (g *generator) retouchAndDelete() {
	g.retouchDirective()
	for range 4 {
		g.delete()
	}
}

// retouchDirective changes one facet of a text, or one term beside it.
func (g *generator) retouchDirective() {
	standing := g.standing()
	if len(standing) == 0 {
		return
	}
	d := *pick(g.dice, standing)
	d.Provisions, d.CarveOuts = slices.Clone(d.Provisions), slices.Clone(d.CarveOuts)
	pick(g.dice, []func(){
		func() { d.Window = g.shifted(d.Window) },
		func() { d.DeviceAction = policy.DeviceAction(g.IntN(2)) },
		func() { d.Supersedes = nil },
		func() { g.retouchProvision(&d) }, func() { g.retouchProvision(&d) }, func() { g.retouchProvision(&d) },
		func() { g.retouchCarveOut(&d) }, func() { g.retouchCarveOut(&d) },
	})()
	g.put(&d)
}

// shifted is the window with one end elsewhere; it begins at an instant.
func (g *generator) shifted(w policy.Window) policy.Window {
	if g.one(2) {
		return policy.Window{Start: g.instant(), End: w.End}
	}
	return policy.Window{Start: w.Start, End: pick(g.dice, []policy.Instant{g.instant(), policy.Forever})}
}

func (g *generator) retouchProvision(d *policy.Directive) {
	if len(d.Provisions) == 0 {
		return
	}
	p := &d.Provisions[g.IntN(len(d.Provisions))]
	if g.one(8) {
		p.Force = policy.Binding + policy.Force(g.IntN(2))
		return
	}
	p.Selector = g.retouched(p.Selector)
	if !p.Selector.Organizations.Names() {
		p.Selector.Organizations.All = true
	}
	if !p.Selector.Targets.Names() {
		p.Selector.Targets.All = true
	}
}

func (g *generator) retouchCarveOut(d *policy.Directive) {
	if len(d.CarveOuts) == 0 {
		return
	}
	i := g.IntN(len(d.CarveOuts))
	switch c := &d.CarveOuts[i]; g.IntN(4) {
	case 0:
		d.CarveOuts = slices.Delete(d.CarveOuts, i, i+1)
	case 1:
		c.Provisions = nil
		for _, p := range some(g.dice, 2, d.Provisions) {
			c.Provisions = append(c.Provisions, p.ID)
		}
	default:
		c.Selector = g.retouched(c.Selector)
	}
}

// retouched is the selector with an element more or less in one of its facets.
func (g *generator) retouched(s policy.Selector) policy.Selector {
	organizations, purposes := ids[*policy.Organization](g.world), ids[*policy.Purpose](g.world)
	pick(g.dice, []func(){
		func() {
			s.Organizations.In, s.Organizations.All = oneOther(g.dice, s.Organizations.In, organizations), false
		},
		func() { s.Organizations.Out = oneOther(g.dice, s.Organizations.Out, organizations) },
		func() { s.Organizations.Kinds = oneOther(g.dice, s.Organizations.Kinds, kinds[2:]) },
		func() { s.Targets.In, s.Targets.All = g.retouchedTargets(s.Targets.In), false },
		func() { s.Targets.Out = g.retouchedTargets(s.Targets.Out) },
		func() { s.Purposes.In = oneOther(g.dice, s.Purposes.In, purposes) },
		func() { s.Purposes.Out = oneOther(g.dice, s.Purposes.Out, purposes) },
		func() { s.Conditions = g.retouchedConditions(s.Conditions) },
		func() { s.Window = g.shifted(s.Window) },
	})()
	return s
}

// oneOther is the list with one element added, dropped or changed.
func oneOther[E comparable](d *dice, list, all []E) []E {
	list = slices.Clone(list)
	if len(list) > 0 && d.one(2) {
		i := d.IntN(len(list))
		list = slices.Delete(list, i, i+1)
	}
	if len(all) > 0 && d.one(2) {
		list = append(list, pick(d, all))
	}
	return list
}

func (g *generator) retouchedTargets(list []policy.Target) []policy.Target {
	list = oneOther(g.dice, list, g.targets())
	for i := range list {
		if t := list[i]; g.one(2) {
			*pick(g.dice, []*string{&t.App, &t.Vendor, &t.Tag, &t.Country}) = ""
			if t != (policy.Target{}) {
				list[i] = t
			}
		}
	}
	return list
}

func (g *generator) retouchedConditions(list []policy.Condition) []policy.Condition {
	list = slices.Clone(list)
	if len(list) == 0 || g.one(4) {
		return g.conditions()
	}
	i := g.IntN(len(list))
	a := g.world[policy.Key{Kind: policy.KindAttribute, ID: list[i].Attribute}].(*policy.Attribute)
	if list[i].Values = oneOther(g.dice, list[i].Values, a.Values); len(list[i].Values) == 0 {
		list = slices.Delete(list, i, i+1)
	}
	return list
}

func (g *generator) retouchOrganization() {
	o := *pick(g.dice, all[*policy.Organization](g.world))
	pick(g.dice, []func(){
		func() { o.Kind = pick(g.dice, kinds) },
		func() { o.Parent = g.freeParent(o.ID) },
		func() { o.Aliases = g.unheld(aliases, o.ID) },
	})()
	g.put(&o)
}

func (g *generator) retouchApp() {
	a := *pick(g.dice, all[*policy.App](g.world))
	pick(g.dice, []func(){
		func() { a.Tags = some(g.dice, 2, tags[:3]) },
		func() { a.Identifiers = g.unheld(identifiers, a.ID) },
		func() { a.OnStale = policy.OnStale(g.IntN(2)) },
		func() { a.Ownerships = g.newApp(a.ID).Ownerships },
	})()
	g.put(&a)
}

// replace deletes something that nothing names, and registers something of the kind.
func (g *generator) replace() {
	g.delete()
	pick(g.dice, []func(){g.growPurposes, g.changeApp, g.changeOrganization, func() {}})()
}

// endOnlySooner undoes what the law forbids to releases: that they end later than they did before.
func (g *generator) endOnlySooner(before world) {
	for _, r := range all[*policy.Release](g.world) {
		if was, ok := before[r.Key()].(*policy.Release); ok && r.EndTime > was.EndTime {
			g.put(was)
		}
	}
}

// tighten changes something that can make no answer milder, and says what.
func (g *generator) tighten() string {
	g.world = maps.Clone(g.world)
	registry := map[string]func(){
		"a new organization":              func() { g.put(g.newOrganization(g.id("o"))) },
		"a new vendor":                    func() { g.put(g.newVendorBeside()) },
		"a new app without identifiers":   func() { a := g.newApp(g.id("p")); a.Identifiers = nil; g.put(a) },
		"a new attribute":                 func() { g.put(&policy.Attribute{ID: g.id("n"), Values: []string{"x"}}) },
		"a purpose beneath another":       g.addChildPurpose,
		"names, labels and retirement":    g.rename,
		"an alias more":                   g.addAlias,
		"an end of a release":             g.endRelease,
		"a release of what only advises":  g.releaseAdvice,
		"a concern's state, a statement":  g.changeConcern,
		"a directive that ends none":      func() { g.put(g.newDirectiveAlone()) },
		"an app that is no longer served": g.denyWhenStale,
	}
	if names := slices.Sorted(maps.Keys(registry)); g.one(2) {
		name := pick(g.dice, names)
		registry[name]()
		return name
	}
	return g.tightenText()
}

// tightenText amends a directive so that it holds more.
func (g *generator) tightenText() string {
	standing := g.standing()
	if len(standing) == 0 {
		return "nothing"
	}
	d := *pick(g.dice, standing)
	d.Provisions, d.CarveOuts = slices.Clone(d.Provisions), slices.Clone(d.CarveOuts)
	texts := map[string]func(){
		"another title":                 func() { d.Title, d.Rationale, d.Number = policy.TextOf(map[string]string{"en": g.id("t")}), "why", "1" },
		"an earlier effective time":     func() { d.Window.Start--; d.Supersedes = nil },
		"a later expiry":                func() { d.Window.End = policy.Forever },
		"a provision more":              func() { d.Provisions = append(d.Provisions, g.newProvision(g.id("p"))) },
		"another order":                 func() { shuffle(g.dice, d.Provisions); shuffle(g.dice, d.CarveOuts) },
		"a carve-out less":              func() { d.CarveOuts = some(g.dice, len(d.CarveOuts), d.CarveOuts) },
		"superseding nothing":           func() { d.Supersedes = nil },
		"more approvals":                func() { d.LiftApprovals++ },
		"devices that block":            func() { d.DeviceAction = policy.DeviceBlock },
		"no exemptions":                 func() { d.ExemptionRules = nil },
		"stricter exemptions":           func() { d.ExemptionRules = stricter(d.ExemptionRules) },
		"a concern more":                func() { d.Concerns = append(slices.Clone(d.Concerns), policy.Concern{ID: g.id("c")}) },
		"provisions that hold for more": func() { eachOf(d.Provisions, func(p *policy.Provision) { g.widen(&p.Selector) }) },
		"messages": func() {
			eachOf(d.Provisions, func(p *policy.Provision) { p.Message = policy.TextOf(map[string]string{"en": g.id("m")}) })
		},
		"advice that binds": func() { eachOf(d.Provisions, func(p *policy.Provision) { p.Force = policy.Binding }) },
		"carve-outs that end": func() {
			eachOf(d.CarveOuts, func(c *policy.Release) { c.Selector.Window.End = min(c.Selector.Window.End, g.instant()) })
		},
		"carve-outs that oblige to more": func() {
			eachOf(d.CarveOuts, func(c *policy.Release) {
				c.Obligations = append(slices.Clip(c.Obligations), policy.Obligation{ID: "log"})
			})
		},
		"carve-outs for fewer circumstances": func() {
			eachOf(d.CarveOuts, func(c *policy.Release) {
				c.Selector.Conditions = append(slices.Clip(c.Selector.Conditions), g.conditions()...)
			})
		},
	}
	name := pick(g.dice, slices.Sorted(maps.Keys(texts)))
	texts[name]()
	g.put(&d)
	return name
}

func eachOf[E any](list []E, do func(*E)) {
	for i := range list {
		do(&list[i])
	}
}

// widen lets the selector be true of more, by one facet.
func (g *generator) widen(s *policy.Selector) {
	everything := func() { s.Organizations.In, s.Organizations.All = nil, true }
	pick(g.dice, []func(){
		everything,
		func() { s.Organizations.Out = some(g.dice, 2, s.Organizations.Out) },
		func() { s.Organizations.Kinds = nil },
		func() { s.Targets.In, s.Targets.All = nil, true },
		func() { s.Targets.Out = some(g.dice, 2, s.Targets.Out) },
		func() {
			if s.Targets.In = slices.Clone(s.Targets.In); len(s.Targets.In) > 0 {
				s.Targets.In = append(s.Targets.In, g.targets()...)
			}
		},
		func() { s.Purposes.In = nil },
		func() { s.Purposes.Out = some(g.dice, 2, s.Purposes.Out) },
		func() { s.Conditions = some(g.dice, 2, s.Conditions) },
		func() { s.Window = policy.Always },
		func() {
			if s.Organizations.In = slices.Clone(s.Organizations.In); len(s.Organizations.In) > 0 {
				s.Organizations.In = append(s.Organizations.In, pick(g.dice, ids[*policy.Organization](g.world)))
			}
		},
	})()
}

func stricter(r *policy.ExemptionRules) *policy.ExemptionRules {
	if r == nil {
		return nil
	}
	s := *r
	s.Approver, s.LongestDuration = policy.ApproverAuthority, time.Hour
	s.Obligations = append(slices.Clip(s.Obligations), policy.Obligation{ID: "delete"})
	s.NotWhole = append(slices.Clip(s.NotWhole), "ministry")
	return &s
}

func (g *generator) newVendorBeside() *policy.Vendor {
	id := g.id("v")
	return &policy.Vendor{ID: id, Countries: []policy.CountryPeriod{{Country: "JP", Window: policy.Always}}}
}

func (g *generator) addChildPurpose() {
	purposes := ids[*policy.Purpose](g.world)
	if len(purposes) > 0 && len(purposes) < policy.MaxPurposes {
		g.put(&policy.Purpose{ID: pick(g.dice, purposes) + "." + g.id("n")})
	}
}

func (g *generator) rename() {
	names := policy.TextOf(map[string]string{"en": "renamed"})
	labels := map[string]string{"seat": "moved"}
	switch r := g.world[pick(g.dice, g.keys())].(type) {
	case *policy.Organization:
		c := *r
		c.Names, c.Labels, c.Retired = names, labels, !c.Retired
		g.put(&c)
	case *policy.Vendor:
		c := *r
		c.Names, c.Labels, c.Retired = names, labels, !c.Retired
		g.put(&c)
	case *policy.App:
		c := *r
		c.Names, c.Labels, c.Retired = names, labels, !c.Retired
		g.put(&c)
	case *policy.Purpose:
		c := *r
		c.Names, c.Retired = names, !c.Retired
		g.put(&c)
	case *policy.Attribute:
		c := *r
		c.Names, c.Retired, c.Values = names, !c.Retired, slices.Clone(c.Values)
		shuffle(g.dice, c.Values)
		g.put(&c)
	}
}

func (g *generator) addAlias() {
	o := *pick(g.dice, all[*policy.Organization](g.world))
	for _, alias := range g.unheld(aliases, o.ID) {
		o.Aliases = appendOnce(slices.Clip(o.Aliases), alias)
	}
	g.put(&o)
}

func (g *generator) endRelease() {
	if releases := all[*policy.Release](g.world); len(releases) > 0 {
		r := *pick(g.dice, releases)
		r.EndTime = min(r.EndTime, g.instant())
		g.put(&r)
	}
}

func (g *generator) releaseAdvice() {
	for _, d := range g.standing() {
		for _, p := range d.Provisions {
			if p.Force == policy.Advisory {
				r := g.newRelease(d, g.id("r"))
				r.Provisions = []string{p.ID}
				g.put(&r)
				return
			}
		}
	}
}

func (g *generator) newDirectiveAlone() *policy.Directive {
	d := &policy.Directive{ID: g.id("d"), Authority: pick(g.dice, ids[*policy.Organization](g.world)), Window: policy.Window{Start: g.instant(), End: policy.Forever}}
	g.writeText(d, nil)
	return d
}

func (g *generator) denyWhenStale() {
	a := *pick(g.dice, all[*policy.App](g.world))
	a.OnStale = policy.StaleDeny
	g.put(&a)
}
