package service

import (
	"strconv"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// passing is a history that watches are woken by, with nothing else around it.
type passing struct {
	t  *testing.T
	ws *watchers
	at policystore.Applied
}

func newPassing(t *testing.T) *passing {
	p := &passing{t: t, ws: newWatchers(nil, nil), at: policystore.Applied{Snapshot: policy.New()}}
	p.pass(policy.Birth()...)
	return p
}

// pass applies one entry.
func (p *passing) pass(changes ...policy.Change) {
	p.t.Helper()
	next := policystore.Applied{Previous: p.at.Position, Changes: changes}
	next.Position = policystore.Position{Epoch: 1, Revision: p.at.Position.Revision + 1}
	var err error
	if next.Snapshot, err = p.at.Apply(next.Position.Revision, changes); err != nil {
		p.t.Fatal(err)
	}
	p.at = next
	p.ws.pass(&next)
}

// watch enrolls a watch of one question.
func (p *passing) watch(organization, app string) *watch {
	w := &watch{watchers: p.ws, woken: make(chan struct{}, 1), asked: []asked{{query: policy.Query{Organization: organization, App: app}}}}
	p.ws.enroll(w, p.ws.last())
	return w
}

func suspend(id, organization, app string) policy.Change {
	return policy.Change{Put: &policy.Directive{ID: id, Authority: organization, Provisions: []policy.Provision{{ID: "all", Force: policy.Binding,
		Selector: policy.Selector{Organizations: policy.OrganizationSelector{In: []string{organization}}, Targets: policy.TargetSelector{In: []policy.Target{{App: app}}}, Window: policy.Always}}}}}
}

// One write wakes those whose app and organization it touched, and nobody else.
func TestOneWriteTouches(t *testing.T) {
	p := newPassing(t)
	organization := func(id, parent string) policy.Change {
		return policy.Change{Put: &policy.Organization{ID: id, Parent: parent}}
	}
	app := func(id string) policy.Change { return policy.Change{Put: &policy.App{ID: id}} }
	p.pass(organization("jp", ""), organization("mic", "jp"), organization("city", "jp"), app("line"), app("other"))
	here, beneath, elsewhere, other := p.watch("mic", "line"), p.watch("jp", "line"), p.watch("city", "line"), p.watch("mic", "other")
	p.pass(suspend("halt", "mic", "line"))
	for name, c := range map[string]struct {
		w    *watch
		want bool
	}{"it": {here, true}, "above it": {beneath, false}, "elsewhere": {elsewhere, false}, "another app": {other, false}} {
		if woken := len(c.w.woken) > 0; woken != c.want || (c.w.from != 0) != c.want {
			t.Errorf("a halt at one organization wakes who watches %s: %v", name, woken)
		}
	}
	if states, now, lost := p.ws.take(here); len(states) != 1 || states[0] != now || lost || now.view.Position != p.at.Position {
		t.Errorf("taken are %d states, %v", len(states), lost)
	}
	p.pass(suspend("more", "jp", "line"), suspend("yet", "mic", "other"))
	if here.from == 0 || beneath.from == 0 || elsewhere.from == 0 || other.from == 0 {
		t.Error("a halt everywhere does not wake everybody")
	}
	p.ws.leave(here)
	p.ws.leave(beneath)
	p.ws.leave(elsewhere)
	p.ws.leave(other)
	if len(p.ws.open)+len(p.ws.byApp) != 0 {
		t.Errorf("after all have left, %d watches and %d apps are known", len(p.ws.open), len(p.ws.byApp))
	}
}

// The past that is kept is bounded: who was touched by what is no longer kept has lost it.
func TestKeptPast(t *testing.T) {
	p := newPassing(t)
	p.pass(policy.Change{Put: &policy.Organization{ID: "jp"}}, policy.Change{Put: &policy.App{ID: "line"}})
	w := p.watch("jp", "line")
	for range keptStates + 9 {
		p.pass(suspend("halt", "jp", "line"))
	}
	if states, now, lost := p.ws.take(w); !lost || len(states) != 0 || now.view.Position != p.at.Position || len(p.ws.past) != keptStates {
		t.Errorf("%d states of %d are taken, lost %v", len(states), len(p.ws.past), lost)
	}
	many := make([]policy.Change, keptBytes/2/changeBytes)
	for i := range many {
		many[i].Put = &policy.App{ID: "app-" + strconv.Itoa(i)}
	}
	p.pass(many...)
	p.pass(many...)
	if len(p.ws.past) != 1 {
		t.Errorf("%d states are kept, that take %d MiB", len(p.ws.past), p.ws.cost>>20)
	}
}

// What is not of the next entry says so: a watch then tells everything again.
func TestJump(t *testing.T) {
	p := newPassing(t)
	p.pass(policy.Change{Put: &policy.Organization{ID: "jp"}}, policy.Change{Put: &policy.App{ID: "line"}})
	w := p.watch("jp", "line")
	p.pass(suspend("halt", "jp", "line"))
	if states, _, _ := p.ws.take(w); len(states) != 1 || states[0].jumped || states[0].whole {
		t.Errorf("after the next entry %+v", states)
	}
	p.at.Position.Revision += 10
	p.pass(suspend("more", "jp", "line"))
	if states, _, _ := p.ws.take(w); len(states) != 1 || !states[0].jumped || !states[0].whole {
		t.Errorf("after another %+v", states)
	}
}
