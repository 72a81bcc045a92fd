package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// granted is the statute with grants, numbered from 0 in the order given, each by an entry of its own.
func granted(t *testing.T, grants ...policy.Grant) *policy.Snapshot {
	t.Helper()
	s := statute(t)
	for i, g := range grants {
		if g.ID == "" {
			g.ID = fmt.Sprintf("g%d", i)
		}
		s = propose(t, s, puts(&g))
	}
	return s
}

func TestMay(t *testing.T) {
	s := granted(t,
		policy.Grant{Principal: "cn:ann", Role: policy.Issuer, Organization: "mic"},
		policy.Grant{Principal: "cn:ben", Role: policy.Administrator, Organization: "local"},
		policy.Grant{Principal: "cn:cyd", Role: policy.Checker, Organization: policy.Everywhere},
		policy.Grant{Principal: "group:g", Role: policy.Auditor, Organization: "court"},
	)
	for _, c := range []struct {
		who    string
		groups []string
		role   policy.Role
		over   string
		want   bool
	}{
		{"cn:ann", nil, policy.Issuer, "mic", true},
		{"cn:ann", nil, policy.Issuer, "bureau", true},
		{"cn:ann", nil, policy.Issuer, "state", false},
		{"cn:ann", nil, policy.Issuer, "court", false},
		{"cn:ann", nil, policy.Issuer, policy.Everywhere, false},
		{"cn:ann", nil, policy.Issuer, "nowhere", false},
		{"cn:ann", nil, policy.Checker, "mic", false},
		{"cn:ben", nil, policy.Issuer, "ward", true},
		{"cn:ben", nil, policy.Administrator, "ward", true},
		{"cn:ben", nil, policy.Administrator, policy.Everywhere, false},
		{"cn:cyd", nil, policy.Checker, "nowhere", true},
		{"cn:cyd", nil, policy.Checker, policy.Everywhere, true},
		{"cn:dan", nil, policy.Auditor, "court", false},
		{"cn:dan", []string{"group:h", "group:g"}, policy.Auditor, "court", true},
		{"", nil, policy.Checker, "mic", false},
	} {
		if got := s.Powers(c.who, c.groups).May(c.role, c.over); got != c.want {
			t.Errorf("May(%s, %s) of %s %q = %t, want %t", c.role, c.over, c.who, c.groups, got, c.want)
		}
	}
	if !s.AllPowers().May(policy.Administrator, policy.Everywhere) {
		t.Error("all powers are not all")
	}
}

// TestBefore counts only grants that are older than the revision.
func TestBefore(t *testing.T) {
	s := granted(t, policy.Grant{Principal: "cn:ann", Role: policy.Issuer, Organization: "mic"})
	of := s.Powers("cn:ann", nil)
	if of.Before(s.Revision()).Any() || !of.Before(s.Revision()+1).Any() {
		t.Error("a grant counts from the revision after its own")
	}
	again := propose(t, s, deletes(policy.Key{Kind: policy.KindGrant, ID: "g0"}))
	if again.Powers("cn:ann", nil).Any() {
		t.Error("a grant that was taken back counts")
	}
	again = propose(t, again, puts(&policy.Grant{ID: "g0", Principal: "cn:ann", Role: policy.Issuer, Organization: "mic"}))
	if again.Powers("cn:ann", nil).Before(s.Revision() + 1).Any() {
		t.Error("a grant that was given anew is as old as the former one")
	}
}

