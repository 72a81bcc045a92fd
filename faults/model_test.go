package faults

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

// The world of the suite: one organization, apps that are suspended and resumed again and again, each by one writer. The
// request id of a write says what it does, so that the model need not read any policy: halt-APP-N or lift-APP-N.
const (
	organization = "jp"
	apps         = 8
)

// deniesWhenStale tells the apps that are registered with on_stale: DENY.
func deniesWhenStale(app int) bool { return app%2 == 1 }

func appID(app int) string { return fmt.Sprint("app-", app) }

// model is the record as anybody would read it: which app is suspended from which revision on, or from which instant.
type model struct {
	known map[int]int64 // the revision at which an app was registered
	past  map[int][]event
}

// event is an entry that suspends or resumes an app. What suspends binds at once; what resumes, from the time of the entry on.
type event struct {
	revision  int64
	time      time.Time
	lift      bool
	suspended bool // the app, once all up to here count
}

// state is an app after so many of its events, the last of which, so many lifts, do not count yet.
type state struct{ app, events, waiting int }

func newModel(entries []policystore.Entry) *model {
	m := &model{known: make(map[int]int64), past: make(map[int][]event)}
	halts := make(map[int][]string) // that hold, by their numbers
	for i := range entries {
		words := strings.Split(entries[i].RequestID, "-")
		if len(words) < 2 {
			continue
		}
		app, err := strconv.Atoi(words[1])
		if err != nil {
			continue
		}
		revision := int64(entries[i].Revision)
		switch words[0] {
		case "app":
			m.known[app] = revision
			continue
		case "halt":
			halts[app] = append(halts[app], words[2])
		case "lift":
			halts[app] = slices.DeleteFunc(halts[app], func(n string) bool { return n == words[2] })
		default:
			continue
		}
		m.past[app] = append(m.past[app], event{revision, entries[i].Time.Time(), words[0] == "lift", len(halts[app]) > 0})
	}
	return m
}

// state returns what an app is at a revision and an instant.
func (m *model) state(app int, revision int64, at time.Time) state {
	past := m.past[app]
	s := state{app: app, events: sort.Search(len(past), func(i int) bool { return past[i].revision > revision })}
	for _, e := range past[:s.events] {
		if e.lift && e.time.After(at) {
			s.waiting++
		}
	}
	return s
}

// suspends reports whether an app is suspended in a state.
func (m *model) suspends(s state) bool {
	return s.waiting > 0 || s.events > 0 && m.past[s.app][s.events-1].suspended
}

// answers returns how many answers there were, at least, from one state to another. By time there is one, however many lifts then
// begin to count.
func (m *model) answers(a, b state) int {
	entered, lifts := b.events-a.events, 0
	for _, e := range m.past[a.app][min(a.events, b.events):b.events] {
		if e.lift {
			lifts++
		}
	}
	fresh := min(b.waiting, lifts) // lifts that are new and do not count yet
	return entered - fresh + min(a.waiting-(b.waiting-fresh), 1)
}

// suspended reports whether an app is suspended at a revision, and whether there is such an app then.
func (m *model) suspended(app int, revision int64) (suspended, known bool) {
	since, registered := m.known[app]
	return m.suspends(m.state(app, revision, end)), registered && since <= revision
}

// end is later than anything.
var end = time.Unix(1<<40, 0)
