package policy_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/teishi-dev/teishi/policy"
)

// shape says how many of each kind a random world has at most, and how they are drawn.
type shape struct {
	purposes, attributes, values, organizations, vendors, apps, directives, provisions, releases int

	full      bool // as many directives, organizations and apps as there may be
	crowded   bool // selectors select nearly everything
	undecided bool // and have conditions none the less
	pointed   bool // each release names one app or, at least if they exempt, one organization
	exempting bool
	breadth   int // how many organizations and targets a selector names, if not few
}

var (
	// ordinary worlds are small, so that what is in them meets.
	ordinary = shape{purposes: 8, attributes: 4, values: 6, organizations: 8, vendors: 5, apps: 4, directives: 6, provisions: 3, releases: 3}
	// suspended, undecided and released worlds have more to cite than an answer may.
	suspended = shape{purposes: 3, attributes: 1, values: 3, organizations: 4, vendors: 2, apps: 2, directives: 24, provisions: 10, full: true, crowded: true}
	undecided = shape{purposes: 3, attributes: 2, values: 3, organizations: 4, vendors: 2, apps: 2, directives: 24, provisions: 8, full: true, crowded: true, undecided: true}
	released  = shape{purposes: 3, attributes: 1, values: 3, organizations: 4, vendors: 2, apps: 2, directives: 3, provisions: 16, releases: 16, full: true, crowded: true}
	// pointed worlds are of exemptions for one body, and of approvals of one app.
	pointed   = shape{purposes: 3, attributes: 1, values: 3, organizations: 60, vendors: 3, apps: 30, directives: 3, provisions: 2, releases: 80, full: true, pointed: true}
	exempting = shape{purposes: 3, attributes: 1, values: 3, organizations: 60, vendors: 3, apps: 4, directives: 3, provisions: 2, releases: 60, full: true, pointed: true, exempting: true}
	// broad worlds have selectors that name so much that they are worth no index.
	broad = shape{purposes: 4, attributes: 1, values: 3, organizations: 120, vendors: 8, apps: 60, directives: 4, provisions: 2, releases: 12, full: true, breadth: 120}
	// wide worlds go to the limits of the vocabulary.
	wide = shape{purposes: policy.MaxPurposes, attributes: policy.MaxAttributes, values: policy.MaxValues, organizations: 80, vendors: 16, apps: 20, directives: 12, provisions: 3, releases: 3}
)

// generator draws worlds and what happens to them.
type generator struct {
	*dice
	shape
	world
	serial int // so that ids are not taken twice
}

// Ids sort differently as strings, by length and by their dots: a, a-b, a.b, ab.
var (
	slugs         = []string{"a", "a-b", "ab", "b", "z"}
	kinds         = []string{"", "", "city", "ministry", "office"}
	tags          = []string{"sns", "sns-2", "generative-ai", "unused"}
	countries     = []string{"JP", "US", "XX"}
	identifiers   = []string{"ios:jp.naver.line", "ios:JP.Naver.Works", "android:jp.naver.line", "windows:LINE.LINE", "macos:line", "domain:line.me", "domain:api.line.me", "domain:me.line", "domain:x.y"}
	aliases       = []string{"jis:131016", "jis:131024", "corporate-number:7000012050002", "domain:gov.example", "ios:jp.go"}
	vocabulary    = []string{"platform", "act", "data", "data-x"}
	platforms     = []string{"ios", "android", "macos", "windows", "web", "web.kiosk"}
	acts          = []string{"web-access", "use", "install", "use.once"}
	circumstances = []string{"x", "x.y", "x.y.z", "x-y", "xy", "y"}
)

// generate draws a world of at most the shape given.
func generate(d *dice, s shape) *generator {
	g := &generator{dice: d, shape: s, world: world{}}
	g.addPurposes(g.upTo(s.purposes))
	for i := range g.upTo(s.attributes+1) - 1 {
		g.addAttribute(i)
	}
	for range g.upTo(s.organizations) {
		g.put(g.newOrganization(g.id("o")))
	}
	for range d.IntN(s.vendors + 1) {
		id := g.id("v")
		g.put(&policy.Vendor{ID: id})
		g.put(g.newVendor(id))
	}
	for range g.upTo(s.apps) {
		g.put(g.newApp(g.id("p")))
	}
	for range g.upTo(s.directives) {
		g.addDirective()
	}
	return g
}

// upTo is one to n, n in a full world.
func (g *generator) upTo(n int) int {
	if g.full {
		return n
	}
	return 1 + g.IntN(n)
}

// id is a new one that sorts anywhere.
func (g *generator) id(prefix string) string {
	g.serial++
	if g.one(3) {
		return fmt.Sprintf("%s%d-%s", prefix, g.serial/3, slugs[g.serial%3]) // o1-a beside o1 and o10
	}
	return fmt.Sprintf("%s%d", prefix, g.serial)
}

