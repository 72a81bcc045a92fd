// Package workload makes the worlds that benchmarks measure: always the same ones, so that figures can be compared.
//
//	W1: a country at work. 12,000 organizations, 500 apps, 1,050 directives and exemptions.
//	W2: everything at once. 100,000 organizations eight deep, 10,000 apps, 100,000 directives.
package workload

import (
	"fmt"
	"math/rand/v2"

	"github.com/teishi-dev/teishi/policy"
)

// World is a policy to fold into policy.New() as one entry, and distinct questions with two attributes each to put to it.
type World struct {
	Changes []policy.Change
	Queries []policy.Query
}

// Now is the instant of every query: 2026-01-01T00:00:00Z.
const Now policy.Instant = 1_767_225_600_000_000

// Day is how many microseconds a day has.
const Day policy.Instant = 24 * 60 * 60 * 1_000_000

const queries = 1024

var (
	kinds       = []string{"ministry", "agency", "prefecture", "municipality", "ward", "office"}
	tags        = []string{"sns", "messaging", "video", "generative-ai", "storage", "payment", "meeting", "game", "map", "security"}
	countries   = []string{"JP", "US", "CN", "KR", "RU", "DE", "FR", "GB", "SG", "IN", "IL", "SE"}
	sensitivity = []string{"public", "internal", "confidential", "secret"}
	devices     = []string{"government-issued", "government-issued.standalone", "contractor", "personal"}
	purposes    = []string{"internal", "internal.messaging", "internal.scheduling", "public", "public.broadcast", "public.recruitment",
		"feedback", "feedback.questionnaire", "feedback.opinion", "feedback.inquiry", "service", "service.application",
		"service.payment", "service.reservation", "counselling", "counselling.child", "health", "health.monitoring"}
)

// maker makes one world.
type maker struct {
	*rand.Rand
	World
	parents []int // of each organization, -1 for the root
	fanOut  int   // organizations under each
	apps    int
	vendors int
	broad   int // three directives in so many are about a vendor, a country or a tag
}

// W1 returns the smaller world.
func W1() World {
	return generate(&maker{fanOut: 48, apps: 500, vendors: 80, broad: 40}, 12_000, 950, 100)
}

// W2 returns the larger world.
func W2() World {
	return generate(&maker{fanOut: 5, apps: 10_000, vendors: 1_500, broad: 400}, 100_000, 100_000, 0)
}

func generate(m *maker, organizations, directives, exemptions int) World {
	m.Rand = rand.New(rand.NewPCG(2021, 3))
	m.vocabulary()
	m.organizations(organizations)
	m.catalogue()
	for i := range directives {
		m.directive(i)
	}
	for i := range exemptions {
		m.exemption(i, i*7%directives)
	}
	for i := range queries {
		m.query(i)
	}
	return m.World
}

func (m *maker) put(r policy.Resource) { m.Changes = append(m.Changes, policy.Change{Put: r}) }

func (m *maker) vocabulary() {
	for _, id := range purposes {
		m.put(&policy.Purpose{ID: id})
	}
	m.put(&policy.Attribute{ID: "data-sensitivity", Values: sensitivity})
	m.put(&policy.Attribute{ID: "device", Values: devices})
	m.put(&policy.Attribute{ID: "platform", Values: []string{"ios", "android", "macos", "windows", "linux", "web"}})
	m.put(&policy.Attribute{ID: "act", Values: []string{"install", "use", "web-access", "procure", "develop"}})
}

// organizations makes one tree as wide as fanOut.
func (m *maker) organizations(n int) {
	for i := range n {
		o := &policy.Organization{ID: Organization(i), Kind: kinds[m.IntN(len(kinds))], Names: policy.TextOf(map[string]string{"en": fmt.Sprintf("Organization %d", i)})}
		m.parents = append(m.parents, (i+m.fanOut-1)/m.fanOut-1)
		if i > 0 {
			o.Parent = Organization(m.parents[i])
		}
		m.put(o)
	}
}

// Organization returns the id of the i-th organization.
func Organization(i int) string { return fmt.Sprintf("organization-%06d", i) }

// App returns the id of the i-th app.
func App(i int) string { return fmt.Sprintf("app-%05d", i) }

// Vendor returns the id of the i-th vendor.
func Vendor(i int) string { return fmt.Sprintf("vendor-%04d", i) }

// Directive returns the id of the i-th directive.
func Directive(i int) string { return fmt.Sprintf("directive-%06d", i) }

