package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// deliberation is the statute with people who may lift its directive `full`, which asks for two, and a proposal to withdraw it.
func deliberation(t *testing.T, identities map[string]string) (*policy.Snapshot, *policy.Proposal, []policy.Change) {
	t.Helper()
	var grants []policy.Grant
	for _, name := range []string{"ann", "ben", "cyd", "dan"} {
		grants = append(grants, policy.Grant{ID: name, Principal: "cn:" + name, Role: policy.Issuer, Organization: "state", Identity: identities[name]})
	}
	s := granted(t, grants...)
	changes, err := s.Withdraw("full", "void", on("2021-05-01"))
	if err != nil {
		t.Fatal(err)
	}
	return s, &policy.Proposal{ID: "it", Proposer: "cn:ann", Base: s.Base(changes, []string{"full"}), Needs: s.ApprovalNeeds([]string{"full"}),
		Window: between("2021-05-01", "2021-05-08"), Proposed: s.Revision() + 1}, changes
}

// TestPersons: two credentials are of one person if they have a name in common, be it through a third. How many approvals there are is
// told by how many people have given them.
func TestPersons(t *testing.T) {
	for _, c := range []struct {
		identities map[string]string
		said       map[string][]string // identities that approvals were given with, beside those of the grants
		approved   string              // in order; a star after who is refused as somebody who has
		enough     bool
	}{
		{nil, nil, "ben", false},
		{nil, nil, "ben cyd", true},
		{nil, nil, "ann*", false},
		{nil, nil, "ben ben* cyd", true},
		{map[string]string{"ann": "x", "ben": "x"}, nil, "ben* cyd dan", true},
		{map[string]string{"ben": "x", "cyd": "x"}, nil, "ben cyd* dan", true},
		{map[string]string{"ben": "x", "cyd": "y"}, map[string][]string{"dan": {"x", "y"}}, "ben cyd", true},
		{map[string]string{"ben": "x", "cyd": "y"}, map[string][]string{"dan": {"x", "y"}}, "ben dan* cyd", true},
		{map[string]string{"ben": "x"}, map[string][]string{"cyd": {"X"}}, "ben cyd", true},
		{map[string]string{"ben": "ben"}, map[string][]string{"cyd": {"cn:ben"}}, "ben cyd", true}, // an identity is no principal
	} {
		s, p, changes := deliberation(t, c.identities)
		enough := false
		for who := range strings.FieldsSeq(c.approved) {
			name, same := strings.CutSuffix(who, "*")
			next, is, err := s.Approve(p, policy.Approval{Principal: "cn:" + name, Identities: c.said[name], Time: on("2021-05-02")}, changes, []string{"full"})
			if (err != nil) != same {
				t.Errorf("%v: Approve by %s = %v", c, who, err)
			}
			if err == nil {
				p, enough = next, is
			}
		}
		if enough != c.enough {
			t.Errorf("%v: enough = %t, want %t", c, enough, c.enough)
		}
	}
}

// TestOnePersonInTheEnd counts those once who turn out to be one by who approves last.
func TestOnePersonInTheEnd(t *testing.T) {
	s, p, changes := deliberation(t, nil)
	p.Approvals = []policy.Approval{
		{Principal: "cn:ben", Identities: []string{"x"}, Time: on("2021-05-02")},
		{Principal: "cn:cyd", Identities: []string{"x"}, Time: on("2021-05-02")},
	}
	p.Needs[0].Approvals = 2
	_, enough, err := s.Approve(p, policy.Approval{Principal: "cn:dan", Time: on("2021-05-03")}, changes, []string{"full"})
	if err != nil || !enough {
		t.Errorf("Approve by a second person = %t, %v", enough, err)
	}
	p.Identities = []string{"x"} // of who proposes: the two are that one
	_, enough, err = s.Approve(p, policy.Approval{Principal: "cn:dan", Time: on("2021-05-03")}, changes, []string{"full"})
	if err != nil || enough {
		t.Errorf("Approve by the only other person = %t, %v", enough, err)
	}
	p.Approvals = []policy.Approval{{Principal: "cn:ben", Identities: []string{"y"}}, {Principal: "cn:cyd", Identities: []string{"x", "y"}}}
	_, enough, err = s.Approve(p, policy.Approval{Principal: "cn:dan", Time: on("2021-05-03")}, changes, []string{"full"})
	if err != nil || enough {
		t.Errorf("Approve where those before are who proposed it, by the last of them = %t, %v", enough, err)
	}
}

