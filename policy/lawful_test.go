package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// refusal is an entry that a rule refuses. What want leaves empty of a problem, or of a list of referrers, may be anything.
type refusal struct {
	name    string
	changes []policy.Change
	want    error
}

// permission is an entry next to what a rule refuses that it does not.
type permission struct {
	name    string
	changes []policy.Change
}

// refuse proposes each entry to the policy that lawfulPolicy makes, sees it refused as it should be, and sees that nothing
// happened.
func refuse(t *testing.T, rows []refusal) {
	t.Helper()
	s := lawfulPolicy(t)
	before := everything(s)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			next, err := s.Propose(s.Revision()+1, row.changes)
			if next != nil || !same(err, row.want) {
				t.Errorf("Propose = %v, %v, want %T %+v", next, err, row.want, row.want)
			}
			if !blames(err) {
				t.Errorf("Propose = %#v, want it to blame a change before anything is folded", err)
			}
			if after := everything(s); !reflect.DeepEqual(after, before) {
				t.Errorf("the refusal changed the policy: %v, want %v", after, before)
			}
		})
	}
}

// permit proposes each entry to the same policy and sees it accepted.
func permit(t *testing.T, rows []permission) {
	t.Helper()
	s := lawfulPolicy(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if _, err := s.Propose(s.Revision()+1, row.changes); err != nil {
				t.Errorf("Propose = %v, want it accepted", err)
			}
		})
	}
}

// blames reports whether the error says which change is to blame. Only limits are found by folding.
func blames(err error) bool {
	if _, ok := errors.AsType[*policy.LimitError](err); ok {
		return true
	}
	_, ok := errors.AsType[*policy.ChangeError](err)
	return ok
}

// everything is what a snapshot says, copied.
func everything(s *policy.Snapshot) map[policy.Key]string {
	all := map[policy.Key]string{{}: fmt.Sprint(s.Revision())}
	for r, changed := range s.All() {
		all[r.Key()] = fmt.Sprintf("%d %s", changed, everythingOf(r))
	}
	return all
}

// everythingOf is what a resource says.
func everythingOf(r policy.Resource) string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// same reports whether the error is, or wraps, the wanted one.
func same(err, want error) bool {
	switch want := want.(type) {
	case *policy.InvalidError:
		got, ok := errors.AsType[*policy.InvalidError](err)
		return ok && got.Field == want.Field && strings.Contains(got.Problem, want.Problem)
	case *policy.RuleError:
		got, ok := errors.AsType[*policy.RuleError](err)
		return ok && got.Directive == want.Directive && got.Field == want.Field && strings.Contains(got.Problem, want.Problem)
	case *policy.ReferencedError:
		got, ok := errors.AsType[*policy.ReferencedError](err)
		return ok && got.Key == want.Key && (want.By == nil || reflect.DeepEqual(got.By, want.By))
	case *policy.ReferenceError:
		return is(err, want)
	case *policy.HeldError:
		return is(err, want)
	case *policy.NotFoundError:
		return is(err, want)
	case *policy.ExistsError:
		return is(err, want)
	case *policy.LimitError:
		return is(err, want)
	}
	return err == want
}

func is[E interface {
	comparable
	error
}](err error, want E) bool {
	got, ok := errors.AsType[E](err)
	return ok && reflect.DeepEqual(got, want)
}

func invalid(field string) error { return &policy.InvalidError{Field: field} }

func invalidAs(field, problem string) error {
	return &policy.InvalidError{Field: field, Problem: problem}
}

func unregistered(field string, kind policy.Kind, id string) error {
	return &policy.ReferenceError{Field: field, Key: policy.Key{Kind: kind, ID: id}}
}

func anew(field string, kind policy.Kind, id string) error {
	return &policy.ReferenceError{Field: field, Key: policy.Key{Kind: kind, ID: id}, Retired: true}
}

func forbidden(directive, field string) error {
	return &policy.RuleError{Directive: directive, Field: field}
}

func key(kind policy.Kind, id string) policy.Key { return policy.Key{Kind: kind, ID: id} }

func keyIn(kind policy.Kind, directive, id string) policy.Key {
	return policy.Key{Kind: kind, Directive: directive, ID: id}
}

func puts(rs ...policy.Resource) []policy.Change {
	var changes []policy.Change
	for _, r := range rs {
		changes = append(changes, policy.Change{Put: r})
	}
	return changes
}

func deletes(keys ...policy.Key) []policy.Change {
	var changes []policy.Change
	for _, k := range keys {
		changes = append(changes, policy.Change{Delete: k})
	}
	return changes
}

// edited is the entry that puts the resource after the edit.
func edited[R policy.Resource](r R, edit func(R)) []policy.Change {
	edit(r)
	return puts(r)
}

// on is the instant at which a day begins in Japan.
func on(day string) policy.Instant {
	t, err := time.ParseInLocation(time.DateOnly, day, time.FixedZone("JST", 9*60*60))
	if err != nil {
		panic(err)
	}
	return policy.InstantOf(t)
}

func since(day string) policy.Window { return policy.Window{Start: on(day), End: policy.Forever} }

func until(day string) policy.Window { return policy.Window{Start: policy.Beginning, End: on(day)} }

func between(from, to string) policy.Window { return policy.Window{Start: on(from), End: on(to)} }

func propose(t *testing.T, s *policy.Snapshot, changes []policy.Change) *policy.Snapshot {
	t.Helper()
	next, err := s.Propose(s.Revision()+1, changes)
	if err != nil {
		t.Fatalf("Propose = %v", err)
	}
	return next
}

func TestPropose(t *testing.T) {
	refuse(t, []refusal{
		{"one resource changed twice", puts(&policy.App{ID: "x"}, &policy.App{ID: "x"}), invalidAs("id", "twice")},
		{"one resource put and deleted", append(puts(ministry()), deletes(key(policy.KindOrganization, "mic"))...), invalidAs("id", "twice")},
	})
	t.Run("says what comes first", func(t *testing.T) {
		d := order()
		d.Authority, d.Provisions[0].Selector.Organizations.In = "nobody", []string{"nobody"}
		refused := unregistered("authority", policy.KindOrganization, "nobody")
		if _, err := lawfulPolicy(t).Propose(6, puts(d)); !same(err, refused) {
			t.Errorf("Propose = %v, want %v", err, refused)
		}
	})
	t.Run("says which change is to blame", func(t *testing.T) {
		s := lawfulPolicy(t)
		_, err := s.Propose(s.Revision()+1, puts(&policy.App{ID: "good"}, &policy.App{ID: "Bad"}))
		blamed, ok := errors.AsType[*policy.ChangeError](err)
		if !ok || blamed.Index != 1 || blamed.Key != key(policy.KindApp, "Bad") {
			t.Errorf("Propose = %#v, want a ChangeError of change 1, app Bad", err)
		}
		if got, want := err.Error(), "app Bad: id: not a slug"; !strings.HasPrefix(got, want) {
			t.Errorf("Propose = %q, want %q…", got, want)
		}
	})
	t.Run("takes what one entry names from the entry", func(t *testing.T) {
		s := lawfulPolicy(t)
		next := propose(t, s, puts(
			&policy.App{ID: "x", Ownerships: []policy.VendorPeriod{{Vendor: "y", Window: policy.Always}}},
			&policy.Vendor{ID: "y"}))
		if next.App("x") == nil || next.Vendor("y") == nil {
			t.Error("Propose lost an app or its vendor")
		}
	})
}
