package service

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// WatchRestrictions tells the restrictions of a platform, and each that changes.
func (s *restrictionServer) WatchRestrictions(req *teishiv1.WatchRestrictionsRequest, stream teishiv1.RestrictionService_WatchRestrictionsServer) error {
	ctx, patient := patiently(stream.Context(), stream)
	d := newDevices(req.Organization, req.Platform, req.Device, req.Languages)
	w, err := s.newWatch(teishiv1.RestrictionService_WatchRestrictions_FullMethodName, req, &restrictions{devices: d, stream: patient})
	if err != nil {
		return err
	}
	w.broad = req.Organization
	w.allows(stream.Context(), s.Server, []string{req.Organization})
	if err := w.stillAllowed(stream.Context()); err != nil {
		return err
	}
	if req.Resume == nil {
		v, err := s.replica.View(stream.Context(), policystore.Demand{})
		if err == nil {
			err = d.registered(&v)
		}
		if err != nil {
			return err
		}
	}
	return w.run(ctx, req.Resume)
}

// restrictions is the subject of a watch of restrictions: the questions are about the identifiers that are registered.
type restrictions struct {
	*devices
	stream     sender[*teishiv1.WatchRestrictionsResponse]
	registered []string // when it was last asked for
	all        []string // that, and what stands for all others
}

func (s *restrictions) apps(v *policystore.View) ([]string, bool) {
	if held := v.Identifiers(s.platform); s.all == nil || !slices.Equal(held, s.registered) {
		s.registered, s.all = held, append([]string{s.others}, held...)
	}
	return s.all, true
}

func (s *restrictions) answer(v *policystore.View, _ int, q policy.Query, t *terms) (proto.Message, uint64, policy.Instant) {
	m, edge := s.restriction(v, q, t)
	return m, digest(m), edge
}

func (s *restrictions) tell(list []change, gone []string, place *teishiv1.WatchPosition) error {
	for first := true; first || len(list) > 0; first = false {
		m := &teishiv1.RestrictionChanges{}
		if first {
			m.Removed = bare(gone)
		}
		size := 0
		for ; len(list) > 0 && size < toldAtOnce; list = list[1:] {
			one := list[0].message.(*teishiv1.Restriction)
			if size += proto.Size(one); one.Identifier == "" {
				m.Others = one
			} else {
				m.Restrictions = append(m.Restrictions, one)
			}
		}
		resp := &teishiv1.WatchRestrictionsResponse{Event: &teishiv1.WatchRestrictionsResponse_Changes{Changes: m}}
		if m.More = len(list) > 0; !m.More {
			resp.Position = place
		}
		if err := s.stream.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// bare returns identifiers without their schemes.
func bare(identifiers []string) []string {
	names := make([]string, len(identifiers))
	for i, identifier := range identifiers {
		_, names[i], _ = strings.Cut(identifier, ":")
	}
	return names
}

func (s *restrictions) say(e event) error {
	resp := &teishiv1.WatchRestrictionsResponse{Position: e.place}
	switch {
	case e.synced != nil:
		resp.Event = &teishiv1.WatchRestrictionsResponse_Synced{Synced: e.synced}
	case e.heartbeat != nil:
		resp.Event = &teishiv1.WatchRestrictionsResponse_Heartbeat{Heartbeat: e.heartbeat}
	case e.restarted != nil:
		resp.Event = &teishiv1.WatchRestrictionsResponse_Restarted{Restarted: e.restarted}
	}
	return s.stream.Send(resp)
}