// TestPermit is what each kind of change takes.
func TestPermit(t *testing.T) {
	directive := func(edit func(d *policy.Directive)) []policy.Change { return amended("full", edit) }
	exemptionOf := func(organizations ...string) *policy.Release {
		return &policy.Release{ID: "x", Directive: "own", Kind: policy.Exemption, EndTime: policy.Forever, GrantedBy: "cn:who",
			Selector: policy.Selector{Organizations: policy.OrganizationSelector{In: organizations}, Window: policy.Always}}
	}
	lift := exemptionOf("mic")
	lift.Kind = policy.Lift
	everybody := exemptionOf()
	everybody.Selector.Organizations.All = true
	granter := exemptionOf("mic")
	granter.ID = "another's"
	for name, c := range map[string]struct {
		changes []policy.Change
		role    policy.Role // that it takes; 0: none
		over    string
	}{
		"issue":                       {directive(func(d *policy.Directive) { d.ID, d.Authority = "new", "mic" }), policy.Issuer, "mic"},
		"amend":                       {directive(func(*policy.Directive) {}), policy.Issuer, "state"},
		"amend and take away":         {directive(func(d *policy.Directive) { d.Authority = "mic" }), policy.Issuer, "state"},
		"supersede":                   {directive(func(d *policy.Directive) { d.ID, d.Authority, d.Supersedes = "new", "mic", []string{"app"} }), policy.Issuer, "state"},
		"supersede what there is not": {directive(func(d *policy.Directive) { d.ID, d.Authority, d.Supersedes = "new", "mic", []string{"nothing"} }), policy.Issuer, policy.Everywhere},
		"lift":                        {puts(lift), policy.Issuer, "state"},
		"exempt":                      {puts(exemptionOf("mic")), policy.Exempter, "mic"},
		"exempt two":                  {puts(exemptionOf("mic", "court")), policy.Exempter, "state"},
		"exempt nobody in particular": {puts(exemptionOf()), policy.Issuer, "state"},
		"exempt everybody":            {puts(everybody), policy.Issuer, "state"},
		"end what another granted":    {puts(granter), policy.Issuer, "state"},
		"resolve":                     {puts(&policy.ConcernState{Directive: "full", Concern: "access"}), policy.Issuer, "state"},
		"forget a state":              {deletes(policy.Key{Kind: policy.KindConcern, Directive: "full", ID: "access"}), policy.Issuer, "state"},
		"state":                       {puts(&policy.Statement{Directive: "full", ID: "s"}), policy.Issuer, "state"},
		"of no directive":             {puts(&policy.Statement{Directive: "nothing", ID: "s"}), policy.Issuer, policy.Everywhere},
		"grant":                       {puts(&policy.Grant{ID: "new", Organization: "mic"}), policy.Administrator, "mic"},
		"grant everything":            {puts(&policy.Grant{ID: "new", Organization: policy.Everywhere}), policy.Administrator, policy.Everywhere},
		"revoke":                      {deletes(policy.Key{Kind: policy.KindGrant, ID: "there"}), policy.Administrator, "court"},
		"propose":                     {puts(&policy.Proposal{ID: "new"}), 0, ""},
		"add beneath":                 {puts(&policy.Organization{ID: "new", Parent: "mic"}), policy.Registrar, "mic"},
		"add beneath what is added":   {puts(&policy.Organization{ID: "newer", Parent: "new"}, &policy.Organization{ID: "new", Parent: "mic"}), policy.Registrar, "mic"},
		"add beneath nothing":         {puts(&policy.Organization{ID: "new"}), policy.Registrar, policy.Everywhere},
		"add two beneath each other":  {puts(&policy.Organization{ID: "a", Parent: "b"}, &policy.Organization{ID: "b", Parent: "a"}), policy.Registrar, policy.Everywhere},
		"add of a kind":               {puts(&policy.Organization{ID: "new", Parent: "mic", Kind: "bureau"}), policy.Registrar, policy.Everywhere},
		"add retired":                 {puts(&policy.Organization{ID: "new", Parent: "mic", Retired: true}), policy.Registrar, policy.Everywhere},
		"add called":                  {puts(&policy.Organization{ID: "new", Parent: "mic", Aliases: []string{"name:new"}}), policy.Registrar, policy.Everywhere},
		"rename":                      {puts(&policy.Organization{ID: "ward", Parent: "osaka", Names: policy.TextOf(map[string]string{"en": "Ward"})}), policy.Registrar, "ward"},
		"move":                        {puts(&policy.Organization{ID: "ward", Parent: "local"}), policy.Registrar, policy.Everywhere},
		"delete an organization":      {deletes(policy.Key{Kind: policy.KindOrganization, ID: "ward"}), policy.Registrar, policy.Everywhere},
		"an app":                      {puts(line()), policy.Registrar, policy.Everywhere},
		"two things":                  {puts(&policy.Grant{ID: "new", Organization: "mic"}, line()), policy.Administrator, policy.Everywhere},
	} {
		t.Run(name, func(t *testing.T) {
			own := instruments()["full"]
			own.ID, own.CarveOuts, own.ExemptionRules.Approver = "own", nil, policy.ApproverSubject
			s := propose(t, granted(t, policy.Grant{ID: "there", Principal: "cn:x", Role: policy.Checker, Organization: "court"}), puts(own))
			there := *granter
			there.GrantedBy, there.Ground, there.Justification = "cn:another", "research", "x"
			there.Selector.Window = between("2021-04-01", "2021-04-02")
			there.Selector.Purposes.In, there.Selector.Conditions = []string{"service"}, []policy.Condition{{Attribute: "colour", Values: []string{"red"}}}
			there.ID = "another"
			s = propose(t, s, puts(&there))
			granter.ID = there.ID
			permittedExactly(t, s, c.changes, c.role, c.over)
		})
	}
}

