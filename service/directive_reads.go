package service

import (
	"context"
	"iter"
	"slices"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// maxShown is how many releases are shown with their directive.
const maxShown = 100

// GetDirective returns a directive with what belongs to it, and how it stands now.
func (d *directiveServer) GetDirective(ctx context.Context, req *teishiv1.GetDirectiveRequest) (*teishiv1.GetDirectiveResponse, error) {
	v, err := d.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return nil, err
	}
	powers := d.powers(v.Snapshot, d.caller(ctx))
	text, err := visible(&v, powers, req.Id)
	if err != nil {
		return nil, err
	}
	state := stateOf(&v, text, d.moment().now)
	releases := slices.DeleteFunc(v.Releases(text.ID), func(r *policy.Release) bool { return !powers.SeesRelease(r) })
	resp := &teishiv1.GetDirectiveResponse{
		Directive:        policystore.DirectiveToProto(text, changed(&v, text)),
		Concerns:         messages(&v, concernStates(&v, text), policystore.ConcernStateToProto),
		Statements:       messages(&v, v.Statements(text.ID), policystore.StatementToProto),
		State:            state,
		Liftable:         liftable(&v, text, state),
		OriginalRevision: originalRevision(&v, text),
		ReleasesTotal:    int32(len(releases)),
		Revision:         int64(v.Position.Revision),
		Epoch:            v.Position.Epoch,
	}
	room := maxPageBytes - proto.Size(resp)
	for _, m := range messages(&v, releases[:min(len(releases), maxShown)], policystore.ReleaseToProto) {
		if room -= proto.Size(m); room < 0 {
			break
		}
		resp.Releases = append(resp.Releases, m)
	}
	return resp, nil
}

// visible returns the directive of that id, if the powers see it. Only who sees all is told that there is none.
func visible(v *policystore.View, powers policy.Powers, id string) (*policy.Directive, error) {
	text := v.Directive(id)
	switch {
	case text == nil && powers.Sees(policy.Everywhere):
		return nil, &policy.NotFoundError{Key: directiveKey(id)}
	case text == nil || !powers.SeesDirective(text):
		return nil, errNotGranted
	}
	return text, nil
}

// changed returns the revision at which the resource last changed, 0 if it is not in the record.
func changed(v *policystore.View, r policy.Resource) policy.Revision {
	_, revision, _ := v.Lookup(r.Key())
	return revision
}

func messages[R policy.Resource, M any](v *policystore.View, list []R, to func(R, policy.Revision) M) []M {
	var all []M
	for _, r := range list {
		all = append(all, to(r, changed(v, r)))
	}
	return all
}

// concernStates returns the state of every concern in the order of the text. One that nothing became of is open.
func concernStates(v *policystore.View, text *policy.Directive) []*policy.ConcernState {
	var list []*policy.ConcernState
	for _, c := range text.Concerns {
		state := v.ConcernState(text.ID, c.ID)
		if state == nil {
			state = &policy.ConcernState{Directive: text.ID, Concern: c.ID, Time: policy.Beginning}
		}
		list = append(list, state)
	}
	return list
}

// liftable reports whether every concern of a directive that is not lifted is resolved.
func liftable(v *policystore.View, text *policy.Directive, state teishiv1.DirectiveState) bool {
	if state != teishiv1.DirectiveState_DIRECTIVE_STATE_IN_FORCE && state != teishiv1.DirectiveState_DIRECTIVE_STATE_SCHEDULED {
		return false
	}
	open := func(c *policy.ConcernState) bool { return !c.Resolved }
	return len(text.Concerns) > 0 && !slices.ContainsFunc(concernStates(v, text), open)
}

func originalRevision(v *policystore.View, text *policy.Directive) int64 {
	if text.AdoptedFrom == nil {
		return 0
	}
	_, revision, _ := v.Lookup(directiveKey(text.AdoptedFrom.Directive))
	return int64(revision)
}

// stateOf says how the directive stands at the instant: the last of the enum's that applies.
func stateOf(v *policystore.View, text *policy.Directive, at policy.Instant) teishiv1.DirectiveState {
	window := v.DirectiveWindow(text.ID)
	switch {
	case text.Withdrawal != nil:
		return teishiv1.DirectiveState_DIRECTIVE_STATE_WITHDRAWN
	case at >= window.End && superseded(v, text.ID, at):
		return teishiv1.DirectiveState_DIRECTIVE_STATE_SUPERSEDED
	case at >= window.End:
		return teishiv1.DirectiveState_DIRECTIVE_STATE_EXPIRED
	case at < window.Start:
		return teishiv1.DirectiveState_DIRECTIVE_STATE_SCHEDULED
	case slices.ContainsFunc(v.Releases(text.ID), func(r *policy.Release) bool { return whole(r) && r.Window().Contains(at) }):
		return teishiv1.DirectiveState_DIRECTIVE_STATE_LIFTED
	}
	return teishiv1.DirectiveState_DIRECTIVE_STATE_IN_FORCE
}

// superseded reports whether a directive that supersedes the one of the id has taken effect.
func superseded(v *policystore.View, id string, at policy.Instant) bool {
	for r := range v.Resources(policy.KindDirective) {
		successor := r.(*policy.Directive)
		if successor.Withdrawal == nil && successor.Window.Start <= at && slices.Contains(successor.Supersedes, id) {
			return true
		}
	}
	return false
}

// whole reports whether the release is a lift of everything that its directive covers.
func whole(r *policy.Release) bool {
	s := &r.Selector
	return r.Kind == policy.Lift && len(r.Provisions) == 0 && len(s.Conditions) == 0 &&
		len(s.Organizations.In) == 0 && len(s.Organizations.Out) == 0 && len(s.Organizations.Kinds) == 0 &&
		len(s.Targets.In) == 0 && len(s.Targets.Out) == 0 &&
		len(s.Purposes.In) == 0 && len(s.Purposes.Out) == 0
}

// ListDirectives returns directives by id.
func (d *directiveServer) ListDirectives(ctx context.Context, req *teishiv1.ListDirectivesRequest) (*teishiv1.ListDirectivesResponse, error) {
	powers, err := d.reading(ctx, req, "authority", req.Authority)
	if err != nil {
		return nil, err
	}
	of := func(v *policystore.View, text *policy.Directive) bool {
		return (req.Authority == "" || v.Within(text.Authority, req.Authority)) && powers.SeesDirective(text)
	}
	items, p, err := list(ctx, d.Server, teishiv1.DirectiveService_ListDirectives_FullMethodName, req,
		policy.KindDirective, of, policystore.DirectiveToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListDirectivesResponse{Directives: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

// ListReleases returns the lifts and exemptions of a directive by id.
func (d *directiveServer) ListReleases(ctx context.Context, req *teishiv1.ListReleasesRequest) (*teishiv1.ListReleasesResponse, error) {
	powers, err := d.reading(ctx, req, "", "")
	if err != nil {
		return nil, err
	}
	of := func(v *policystore.View) (iter.Seq2[policy.Resource, policy.Revision], error) {
		if _, err := visible(v, powers, req.Directive); err != nil {
			return nil, err
		}
		return func(yield func(policy.Resource, policy.Revision) bool) {
			for _, r := range v.Releases(req.Directive) {
				if !yield(r, changed(v, r)) {
					return
				}
			}
		}, nil
	}
	items, p, err := paged(ctx, d.Server, teishiv1.DirectiveService_ListReleases_FullMethodName, req,
		of, func(_ *policystore.View, r *policy.Release) bool { return powers.SeesRelease(r) }, policystore.ReleaseToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListReleasesResponse{Releases: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}
