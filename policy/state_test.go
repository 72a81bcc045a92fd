package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// checkState compares what the snapshot holds, apart from what it answers.
func (r record) checkState(t testing.TB) {
	t.Helper()
	keys := r.world.keys()
	for resource, rev := range r.snapshot.All() {
		k := resource.Key()
		if len(keys) == 0 || k != keys[0] || resource != r.world[k] || rev != r.revisions[k] {
			t.Fatalf("All() yields %v at revision %d, want %v of revision %d", k, rev, keys, r.revisions[k])
		}
		if got, at, ok := r.snapshot.Lookup(k); !ok || got != resource || at != rev {
			t.Fatalf("Lookup(%v) = %v, %d, %t, want revision %d", k, got, at, ok, rev)
		}
		keys = keys[1:]
	}
	if len(keys) > 0 {
		t.Fatalf("All() ends before %v", keys)
	}
	ref := newReference(r.world)
	for _, d := range ref.directives {
		got, want := r.snapshot.DirectiveWindow(d.ID), d.window
		if got != want && !(got.Empty() && want.Empty()) {
			t.Fatalf("DirectiveWindow(%s) = %v, want %v", d.ID, got, want)
		}
	}
	r.checkForest(t, ref)
	r.checkHolders(t)
	r.checkIdentifiers(t)
}

func (r record) checkForest(t testing.TB, ref *reference) {
	t.Helper()
	for id := range ref.organizations {
		pairs := 0
		for root := range ref.organizations {
			if pairs++; pairs > 50 {
				break
			}
			want := false
			for o := ref.organizations[id]; o != nil; o = ref.organizations[o.Parent] {
				want = want || o.ID == root
			}
			if got := r.snapshot.Within(id, root); got != want {
				t.Fatalf("Within(%s, %s) = %t, want %t", id, root, got, want)
			}
		}
	}
}

func (r record) checkHolders(t testing.TB) {
	t.Helper()
	held := map[string]policy.Key{}
	for _, o := range all[*policy.Organization](r.world) {
		for _, alias := range o.Aliases {
			held[alias] = o.Key()
		}
	}
	for _, a := range all[*policy.App](r.world) {
		for _, identifier := range a.Identifiers {
			held[identifier] = a.Key()
		}
	}
	for kind, names := range map[policy.Kind][]string{policy.KindOrganization: aliases, policy.KindApp: identifiers} {
		for _, name := range names {
			if got, ok := r.snapshot.Holder(kind, name); got != held[name] || ok != (held[name] != policy.Key{}) {
				t.Fatalf("Holder(%v, %s) = %v, %t, want %v", kind, name, got, ok, held[name])
			}
		}
	}
}

func (r record) checkIdentifiers(t testing.TB) {
	t.Helper()
	for platform, scheme := range map[string]string{"ios": "ios:", "android": "android:", "macos": "macos:", "windows": "windows:", "web": "domain:", "linux": "linux:", "domain": "none:"} {
		var want []string
		for _, a := range all[*policy.App](r.world) {
			for _, identifier := range a.Identifiers {
				if strings.HasPrefix(identifier, scheme) {
					want = append(want, identifier)
				}
			}
		}
		slices.Sort(want)
		if got := r.snapshot.Identifiers(platform); !slices.Equal(got, want) {
			t.Fatalf("Identifiers(%s) = %q, want %q", platform, got, want)
		}
	}
}