// permittedExactly checks that the changes take the role over the organization, and nothing less.
func permittedExactly(t *testing.T, s *policy.Snapshot, changes []policy.Change, role policy.Role, over string) {
	t.Helper()
	permit := func(role policy.Role, over string) error {
		with := propose(t, s, puts(&policy.Grant{ID: "who", Principal: "cn:who", Role: role, Organization: over}))
		return with.Powers("cn:who", nil).Permit(changes)
	}
	if role == 0 {
		if err := s.Powers("cn:who", nil).Permit(changes); err != nil {
			t.Errorf("Permit = %v, want nil for anybody", err)
		}
		return
	}
	var missing *policy.NotGrantedError
	if err := s.Powers("cn:who", nil).Permit(changes); !errors.As(err, &missing) {
		t.Errorf("Permit without a grant = %v", err)
	}
	for _, r := range []policy.Role{role, policy.Administrator} {
		if err := permit(r, over); err != nil {
			t.Errorf("Permit by %s over %s = %v", r, over, err)
		}
	}
	for r := policy.Checker; r < policy.Administrator; r++ {
		if instead := r == policy.Issuer && role == policy.Exempter; r != role && r != policy.Follower && !instead && permit(r, policy.Everywhere) == nil {
			t.Errorf("Permit by %s is nil, want %s", r, role)
		}
	}
	for _, less := range []string{"state", "mic", "bureau", "court", "local", "osaka", "ward"} {
		if over == policy.Everywhere || !s.Within(over, less) {
			if err := permit(role, less); err == nil {
				t.Errorf("Permit by %s over %s is nil, want it over %s", role, less, over)
			}
		}
	}
}

// TestIdentities are those of all grants that count, each once.
func TestIdentities(t *testing.T) {
	s := granted(t,
		policy.Grant{Principal: "cn:ann", Role: policy.Issuer, Organization: "mic", Identity: "b"},
		policy.Grant{Principal: "cn:ann", Role: policy.Checker, Organization: "mic", Identity: "b"},
		policy.Grant{Principal: "group:g", Role: policy.Checker, Organization: "mic", Identity: "a"},
		policy.Grant{Principal: "cn:ben", Role: policy.Checker, Organization: "mic", Identity: "c"},
		policy.Grant{Principal: "cn:ann", Role: policy.Auditor, Organization: "mic"},
	)
	if got := s.Powers("cn:ann", []string{"group:g"}).Identities(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Identities = %q, want a and b", got)
	}
}
