package service

import (
	"context"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// granting tells one state of grants and organizations from every other.
type granting struct {
	epoch    int64
	revision policy.Revision
}

func grantingOf(v *policystore.View) granting { return granting{v.Position.Epoch, v.Access()} }

// allowed is that a watch is of organizations that its caller may ask about, for as long as it may.
type allowed struct {
	server        *Server
	caller        *Caller
	organizations []string
	as            granting // by which that was found; zero: not yet
}

// allows has the watch be of the organizations.
func (w *watch) allows(ctx context.Context, s *Server, organizations []string) {
	if caller := s.caller(ctx); caller != &local {
		w.allowed = &allowed{server: s, caller: caller, organizations: organizations}
	}
}

// stillAllowed refuses what policy does not allow now.
func (w *watch) stillAllowed(ctx context.Context) error {
	v, err := w.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return err
	}
	return w.allowed.by(&v)
}

// by refuses what a policy does not allow. That is looked into once for all policies of the same grants and organizations.
func (a *allowed) by(present *policystore.View) error {
	if a == nil || a.as == grantingOf(present) {
		return nil
	}
	if err := a.in(present, present); err != nil {
		return err
	}
	a.as = grantingOf(present)
	return nil
}

// then refuses to tell of a former policy in which a name meant what the caller may not ask about.
func (a *allowed) then(ctx context.Context, former *policystore.View) error {
	if a == nil || a.as == grantingOf(former) {
		return nil
	}
	present, err := a.server.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return err
	}
	return a.in(&present, former)
}

// in refuses organizations that are not the caller's to ask about, or were called so in a policy.
func (a *allowed) in(present, asked *policystore.View) error {
	asks := a.server.askingBy(present.Snapshot, a.caller, &terms{})
	for _, organization := range a.organizations {
		if err := asks.aboutIn(asked.Snapshot, organization); err != nil {
			return err
		}
	}
	return nil
}
