package faults

import (
	"fmt"
	"strconv"
	"strings"

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

// model is the record as anybody would read it: which app is suspended from which revision on.
type model struct {
	known  map[int]int64 // the revision at which an app was registered
	events map[int][]event
}

type event struct {
	revision int64
	halt     bool
}

func newModel(entries []policystore.Entry) *model {
	m := &model{known: make(map[int]int64), events: make(map[int][]event)}
	for i := range entries {
		words := strings.Split(entries[i].RequestID, "-")
		if len(words) < 2 {
			continue
		}
		app, err := strconv.Atoi(words[1])
		if err != nil {
			continue
		}
		switch revision := int64(entries[i].Revision); words[0] {
		case "app":
			m.known[app] = revision
		case "halt", "lift":
			m.events[app] = append(m.events[app], event{revision, words[0] == "halt"})
		}
	}
	return m
}

// suspended reports whether an app is suspended at a revision, and whether there is such an app then.
func (m *model) suspended(app int, revision int64) (suspended, known bool) {
	for _, e := range m.events[app] {
		if e.revision > revision {
			break
		}
		suspended = e.halt
	}
	since, registered := m.known[app]
	return suspended, registered && since <= revision
}
