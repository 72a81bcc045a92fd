package policy_test

import (
	"fmt"

	"github.com/teishi-dev/teishi/policy"
)

// addDirective issues one, with releases, and sometimes with concerns and statements, which matter to nothing.
func (g *generator) addDirective() {
	d := &policy.Directive{
		ID: g.id("d"), Authority: pick(g.dice, ids[*policy.Organization](g.world)), Window: g.window(),
		Supersedes: some(g.dice, 1, ids[*policy.Directive](g.world)),
	}
	d.Window.Start = g.instant()
	if g.crowded || g.one(2) {
		d.Window.Start = g.epoch - policy.Instant(g.span)
		d.Supersedes = nil
	}
	if g.one(2) {
		d.Supersedes = nil
	}
	g.writeText(d, nil)
	if g.one(8) {
		d.Withdrawal = &policy.Withdrawal{Time: g.instant(), Reason: "void"}
	}
	g.put(d)
	for range g.IntN(g.releases + 1) {
		r := g.newRelease(d, g.id("r"))
		g.put(&r)
	}
	if g.one(3) {
		g.put(&policy.ConcernState{Directive: d.ID, Concern: "c", Resolved: g.one(2), Time: g.instant()})
		g.put(&policy.Statement{Directive: d.ID, ID: "s", Text: "answered", Time: g.instant()})
	}
}

// writeText gives the directive provisions, those of kept ids among them, carve-outs and a device action.
func (g *generator) writeText(d *policy.Directive, kept []string) {
	d.DeviceAction = policy.DeviceAction(g.IntN(2))
	d.ExemptionRules = nil
	if g.one(2) {
		d.ExemptionRules = &policy.ExemptionRules{Grounds: []policy.Ground{{ID: "g"}}, Obligations: g.obligations()}
	}
	d.Concerns = []policy.Concern{{ID: "c", Text: "why"}}
	d.Provisions, d.CarveOuts = nil, nil
	for _, id := range kept {
		d.Provisions = append(d.Provisions, g.newProvision(id))
	}
	for range max(1+g.IntN(g.provisions)-len(kept), 0) {
		d.Provisions = append(d.Provisions, g.newProvision(g.id("p")))
	}
	shuffle(g.dice, d.Provisions)
	for range g.IntN(g.releases+1) / 2 {
		c := g.newRelease(d, g.id("c"))
		c.Kind, c.EndTime = policy.CarveOut, policy.Forever
		d.CarveOuts = append(d.CarveOuts, c)
	}
}

func (g *generator) newProvision(id string) policy.Provision {
	p := policy.Provision{ID: id, Force: policy.Binding, Selector: g.selector(true)}
	if g.one(4) {
		p.Force = policy.Advisory
	}
	for range g.IntN(3) {
		p.Alternatives = append(p.Alternatives, policy.Alternative{ID: fmt.Sprintf("alternative-%d", g.IntN(3)), Text: pick(g.dice, []string{"the same", id})})
	}
	return p
}

func (g *generator) newRelease(d *policy.Directive, id string) policy.Release {
	r := policy.Release{ID: id, Directive: d.ID, Kind: policy.Lift, Selector: g.selector(false), Obligations: g.obligations(), EndTime: policy.Forever}
	for _, p := range some(g.dice, 2, d.Provisions) {
		r.Provisions = append(r.Provisions, p.ID)
	}
	if g.one(3) {
		r.Kind = policy.Exemption // with or without a ground: only the ground matters
	}
	if g.one(3) {
		r.Ground = "g"
	}
	if g.one(4) {
		r.EndTime = g.instant()
	}
	if directives := ids[*policy.Directive](g.world); len(directives) > 0 && g.one(3) {
		r.Instrument = pick(g.dice, directives)
	}
	return r
}

func (g *generator) obligations() []policy.Obligation {
	return some(g.dice, 2, []policy.Obligation{{ID: "report", Text: "monthly"}, {ID: "report", Text: "weekly"}, {ID: "train"}})
}

