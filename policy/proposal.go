package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Proposal is a change that waits for the approval of others.
type Proposal struct {
	ID         string
	Proposer   string
	Groups     []string // whose grants the proposer had too
	Identities []string // that its grants gave the proposer
	Change     []byte   // as whoever proposes and applies it understands it
	Base       []BaseRevision
	Needs      []ApprovalNeed
	Window     Window   // from when it was proposed until it lapses
	Proposed   Revision // at which it was
	Approvals  []Approval
	Applied    Revision // at which it was applied; 0: it was not
}

// BaseRevision is the revision at which a resource last changed.
type BaseRevision struct {
	Key     Key
	Changed Revision
}

// ApprovalNeed is how many people beside the proposer a directive asks for.
type ApprovalNeed struct {
	Directive string
	Approvals int
}

// Approval is that somebody approved a proposal.
type Approval struct {
	Principal  string
	Groups     []string // whose grants it had too
	Identities []string // that its grants gave it
	Time       Instant
}

// ProposalState is how a proposal stands.
type ProposalState uint8

// The states of a proposal.
const (
	// ProposalOpen waits for approval.
	ProposalOpen ProposalState = iota + 1
	// ProposalApplied was approved and applied.
	ProposalApplied
	// ProposalExpired lapsed.
	ProposalExpired
	// ProposalVoid is about something that has changed since.
	ProposalVoid
)

// MaxOpenProposals bounds the proposals of one proposer that wait.
const MaxOpenProposals = 32

// Proposal returns the proposal of that id, or nil.
func (s *Snapshot) Proposal(id string) *Proposal { return s.proposals.find(s.seed, id).resource }

func (b *builder) foldProposals() error {
	for _, p := range b.puts[KindProposal] {
		r := p.resource.(*Proposal)
		b.proposals.put(b, b.proposals.reserve(b, r.ID), r, p.changed)
	}
	return nil
}

func proposalForm(p *Proposal) error {
	var top *field
	return firstOf(
		slug(top.in("id"), p.ID),
		principalForm(top.in("proposer"), p.Proposer),
		instant(top.in("propose_time"), p.Window.Start),
		window(top, "propose_time", "expire_time", p.Window),
	)
}

// ProposalState returns how the proposal stands at an instant.
func (s *Snapshot) ProposalState(p *Proposal, at Instant) ProposalState {
	changed := func(b BaseRevision) bool {
		_, now, _ := s.Lookup(b.Key)
		return now != b.Changed
	}
	switch {
	case p.Applied > 0:
		return ProposalApplied
	case at >= p.Window.End:
		return ProposalExpired
	case slices.ContainsFunc(p.Base, changed):
		return ProposalVoid
	}
	return ProposalOpen
}

// Base returns what a proposal of the changes is about: what they change of what there is, and what they loosen.
func (s *Snapshot) Base(changes []Change, loosened []string) []BaseRevision {
	var keys []Key
	for _, c := range changes {
		keys = append(keys, c.Key())
	}
	for _, id := range loosened {
		keys = append(keys, Key{Kind: KindDirective, ID: id})
	}
	slices.SortFunc(keys, compareKeys)
	var base []BaseRevision
	for _, k := range slices.Compact(keys) {
		if _, changed, ok := s.Lookup(k); ok {
			base = append(base, BaseRevision{k, changed})
		}
	}
	return base
}

// ApprovalNeeds returns how many people each of the directives asks for, without those that ask for none.
func (s *Snapshot) ApprovalNeeds(directives []string) []ApprovalNeed {
	var needs []ApprovalNeed
	for _, id := range directives {
		if d := s.Directive(id); d != nil && d.LiftApprovals > 0 {
			needs = append(needs, ApprovalNeed{id, d.LiftApprovals})
		}
	}
	return needs
}

// OpenProposal proposes something.
func (s *Snapshot) OpenProposal(p *Proposal) ([]Change, error) {
	if s.Proposal(p.ID) != nil {
		return nil, &ExistsError{p.Key()}
	}
	open := 0
	for r := range s.proposals.each {
		if other := r.(*Proposal); other.Proposer == p.Proposer && s.ProposalState(other, p.Window.Start) == ProposalOpen {
			open++
		}
	}
	if open >= MaxOpenProposals {
		return nil, &LimitError{"proposals of one proposer may wait for approval", MaxOpenProposals}
	}
	return []Change{{Put: p}}, nil
}

// A ProposalError says why a proposal cannot be approved.
type ProposalError struct{ ID, Problem string }

