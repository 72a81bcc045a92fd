package service

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// noon is the instant to decide for: random windows lie about it.
const noon policy.Instant = 1_775_001_600_000_000

// platforms of small worlds, with the schemes of their identifiers.
var platforms = []struct{ name, scheme string }{{"android", "android"}, {"ios", "ios"}, {"web", "domain"}}

var vocabulary = []policy.Resource{
	&policy.Purpose{ID: "a"}, &policy.Purpose{ID: "a.b"}, &policy.Purpose{ID: "a.c"}, &policy.Purpose{ID: "b"}, &policy.Purpose{ID: "b.d"}, &policy.Purpose{ID: "c"},
	&policy.Attribute{ID: "device", Values: []string{"issued", "issued.standalone", "personal"}},
	&policy.Attribute{ID: "platform", Values: []string{"android", "ios", "web"}},
	&policy.Attribute{ID: "act", Values: []string{"use", "web-access"}},
	&policy.Attribute{ID: "data", Values: []string{"public", "secret"}},
	&policy.Organization{ID: "above"}, &policy.Organization{ID: "o", Parent: "above"},
}

// folded is the policy of the vocabulary and more.
func folded(t *testing.T, more ...policy.Resource) *policy.Snapshot {
	t.Helper()
	var changes []policy.Change
	for _, r := range slices.Concat(vocabulary, more) {
		changes = append(changes, policy.Change{Put: r})
	}
	s, err := policy.New().Apply(1, changes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// suspending suspends something of everything at all times.
func suspending(id string, s policy.Selector) *policy.Directive {
	s.Organizations.In = []string{"above"}
	s.Targets.All = true
	if s.Window == (policy.Window{}) {
		s.Window = policy.Always
	}
	return &policy.Directive{ID: id, Authority: "above", Window: policy.Window{Start: 0, End: policy.Forever},
		Provisions: []policy.Provision{{ID: "p", Force: policy.Binding, Selector: s}}}
}

// TestRestrictionsByOldPolicy are as the app says once it has EXPIRED, and permit nothing once it is spent.
func TestRestrictionsByOldPolicy(t *testing.T) {
	snapshot := folded(t,
		&policy.App{ID: "deny", OnStale: policy.StaleDeny, Identifiers: []string{"ios:deny", "android:deny"}},
		&policy.App{ID: "serve", Identifiers: []string{"ios:serve", "android:serve"}},
		suspending("d", policy.Selector{Purposes: policy.PurposeSelector{In: []string{"a"}}, Conditions: []policy.Condition{{Attribute: "platform", Values: []string{"ios"}}}}),
		suspending("e", policy.Selector{Conditions: []policy.Condition{{Attribute: "platform", Values: []string{"android"}}, {Attribute: "data", Values: []string{"secret"}}}}))
	fresh, expired := policystore.Freshness{State: policystore.Fresh}, policystore.Freshness{State: policystore.Expired}
	spent := policystore.Freshness{State: policystore.Expired, Spent: true}
	const permits, undecided, nothing = "RESTRICTED, ALLOW, but [b c]", "RESTRICTED, ALLOW, but []", "RESTRICTED, BLOCK, but []"
	const blocked = "BLOCKED, BLOCK, but []"
	for _, c := range []struct {
		platform  string
		freshness policystore.Freshness
		want      []string // of deny and serve
	}{
		{"ios", fresh, []string{permits, permits}},
		{"ios", expired, []string{blocked, permits}},
		{"ios", spent, []string{blocked, blocked}},
		{"android", fresh, []string{undecided, undecided}},
		{"android", expired, []string{nothing, undecided}},
		{"android", spent, []string{nothing, nothing}},
	} {
		v := policystore.View{Snapshot: snapshot, Freshness: c.freshness}
		d := newDevices("o", c.platform, "", nil)
		for i, id := range v.Identifiers(c.platform) {
			m, _ := d.restriction(&v, d.question(id), &terms{at: noon, asOfTime: policy.Beginning})
			got := fmt.Sprintf("%s, %s, but %v", strings.TrimPrefix(m.State.String(), "STATE_"), strings.TrimPrefix(m.DeviceAction.String(), "DEVICE_ACTION_"), m.PermittedPurposes)
			if got != c.want[i] {
				t.Errorf("%s from %s policy, spent %t = %s, want %s", id, c.freshness.State, c.freshness.Spent, got, c.want[i])
			}
		}
	}
}

// TestRestrictionMessagesHaveRoom holds a restriction to a bound.
func TestRestrictionMessagesHaveRoom(t *testing.T) {
	long := strings.Repeat("x", policy.MaxTextLength-2)
	languages := make([]string, 16)
	cited := make([]policy.Citation, policy.MaxCitations)
	for i := range cited {
		texts := make(map[string]string)
		for j := range languages {
			languages[j] = fmt.Sprintf("l%d", j)
			texts[languages[j]] = fmt.Sprintf("%s%02d", long, i)
		}
		cited[i] = policy.Citation{Directive: &policy.Directive{ID: "d"}, Provision: &policy.Provision{Message: policy.TextOf(texts)}}
	}
	m := &teishiv1.Restriction{Messages: newDevices("o", "ios", "", languages).messages(cited)}
	if size := proto.Size(m); len(m.Messages) != 16 || size > maxTexts+1<<10 || size < maxTexts-policy.MaxTextLength {
		t.Errorf("the messages in %d languages take %d bytes, want 16 and about %d", len(m.Messages), size, maxTexts)
	}
}

// TestRestrictionsAreWhatCheckAnswers compares them with answers about the same identifier, in random worlds.
func TestRestrictionsAreWhatCheckAnswers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &drawn{rand.New(rand.NewPCG(seed, 0))}
	states := make(map[teishiv1.Restriction_State]int)
	for range 60 {
		v := policystore.View{Snapshot: folded(t, w.world()...)}
		for _, v.Freshness = range []policystore.Freshness{{State: policystore.Fresh}, {State: policystore.Expired}, {State: policystore.Expired, Spent: true}} {
			for _, platform := range platforms {
				c := compared{t, &v, newDevices("o", platform.name, pick(w, "", "issued", "issued.standalone", "personal"), nil), &terms{at: noon, asOfTime: policy.Beginning}}
				if w.IntN(2) == 0 {
					c.terms.instead = []policy.Instant{noon - 3, noon + 3}
				}
				for _, id := range v.Identifiers(platform.name) {
					states[c.compare(id)]++
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Log(states)
	if len(states) != len(restrictionStates)-1 {
		t.Errorf("only %v were compared: the worlds are too dull", states)
	}
}

// compared are restrictions beside the answers that are to be the same.
type compared struct {
	t       *testing.T
	view    *policystore.View
	devices *devices
	terms   *terms
}

// check asks about an identifier, which says its platform itself.
func (c *compared) check(identifier, purpose string) (*teishiv1.CheckResponse, policy.Instant) {
	q := policy.Query{Organization: c.devices.organization, App: identifier, Purpose: purpose}
	if c.devices.device != "" {
		q.Attributes = map[string]string{"device": c.devices.device}
	}
	var a answer
	a.fill(c.view, q, c.terms)
	return &a.response, a.edge
}

func (c *compared) compare(identifier string) teishiv1.Restriction_State {
	m, edge := c.devices.restriction(c.view, c.devices.question(identifier), c.terms)
	whole, same := c.check(identifier, "")
	var by []string
	for _, cited := range whole.Citations {
		if whole.Outcome != teishiv1.Outcome_OUTCOME_ALLOWED {
			by = append(by, cited.Directive)
		}
	}
	if restrictionStates[slices.Index(outcomes[:], whole.Outcome)] != m.State || !slices.Equal(m.PermittedPurposes, whole.PermittedPurposes) ||
		!slices.Equal(m.Directives, slices.Compact(by)) || !proto.Equal(m.ValidUntilTime, whole.ValidUntilTime) || edge != same {
		c.t.Errorf("%s for %+v: %v, until %s; Check = %v, until %s", identifier, *c.devices, m, edge, whole, same)
	}
	c.compareAction(m)
	for _, r := range vocabulary {
		if p, ok := r.(*policy.Purpose); ok {
			fine, _ := c.check(identifier, p.ID)
			c.comparePurpose(m, p.ID, fine.Outcome == teishiv1.Outcome_OUTCOME_ALLOWED)
		}
	}
	return m.State
}

// compareAction wants that a device blocks if a directive says so that is cited, which all are here but those of other times, or
// if nothing is permitted any more.
func (c *compared) compareAction(m *teishiv1.Restriction) {
	blocks := slices.ContainsFunc(m.Directives, func(d string) bool { return c.view.Directive(d).DeviceAction == policy.DeviceBlock })
	old := c.view.Freshness.Spent || c.view.Freshness.State == policystore.Expired && c.view.App(m.App).OnStale == policy.StaleDeny
	want := m.State == teishiv1.Restriction_STATE_BLOCKED || m.State == teishiv1.Restriction_STATE_RESTRICTED && (blocks || old)
	does := m.DeviceAction == teishiv1.DeviceAction_DEVICE_ACTION_BLOCK
	if want && !does || does && !want && (len(c.terms.instead) == 0 || m.State == teishiv1.Restriction_STATE_ALLOWED) {
		c.t.Errorf("a device does %s with %v", m.DeviceAction, m)
	}
}

// comparePurpose wants a purpose permitted if it is ALLOWED, and never otherwise: only where the clock is in doubt may less be.
func (c *compared) comparePurpose(m *teishiv1.Restriction, purpose string, allowed bool) {
	permitted := m.State == teishiv1.Restriction_STATE_ALLOWED ||
		slices.ContainsFunc(m.PermittedPurposes, func(top string) bool { return purpose == top || strings.HasPrefix(purpose, top+".") })
	if permitted && !allowed || allowed && !permitted && len(c.terms.instead) == 0 {
		c.t.Errorf("%s is ALLOWED: %t, but %v", purpose, allowed, m)
	}
}

// drawn are random worlds.
type drawn struct{ *rand.Rand }

func pick[E any](w *drawn, list ...E) E { return list[w.IntN(len(list))] }

func (w *drawn) world() (all []policy.Resource) {
	for i := range 3 {
		a := &policy.App{ID: fmt.Sprintf("app-%d", i), OnStale: pick(w, policy.StaleServe, policy.StaleDeny)}
		for _, platform := range platforms {
			a.Identifiers = append(a.Identifiers, fmt.Sprintf("%s:app.n%d", platform.scheme, i))
		}
		all = append(all, a)
	}
	for i := range 1 + w.IntN(3) {
		d := suspending(fmt.Sprintf("d-%d", i), w.selector())
		d.DeviceAction = pick(w, policy.DeviceAllow, policy.DeviceBlock)
		d.Provisions[0].Force = pick(w, policy.Binding, policy.Binding, policy.Advisory)
		if w.IntN(2) == 0 {
			d.Provisions[0].Selector.Targets = policy.TargetSelector{In: []policy.Target{{App: fmt.Sprintf("app-%d", w.IntN(3))}}}
		}
		if w.IntN(2) == 0 {
			d.CarveOuts = []policy.Release{{ID: "r", Directive: d.ID, Kind: policy.CarveOut, EndTime: policy.Forever, Selector: w.selector()}}
		}
		all = append(all, d)
	}
	return all
}

// selector is of some purposes, in some circumstances, and for some time.
func (w *drawn) selector() policy.Selector {
	s := policy.Selector{Window: policy.Always}
	if w.IntN(2) == 0 {
		s.Purposes.In = []string{pick(w, "a", "a.b", "b", "b.d", "c")}
	}
	if w.IntN(2) == 0 {
		s.Conditions = []policy.Condition{pick(w,
			policy.Condition{Attribute: "device", Values: []string{"issued"}}, policy.Condition{Attribute: "platform", Values: []string{"ios", "web"}},
			policy.Condition{Attribute: "act", Values: []string{"web-access"}}, policy.Condition{Attribute: "data", Values: []string{"secret"}})}
	}
	if w.IntN(2) == 0 {
		start := noon + policy.Instant(w.IntN(8)-6)
		s.Window = policy.Window{Start: start, End: start + 1 + policy.Instant(w.IntN(6))}
	}
	return s
}
