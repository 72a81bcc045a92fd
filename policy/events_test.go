package policy_test

import (
	"maps"
	"slices"

	"github.com/teishi-dev/teishi/policy"
)

// event lets something happen to the world, as one entry would. The former world stays as it was.
func (g *generator) event() { g.happen(1 + g.IntN(3)) }

func (g *generator) happen(times int) {
	g.world = maps.Clone(g.world)
	for range times {
		pick(g.dice, []func(){
			g.amend, g.amend, g.withdraw, g.addDirective, g.addRelease, g.addRelease, g.revoke, g.changeConcern,
			g.changeOrganization, g.changeOrganization, g.changeVendor, g.changeApp, g.changeAttribute, g.growPurposes, g.delete, g.delete,
		})()
	}
}

// standing are the directives that are not withdrawn: the others take no more writes.
func (g *generator) standing() []*policy.Directive {
	return slices.DeleteFunc(all[*policy.Directive](g.world), func(d *policy.Directive) bool { return d.Withdrawal != nil })
}

func (g *generator) amend() {
	standing := g.standing()
	if len(standing) == 0 {
		return
	}
	d := *pick(g.dice, standing)
	if g.one(2) {
		d.Window = g.window()
		d.Window.Start = g.instant()
	}
	if g.one(3) {
		d.Supersedes = nil
		if other := pick(g.dice, ids[*policy.Directive](g.world)); !g.supersedes(other, d.ID) {
			d.Supersedes = []string{other}
		}
	}
	if g.one(2) {
		var kept []string
		for _, r := range all[*policy.Release](g.world) {
			for _, p := range r.Provisions {
				if r.Directive == d.ID {
					kept = appendOnce(kept, p)
				}
			}
		}
		g.writeText(&d, kept)
	}
	g.put(&d)
}

// supersedes reports whether a directive is or supersedes another, in however many steps.
func (g *generator) supersedes(from, to string) bool {
	if from == to {
		return true
	}
	d := g.world[policy.Key{Kind: policy.KindDirective, ID: from}].(*policy.Directive)
	return slices.ContainsFunc(d.Supersedes, func(s string) bool { return g.supersedes(s, to) })
}

func (g *generator) withdraw() {
	if standing := g.standing(); len(standing) > 0 && g.one(2) {
		d := *pick(g.dice, standing)
		d.Withdrawal = &policy.Withdrawal{Time: g.instant(), Reason: "void"}
		g.put(&d)
	}
}

func (g *generator) addRelease() {
	if standing := g.standing(); len(standing) > 0 {
		r := g.newRelease(pick(g.dice, standing), g.id("r"))
		g.put(&r)
	}
}

func (g *generator) revoke() {
	if releases := all[*policy.Release](g.world); len(releases) > 0 {
		r := *pick(g.dice, releases)
		r.EndTime = g.instant()
		g.put(&r)
	}
}

func (g *generator) changeConcern() {
	standing := g.standing()
	if len(standing) == 0 {
		return
	}
	c := &policy.ConcernState{Directive: pick(g.dice, standing).ID, Concern: "c", Resolved: g.one(2), Time: g.instant()}
	if g.one(4) {
		delete(g.world, c.Key())
		return
	}
	g.put(c)
}

// changeOrganization moves one or adds one.
func (g *generator) changeOrganization() {
	id := pick(g.dice, ids[*policy.Organization](g.world))
	if g.one(4) {
		id = g.id("o")
	}
	g.put(g.newOrganization(id))
}

func (g *generator) changeVendor() {
	id := g.id("v")
	if vendors := ids[*policy.Vendor](g.world); len(vendors) > 0 && !g.one(4) {
		id = pick(g.dice, vendors)
	} else {
		g.put(&policy.Vendor{ID: id})
	}
	if len(ids[*policy.Vendor](g.world)) <= policy.MaxDepth {
		g.put(g.newVendor(id))
	}
}

func (g *generator) changeApp() {
	id := pick(g.dice, ids[*policy.App](g.world))
	if g.one(4) {
		id = g.id("p")
	}
	g.put(g.newApp(id))
}

// changeAttribute adds a value, in any place, or takes one that no condition names or stands above.
func (g *generator) changeAttribute() {
	attributes := all[*policy.Attribute](g.world)
	if len(attributes) == 0 {
		return
	}
	a := *pick(g.dice, attributes)
	a.Values = slices.Clone(a.Values)
	value := pick(g.dice, slices.Concat(platforms, acts, circumstances))
	if i := slices.Index(a.Values, value); i < 0 && len(a.Values) < policy.MaxValues {
		a.Values = append(a.Values, value)
		shuffle(g.dice, a.Values)
	} else if i >= 0 && len(a.Values) > 1 && !g.conditioned(a.ID, value) {
		a.Values = slices.Delete(a.Values, i, i+1)
	}
	g.put(&a)
}

func (g *generator) conditioned(attribute, value string) bool {
	named := func(s policy.Selector) bool {
		return slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
			return c.Attribute == attribute && slices.Contains(c.Values, value)
		})
	}
	for _, r := range g.world {
		switch r := r.(type) {
		case *policy.Directive:
			if slices.ContainsFunc(r.Provisions, func(p policy.Provision) bool { return named(p.Selector) }) ||
				slices.ContainsFunc(r.CarveOuts, func(c policy.Release) bool { return named(c.Selector) }) {
				return true
			}
		case *policy.Release:
			if named(r.Selector) {
				return true
			}
		}
	}
	return false
}

func (g *generator) growPurposes() { g.addPurposes(1 + g.IntN(2)) }

// delete removes something of the registry that nothing names, but never the last organization or app.
func (g *generator) delete() {
	named := map[policy.Key]bool{}
	for _, r := range g.world {
		for _, k := range references(r) {
			named[k] = true
		}
	}
	keys := slices.DeleteFunc(g.keys(), func(k policy.Key) bool { return named[k] || k.Kind >= policy.KindDirective })
	if len(keys) == 0 {
		return
	}
	k := pick(g.dice, keys)
	if last := len(ids[*policy.Organization](g.world)); k.Kind == policy.KindOrganization && last == 1 {
		return
	}
	if last := len(ids[*policy.App](g.world)); k.Kind == policy.KindApp && last == 1 {
		return
	}
	delete(g.world, k)
}