// addPurposes registers n more, each with its prefixes.
func (g *generator) addPurposes(n int) {
	if g.one(100) && len(g.world) == 0 {
		return
	}
	for range n {
		parts := few(g.dice, 3, slugs)
		if n > 20 {
			parts = append(parts, fmt.Sprintf("n%d", g.IntN(40)))
			shuffle(g.dice, parts)
		}
		for i := range parts {
			p := &policy.Purpose{ID: strings.Join(parts[:i+1], "."), Retired: g.one(10)}
			if len(all[*policy.Purpose](g.world)) < policy.MaxPurposes && g.world[p.Key()] == nil {
				g.put(p)
			}
		}
	}
}

func (g *generator) addAttribute(i int) {
	name := fmt.Sprintf("n%d", i)
	if i < len(vocabulary) {
		name = vocabulary[i]
	}
	values := [][]string{platforms, acts, circumstances}[min(i, 2)]
	values = few(g.dice, g.values, values)
	for len(values) < g.values-6 {
		values = append(values, fmt.Sprintf("w%d.%s", len(values), pick(g.dice, circumstances)))
	}
	g.put(&policy.Attribute{ID: name, Values: values, Retired: g.one(10)})
}

func (g *generator) newOrganization(id string) *policy.Organization {
	o := &policy.Organization{ID: id, Kind: pick(g.dice, kinds), Retired: g.one(10), Aliases: g.unheld(aliases, id)}
	o.Parent = g.freeParent(id)
	return o
}

// freeParent is none, or an organization that is neither id nor beneath it, so deep as the limit allows.
func (g *generator) freeParent(id string) string {
	candidates := ids[*policy.Organization](g.world)
	if len(candidates) == 0 || g.one(5) {
		return ""
	}
	parent := pick(g.dice, candidates)
	organizations := byID[*policy.Organization](g.world)
	depth := 0
	for o := organizations[parent]; o != nil; o = organizations[o.Parent] {
		if o.ID == id {
			return ""
		}
		depth++
	}
	if depth+g.height(id) > policy.MaxDepth {
		return ""
	}
	return parent
}

// height is how many levels there are at and beneath an organization.
func (g *generator) height(id string) int {
	height := 1
	for _, o := range all[*policy.Organization](g.world) {
		if o.Parent == id {
			height = max(height, 1+g.height(o.ID))
		}
	}
	return height
}

// unheld are some names that nobody but id holds.
func (g *generator) unheld(names []string, id string) []string {
	holders := map[string]string{}
	for k, r := range g.world {
		switch r := r.(type) {
		case *policy.Organization:
			for _, alias := range r.Aliases {
				holders[alias] = k.ID
			}
		case *policy.App:
			for _, identifier := range r.Identifiers {
				holders[identifier] = k.ID
			}
		}
	}
	free := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return holders[name] != "" && holders[name] != id })
	return some(g.dice, 2, free)
}

// newVendor has parents such that there is a cycle at no instant, though there may be one across time.
func (g *generator) newVendor(id string) *policy.Vendor {
	v := &policy.Vendor{ID: id, Retired: g.one(10)}
	vendors := byID[*policy.Vendor](g.world)
	for _, span := range g.spans() {
		parent := pick(g.dice, ids[*policy.Vendor](g.world))
		if g.one(2) || g.reaches(vendors, parent, id, span) {
			continue
		}
		v.Parents = append(v.Parents, policy.VendorPeriod{Vendor: parent, Window: span})
	}
	for _, span := range g.spans() {
		v.Countries = append(v.Countries, policy.CountryPeriod{Country: pick(g.dice, countries), Window: span})
	}
	return v
}

// reaches reports whether to is from, or above it at some instant of the span.
func (g *generator) reaches(vendors map[string]*policy.Vendor, from, to string, span policy.Window) bool {
	if from == to {
		return true
	}
	for _, p := range vendors[from].Parents {
		if both := intersect(p.Window, span); !both.Empty() && g.reaches(vendors, p.Vendor, to, both) {
			return true
		}
	}
	return false
}

func (g *generator) newApp(id string) *policy.App {
	a := &policy.App{ID: id, Tags: some(g.dice, 2, tags[:3]), Identifiers: g.unheld(identifiers, id), Retired: g.one(10)}
	if g.one(2) {
		a.OnStale = policy.StaleDeny
	}
	if vendors := ids[*policy.Vendor](g.world); len(vendors) > 0 {
		for _, span := range g.spans() {
			a.Ownerships = append(a.Ownerships, policy.VendorPeriod{Vendor: pick(g.dice, vendors), Window: span})
		}
	}
	return a
}