// selector is random; a provision's names organizations and targets.
func (g *generator) selector(provision bool) policy.Selector {
	s := policy.Selector{Window: policy.Always}
	if g.often() {
		s.Window = g.window()
	}
	if provision || g.often() && g.one(2) {
		s.Organizations = g.organizationSelector()
	}
	if provision || g.often() && g.one(2) {
		s.Targets = g.targetSelector()
	}
	if g.often() && g.one(2) {
		s.Purposes = g.purposeSelector()
	}
	if g.undecided || g.often() && g.one(2) {
		s.Conditions = g.conditions()
	}
	if g.pointed && !provision {
		g.point(&s)
	}
	return s
}

// point leaves one organization, or one app, or both.
func (g *generator) point(s *policy.Selector) {
	to := g.IntN(3)
	if to > 0 || g.exempting {
		s.Organizations = policy.OrganizationSelector{In: few(g.dice, 1, ids[*policy.Organization](g.world))}
	}
	if to < 2 {
		s.Targets = policy.TargetSelector{In: []policy.Target{{App: pick(g.dice, ids[*policy.App](g.world))}}}
	}
}

// often is true, but seldom in a crowded world.
func (g *generator) often() bool { return !g.crowded || g.one(8) }

func (g *generator) organizationSelector() policy.OrganizationSelector {
	organizations := ids[*policy.Organization](g.world)
	var s policy.OrganizationSelector
	if s.All = g.undecided || g.crowded && g.one(2) || g.one(3); !s.All {
		s.In = few(g.dice, max(3, g.breadth), organizations)
	}
	if g.often() && g.one(4) {
		s.Out = few(g.dice, 2, organizations)
	}
	if g.often() && g.one(5) {
		s.Kinds = few(g.dice, 2, []string{"city", "ministry", "office", "unused"})
	}
	return s
}

func (g *generator) targetSelector() policy.TargetSelector {
	var s policy.TargetSelector
	if s.All = g.undecided || g.crowded && g.one(2) || g.one(3); !s.All {
		s.In = g.targets()
	}
	if g.often() && g.one(4) {
		s.Out = g.targets()
	}
	return s
}

func (g *generator) targets() []policy.Target {
	vendors, apps := ids[*policy.Vendor](g.world), ids[*policy.App](g.world)
	n := 1 + g.IntN(max(3, g.breadth))
	if g.one(20) {
		n = 8 + g.IntN(6)
	}
	targets := make([]policy.Target, n)
	for i := range targets {
		t := &targets[i]
		for *t == (policy.Target{}) {
			switch n := g.IntN(5 + g.breadth); {
			case n > 4, n == 0:
				t.App = pick(g.dice, apps)
			case n == 1:
				t.Tag = pick(g.dice, tags)
			case n == 2:
				t.Country = pick(g.dice, countries)
			case n == 3:
				t.Tag, t.Country = pick(g.dice, tags), pick(g.dice, countries)
			}
			if len(vendors) > 0 && g.one(3) {
				t.Vendor = pick(g.dice, vendors)
			}
		}
	}
	return targets
}

func (g *generator) purposeSelector() policy.PurposeSelector {
	purposes := ids[*policy.Purpose](g.world)
	s := policy.PurposeSelector{In: some(g.dice, 2, purposes)}
	if g.one(3) {
		s.Out = some(g.dice, 2, purposes)
	}
	return s
}

// conditions name values that are registered; two may be about one attribute.
func (g *generator) conditions() []policy.Condition {
	attributes := all[*policy.Attribute](g.world)
	var conditions []policy.Condition
	for range 1 + g.IntN(2) {
		if len(attributes) > 0 {
			a := pick(g.dice, attributes)
			conditions = append(conditions, policy.Condition{Attribute: a.ID, Values: few(g.dice, 3, a.Values)})
		}
	}
	return conditions
}