// catalogue makes vendors, a third of them owned by another, and apps with one owner, one or two tags and an identifier.
// Every tenth app changed hands.
func (m *maker) catalogue() {
	for i := range m.vendors {
		v := &policy.Vendor{ID: Vendor(i), Countries: []policy.CountryPeriod{{Country: countries[m.IntN(len(countries))], Window: policy.Always}}}
		if i%3 == 2 {
			v.Parents = []policy.VendorPeriod{{Vendor: Vendor(m.IntN(i)), Window: policy.Always}}
		}
		m.put(v)
	}
	for i := range m.apps {
		a := &policy.App{ID: App(i), Names: policy.TextOf(map[string]string{"en": fmt.Sprintf("App %d", i)}), Identifiers: []string{fmt.Sprintf("ios:org.example.app%d", i)},
			Tags: []string{tags[i%len(tags)]}, Ownerships: []policy.VendorPeriod{{Vendor: Vendor(m.IntN(m.vendors)), Window: policy.Always}}}
		if i%10 == 0 {
			sold := Now - policy.Instant(m.IntN(1000))*Day
			a.Ownerships = []policy.VendorPeriod{
				{Vendor: Vendor(m.IntN(m.vendors)), Window: policy.Window{Start: policy.Beginning, End: sold}},
				{Vendor: Vendor(m.IntN(m.vendors)), Window: policy.Window{Start: sold, End: policy.Forever}},
			}
		}
		m.put(a)
	}
}

// directive makes the i-th directive: mostly of a lower body about one app, now and then of a higher one about a vendor,
// a country or a tag; one in ten advisory, one in eight with a carve-out.
func (m *maker) directive(i int) {
	authority := m.organization(i)
	sel := policy.Selector{
		Organizations: policy.OrganizationSelector{In: []string{authority}},
		Targets:       policy.TargetSelector{In: []policy.Target{m.target(i)}},
		Window:        policy.Always,
	}
	if i%3 == 0 {
		sel.Purposes.In = []string{purposes[m.IntN(len(purposes))]}
	}
	if i%4 == 0 {
		sel.Conditions = []policy.Condition{{Attribute: "data-sensitivity", Values: []string{"confidential", "secret"}}}
	}
	force := policy.Binding
	if i%10 == 9 {
		force = policy.Advisory
	}
	d := &policy.Directive{
		ID: Directive(i), Number: fmt.Sprintf("No. %d", i), Title: policy.TextOf(map[string]string{"en": "Suspension"}), Authority: authority,
		Window:         policy.Window{Start: Now - policy.Instant(1+m.IntN(900))*Day, End: policy.Forever},
		Provisions:     []policy.Provision{{ID: "p", Selector: sel, Force: force, Message: policy.TextOf(map[string]string{"en": "Not to be used."})}},
		ExemptionRules: &policy.ExemptionRules{Grounds: []policy.Ground{{ID: "mission", Text: "Mission"}}},
	}
	if i%5 == 0 {
		d.Window.End = Now + policy.Instant(1+m.IntN(300))*Day
	}
	if i%8 == 0 {
		d.CarveOuts = []policy.Release{{ID: "c", Directive: d.ID, Kind: policy.CarveOut, EndTime: policy.Forever,
			Selector: policy.Selector{Window: policy.Always, Purposes: policy.PurposeSelector{In: []string{"counselling"}}}}}
	}
	m.put(d)
}

// organization returns whose the i-th directive is: of ten, one of a high body, the others of any.
func (m *maker) organization(i int) string {
	if i%10 == 0 {
		return Organization(m.IntN(len(m.parents)/200 + 1))
	}
	return Organization(m.IntN(len(m.parents)))
}

func (m *maker) target(i int) policy.Target {
	switch i % m.broad {
	case m.broad / 4:
		return policy.Target{Tag: tags[m.IntN(len(tags))], Country: countries[m.IntN(len(countries))]}
	case m.broad / 2:
		return policy.Target{Vendor: Vendor(m.IntN(m.vendors))}
	case m.broad / 4 * 3:
		return policy.Target{Country: countries[m.IntN(len(countries))]}
	}
	return policy.Target{App: App(m.IntN(m.apps))}
}

func (m *maker) exemption(i, directive int) {
	m.put(&policy.Release{
		ID: fmt.Sprintf("exemption-%d", i), Directive: Directive(directive), Kind: policy.Exemption, EndTime: policy.Forever,
		Ground: "mission", Justification: "Needed.", Selector: policy.Selector{
			Organizations: policy.OrganizationSelector{In: []string{m.organization(1)}},
			Purposes:      policy.PurposeSelector{In: []string{"service"}},
			Window:        policy.Window{Start: Now - 30*Day, End: Now + 30*Day},
		},
	})
}

// query makes a question; half of them about an app and a body that a directive names.
func (m *maker) query(i int) {
	q := policy.Query{
		Organization: Organization(m.IntN(len(m.parents))), App: App(m.IntN(m.apps)), Purpose: purposes[m.IntN(len(purposes))], At: Now,
		Attributes: map[string]string{"data-sensitivity": sensitivity[m.IntN(len(sensitivity))], "device": devices[m.IntN(len(devices))]},
	}
	if i%2 == 0 {
		var d *policy.Directive
		for d == nil {
			d, _ = m.Changes[m.IntN(len(m.Changes))].Put.(*policy.Directive)
		}
		p := d.Provisions[0]
		q.Organization = p.Selector.Organizations.In[0]
		if app := p.Selector.Targets.In[0].App; app != "" {
			q.App = app
		}
	}
	m.Queries = append(m.Queries, q)
}