func (e *ProposalError) Error() string {
	return fmt.Sprintf("proposal %s cannot be approved: %s", e.ID, e.Problem)
}

var unapprovable = map[ProposalState]string{
	ProposalApplied: "it was applied already",
	ProposalExpired: "it lapsed",
	ProposalVoid:    "what it is about has changed since: propose it anew",
}

// Approvable reports as a *ProposalError why the proposal does not wait for approval at an instant.
func (s *Snapshot) Approvable(p *Proposal, at Instant) error {
	if state := s.ProposalState(p, at); state != ProposalOpen {
		return &ProposalError{p.ID, unapprovable[state]}
	}
	return nil
}

// Approve returns the proposal with one approval more, and whether it now has all that the directives ask for. Changes is what the
// proposal comes to, and loosened what that loosens.
func (s *Snapshot) Approve(p *Proposal, a Approval, changes []Change, loosened []string) (next *Proposal, enough bool, err error) {
	if err := s.Approvable(p, a.Time); err != nil {
		return nil, false, err
	}
	if !slices.Equal(s.Base(changes, loosened), p.Base) || !slices.Equal(s.ApprovalNeeds(loosened), p.Needs) {
		return nil, false, &ProposalError{p.ID, unapprovable[ProposalVoid]}
	}
	if !slices.ContainsFunc(p.Needs, func(n ApprovalNeed) bool { return s.mayApprove(p, a, n, changes) }) {
		return nil, false, &NotGrantedError{Issuer, s.authority(p.Needs[0].Directive)}
	}
	next = new(*p)
	next.Approvals = append(slices.Clone(p.Approvals), a)
	persons := s.persons(next)
	if last := persons[len(persons)-1]; slices.Contains(persons[:len(persons)-1], last) {
		return nil, false, &ProposalError{p.ID, "whoever proposed or approved it already is the same person"}
	}
	enough = !slices.ContainsFunc(p.Needs, func(n ApprovalNeed) bool { return s.approvers(next, persons, n, changes) < n.Approvals })
	return next, enough, nil
}

// mayApprove reports whether an approval counts for a directive: there is the power to lift it, by grants older than the proposal.
func (s *Snapshot) mayApprove(p *Proposal, a Approval, n ApprovalNeed, changes []Change) bool {
	return s.Powers(a.Principal, a.Groups).Before(p.Proposed).Lifts(n.Directive, changes)
}

// approvers returns how many persons beside the proposer have approved what a directive asks for.
func (s *Snapshot) approvers(p *Proposal, persons []int, n ApprovalNeed, changes []Change) int {
	counted := map[int]bool{persons[0]: true}
	for i, a := range p.Approvals {
		if s.mayApprove(p, a, n, changes) {
			counted[persons[i+1]] = true
		}
	}
	return len(counted) - 1
}

// persons numbers the persons that the proposer and, after it, those who approved are: equal numbers for one person. Two
// credentials are of one person if they have a name in common, be it through a third.
func (s *Snapshot) persons(p *Proposal) []int {
	names := [][]string{s.namesOf(p.Proposer, p.Groups, p.Identities)}
	for _, a := range p.Approvals {
		names = append(names, s.namesOf(a.Principal, a.Groups, a.Identities))
	}
	numbers := make([]int, len(names))
	for i := range numbers {
		numbers[i] = i
		for j := range i {
			if !slices.ContainsFunc(names[i], func(name string) bool { return slices.Contains(names[j], name) }) {
				continue
			}
			for k, was := range numbers[:i+1] {
				if was == numbers[i] {
					numbers[k] = numbers[j]
				}
			}
		}
	}
	return numbers
}

// namesOf returns everything by which a person may be known: its principal, and the identities that its grants gave it and give it.
func (s *Snapshot) namesOf(principal string, groups, identities []string) []string {
	names := []string{"principal " + principal}
	for _, id := range slices.Concat(identities, s.Powers(principal, groups).Identities()) {
		names = append(names, "identity "+id)
	}
	return names
}

// ParseKey reads a key as String writes it.
func ParseKey(s string) (k Key, ok bool) {
	kind, name, ok := strings.Cut(s, " ")
	k.Kind = Kind(max(0, slices.Index(kindNames[:], kind)))
	if directive, id, within := strings.Cut(name, "/"); within {
		k.Directive, k.ID = directive, id
	} else {
		k.ID = name
	}
	return k, ok && k.Kind > 0 && k.ID != ""
}
