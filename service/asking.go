package service

import (
	"context"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// asking is about which organizations a caller may ask, by the present policy, whatever policy it asks for.
type asking struct {
	snapshot *policy.Snapshot
	powers   policy.Powers
	role     policy.Role
	all      bool // about any name, registered or not
}

// asking returns about what the caller may ask on the terms. The policy that says so is at or after the revision that is demanded.
func (s *Server) asking(ctx context.Context, t *terms) (asking, error) {
	caller := s.caller(ctx)
	if caller == &local {
		return asking{all: true}, nil
	}
	within, cancel := inTime(ctx)
	defer cancel()
	v, err := s.replica.View(within, policystore.Demand{MinRevision: t.demand.MinRevision, Epoch: t.demand.Epoch})
	return s.askingBy(v.Snapshot, caller, t), err
}

// askingBy returns about what the caller may ask by a policy, which it must be present.
func (s *Server) askingBy(present *policy.Snapshot, caller *Caller, t *terms) asking {
	if caller == &local {
		return asking{all: true}
	}
	a := asking{snapshot: present, powers: s.powers(present, caller), role: policy.Checker}
	if t.hypothetical {
		a.role = policy.Auditor
	}
	return a
}

// about refuses an organization, by id or alias, that is not the caller's to ask about. Of one that there is not, whoever may ask
// about all is told that by the answer, and nobody else.
func (a *asking) about(organization string) error {
	if a.all || failpoint.Without("scope") {
		return nil
	}
	id := policy.Everywhere
	if a.snapshot.Organization(organization) != nil {
		id = organization
	} else if holder, held := a.snapshot.Holder(policy.KindOrganization, organization); held {
		id = holder.ID
	}
	if !a.powers.May(a.role, id) {
		return errNotGranted
	}
	return nil
}

// aboutIn refuses an organization that is not the caller's to ask about, or was called so in a policy that is asked.
func (a *asking) aboutIn(asked *policy.Snapshot, organization string) error {
	if err := a.about(organization); err != nil || a.all || asked == a.snapshot {
		return err
	}
	if holder, held := asked.Holder(policy.KindOrganization, organization); held {
		return a.about(holder.ID)
	}
	return nil
}

// asked returns the policy that is asked about an organization, if the caller may ask that. Nothing is read of the past for who may
// not.
func (s *Server) asked(ctx context.Context, t *terms, organization string) (policystore.View, error) {
	caller := s.caller(ctx)
	if caller == &local {
		return s.view(ctx, t)
	}
	if t.hypothetical {
		a, err := s.asking(ctx, t)
		if err == nil {
			err = a.about(organization)
		}
		if err != nil {
			return policystore.View{}, err
		}
		t.tells(&a)
		v, err := s.view(ctx, t)
		if err == nil {
			err = a.aboutIn(v.Snapshot, organization)
		}
		return v, err
	}
	v, err := s.view(ctx, t)
	if err != nil {
		return v, err
	}
	a := s.askingBy(v.Snapshot, caller, t)
	t.tells(&a)
	return v, a.about(organization)
}

// tells has explanations tell only of what the caller may see.
func (t *terms) tells(a *asking) {
	if t.explain && !a.all {
		t.sees = &a.powers
	}
}