// TestApproveAnew refuses what has become something else since it was proposed.
func TestApproveAnew(t *testing.T) {
	s, p, changes := deliberation(t, nil)
	by := policy.Approval{Principal: "cn:ben", Time: on("2021-05-02")}
	for what, edit := range map[string]func(p *policy.Proposal) (policy.Approval, []string){
		"another number is asked for": func(p *policy.Proposal) (policy.Approval, []string) {
			p.Needs[0].Approvals = 1
			return by, []string{"full"}
		},
		"another directive asks too":  func(*policy.Proposal) (policy.Approval, []string) { return by, []string{"allow", "full"} },
		"what it is about is another": func(p *policy.Proposal) (policy.Approval, []string) { p.Base[0].Changed--; return by, []string{"full"} },
		"it has lapsed": func(*policy.Proposal) (policy.Approval, []string) {
			return policy.Approval{Principal: "cn:ben", Time: on("2021-05-08")}, []string{"full"}
		},
		"it was applied":                 func(p *policy.Proposal) (policy.Approval, []string) { p.Applied = 9; return by, []string{"full"} },
		"who approves became that since": func(p *policy.Proposal) (policy.Approval, []string) { p.Proposed = 1; return by, []string{"full"} },
		"who approves has no power at all": func(*policy.Proposal) (policy.Approval, []string) {
			return policy.Approval{Principal: "cn:x", Time: by.Time}, []string{"full"}
		},
	} {
		edited := *p
		edited.Needs, edited.Base = append([]policy.ApprovalNeed(nil), p.Needs...), append([]policy.BaseRevision(nil), p.Base...)
		approval, loosened := edit(&edited)
		if _, _, err := s.Approve(&edited, approval, changes, loosened); err == nil {
			t.Errorf("Approve where %s = nil", what)
		}
	}
	if _, _, err := s.Approve(p, by, changes, []string{"full"}); err != nil {
		t.Errorf("Approve = %v", err)
	}
}

func TestProposalState(t *testing.T) {
	s, p, _ := deliberation(t, nil)
	touched := propose(t, s, amended("full", func(d *policy.Directive) { d.Number = "2" }))
	elsewhere := propose(t, s, amended("app", func(d *policy.Directive) { d.Number = "2" }))
	applied := *p
	applied.Applied = 9
	for _, c := range []struct {
		s    *policy.Snapshot
		p    *policy.Proposal
		at   string
		want policy.ProposalState
	}{
		{s, p, "2021-05-01", policy.ProposalOpen},
		{s, p, "2021-05-07", policy.ProposalOpen},
		{s, p, "2021-05-08", policy.ProposalExpired},
		{elsewhere, p, "2021-05-07", policy.ProposalOpen},
		{touched, p, "2021-05-07", policy.ProposalVoid},
		{touched, p, "2021-05-08", policy.ProposalExpired},
		{touched, &applied, "2021-05-08", policy.ProposalApplied},
	} {
		if got := c.s.ProposalState(c.p, on(c.at)); got != c.want {
			t.Errorf("ProposalState on %s = %d, want %d", c.at, got, c.want)
		}
	}
}

// TestOpenProposals bounds those that wait, and only those.
func TestOpenProposals(t *testing.T) {
	s, p, _ := deliberation(t, nil)
	var entry []policy.Change
	for i := range policy.MaxOpenProposals {
		one := *p
		one.ID = fmt.Sprintf("p%d", i)
		entry = append(entry, policy.Change{Put: &one})
	}
	s = propose(t, s, entry)
	if _, err := s.OpenProposal(p); !errors.As(err, new(*policy.LimitError)) {
		t.Errorf("OpenProposal beyond the limit = %v", err)
	}
	later := *p
	later.Window = between("2021-05-08", "2021-05-09")
	if _, err := s.OpenProposal(&later); err != nil {
		t.Errorf("OpenProposal once all have lapsed = %v", err)
	}
}

func TestParseKey(t *testing.T) {
	for kind := policy.KindPurpose; kind <= policy.KindProposal; kind++ {
		k := policy.Key{Kind: kind, ID: "a"}
		if kind == policy.KindRelease || kind == policy.KindConcern || kind == policy.KindStatement {
			k.Directive = "d"
		}
		if got, ok := policy.ParseKey(k.String()); !ok || got != k {
			t.Errorf("ParseKey(%q) = %v, %t", k, got, ok)
		}
	}
	for _, s := range []string{"", "app", "app ", "nothing a", " a", "release d/"} {
		if k, ok := policy.ParseKey(s); ok {
			t.Errorf("ParseKey(%q) = %v", s, k)
		}
	}
}
