package service

import (
	"context"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// allowed is that a watch is of organizations that its caller may ask about, for as long as it may.
type allowed struct {
	server        *Server
	caller        *Caller
	organizations []string
	access        policy.Revision // at which that was found; 0: not yet
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
	return w.allowed.by(v.Snapshot)
}

// by refuses what a policy does not allow. That is looked into once for all policies of the same grants and organizations.
func (a *allowed) by(present *policy.Snapshot) error {
	if a == nil || a.access != 0 && a.access == present.Access() {
		return nil
	}
	asks := a.server.askingBy(present, a.caller, &terms{})
	for _, organization := range a.organizations {
		if err := asks.about(organization); err != nil {
			return err
		}
	}
	a.access = present.Access()
	return nil
}
