package service

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// toldAtOnce bounds the bytes of one message of a watch, but for its first answer.
const toldAtOnce = 256 << 10

// WatchDecisions tells answers, and each that changes.
func (d *decisionServer) WatchDecisions(req *teishiv1.WatchDecisionsRequest, stream teishiv1.DecisionService_WatchDecisionsServer) error {
	ctx, patient := patiently(stream.Context(), stream)
	subject := &decisions{stream: &loggedStream{patient, ctx, d.tells(teishiv1.DecisionService_WatchDecisions_FullMethodName)}}
	list, err := subject.expand(req.Selectors)
	if err != nil {
		return err
	}
	w, err := d.newWatch(teishiv1.DecisionService_WatchDecisions_FullMethodName, req, subject)
	if err != nil {
		return err
	}
	w.asked, w.language = list, req.Language
	subject.anew = req.Resume == nil
	w.allows(stream.Context(), d.Server, subject.organizations())
	return w.run(ctx, req.Resume)
}

// decisions is the subject of a watch of decisions.
type decisions struct {
	stream  sender[*teishiv1.WatchDecisionsResponse]
	queries []*teishiv1.Query
	fields  []origin
	anew    bool // nothing was told yet: what is not registered is refused
}

// organizations returns those that are asked about, each once.
func (s *decisions) organizations() []string {
	seen := make(map[string]bool)
	for _, q := range s.queries {
		seen[q.Organization] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// origin says where in the request a question has its names from: selector, and organization, app and purpose in it.
type origin struct{ selector, organization, app, purpose int32 }

// expand makes the questions of selectors.
func (s *decisions) expand(selectors []*teishiv1.DecisionSelector) ([]asked, error) {
	n, err := countQuestions(selectors)
	if err != nil {
		return nil, err
	}
	list := make([]asked, 0, n)
	s.queries, s.fields = make([]*teishiv1.Query, 0, n), make([]origin, 0, n)
	for i, sel := range selectors {
		purposes := sel.Purposes
		if len(purposes) == 0 {
			purposes = []string{""}
		}
		for j, organization := range sel.Organizations {
			for k, app := range sel.Apps {
				for l, purpose := range purposes {
					at := origin{int32(i), int32(j), int32(k), int32(l)}
					q, err := queryOf(organization, app, purpose, sel.Attributes)
					if err != nil {
						return nil, &placed{err, at.place}
					}
					list = append(list, asked{query: q})
					s.queries = append(s.queries, &teishiv1.Query{Organization: organization, App: app, Purpose: purpose, Attributes: sel.Attributes})
					s.fields = append(s.fields, at)
				}
			}
		}
	}
	return list, nil
}

// countQuestions returns how many questions there are in the selectors.
func countQuestions(selectors []*teishiv1.DecisionSelector) (int, error) {
	total := 0
	for i, sel := range selectors {
		field := fmt.Sprintf("selectors[%d]", i)
		switch {
		case len(sel.Organizations) == 0:
			return 0, &policy.InvalidError{Field: field + ".organizations", Problem: "must be stated"}
		case len(sel.Apps) == 0:
			return 0, &policy.InvalidError{Field: field + ".apps", Problem: "must be stated"}
		}
		n := len(sel.Organizations)
		for _, factor := range [...]int{len(sel.Apps), max(1, len(sel.Purposes))} {
			if n *= factor; n > maxQueries {
				break
			}
		}
		if total += n; total > maxQueries {
			return 0, &policy.InvalidError{Field: field, Problem: fmt.Sprintf("with it there are more than %d questions: open another watch for the rest", maxQueries)}
		}
	}
	if total == 0 {
		return 0, &policy.InvalidError{Field: "selectors", Problem: "must be stated"}
	}
	return total, nil
}

// place returns where in the request the field of a question is.
func (f origin) place(field string) string {
	at := fmt.Sprintf("selectors[%d].", f.selector)
	switch field {
	case "organization":
		return fmt.Sprintf("%sorganizations[%d]", at, f.organization)
	case "app":
		return fmt.Sprintf("%sapps[%d]", at, f.app)
	case "purpose":
		return fmt.Sprintf("%spurposes[%d]", at, f.purpose)
	}
	return at + field
}

// The questions are those that were asked.
func (s *decisions) apps(*policystore.View) ([]string, bool) { return nil, false }
func (s *decisions) question(string) policy.Query            { return policy.Query{} }

func (s *decisions) answer(v *policystore.View, _ int, q policy.Query, t *terms) (proto.Message, uint64, policy.Instant) {
	a := &answer{}
	a.fill(v, q, t)
	return &a.response, a.digest(), a.edge
}

// digest tells answers apart, but for what differs each time.
func (a *answer) digest() uint64 {
	r := &a.response
	revision, epoch, decided, until, freshness := r.Revision, r.Epoch, r.DecisionTime, r.CacheUntilTime, r.Freshness
	r.Revision, r.Epoch, r.DecisionTime, r.CacheUntilTime, r.Freshness = 0, 0, nil, nil, nil
	d := digest(r)
	r.Revision, r.Epoch, r.DecisionTime, r.CacheUntilTime, r.Freshness = revision, epoch, decided, until, freshness
	return d
}

func (s *decisions) tell(list []change, _ []string, place *teishiv1.WatchPosition) error {
	if s.anew {
		if err := s.registered(list); err != nil {
			return err
		}
		s.anew = false
	}
	for len(list) > 0 {
		n, size := 0, 0
		m := &teishiv1.DecisionChanges{}
		for ; n < len(list) && size < toldAtOnce; n++ {
			one := &teishiv1.DecisionChange{Index: int32(list[n].index), Query: s.queries[list[n].index], Response: list[n].message.(*teishiv1.CheckResponse)}
			m.Changes = append(m.Changes, one)
			if len(list) > 1 {
				size += proto.Size(one)
			}
		}
		list = list[n:]
		resp := &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Changes{Changes: m}}
		if m.More = len(list) > 0; !m.More {
			resp.Position = place
		}
		if err := s.stream.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// registered refuses questions about what there is not, when a watch begins: most are misspelt.
func (s *decisions) registered(list []change) error {
	for _, c := range list {
		q := s.queries[c.index]
		wrong := &policy.ReferenceError{}
		switch c.message.(*teishiv1.CheckResponse).Reason {
		case teishiv1.Reason_REASON_UNKNOWN_ORGANIZATION:
			wrong.Field, wrong.Key = "organization", policy.Key{Kind: policy.KindOrganization, ID: q.Organization}
		case teishiv1.Reason_REASON_UNKNOWN_APP:
			wrong.Field, wrong.Key = "app", policy.Key{Kind: policy.KindApp, ID: q.App}
		case teishiv1.Reason_REASON_UNKNOWN_PURPOSE:
			wrong.Field, wrong.Key = "purpose", policy.Key{Kind: policy.KindPurpose, ID: q.Purpose}
		default:
			continue
		}
		return &placed{wrong, s.fields[c.index].place}
	}
	return nil
}

// say is part of subject.
func (s *decisions) say(e event) error {
	resp := &teishiv1.WatchDecisionsResponse{Position: e.place}
	switch {
	case e.synced != nil:
		resp.Event = &teishiv1.WatchDecisionsResponse_Synced{Synced: e.synced}
	case e.heartbeat != nil:
		resp.Event = &teishiv1.WatchDecisionsResponse_Heartbeat{Heartbeat: e.heartbeat}
	case e.restarted != nil:
		resp.Event = &teishiv1.WatchDecisionsResponse_Restarted{Restarted: e.restarted}
	}
	return s.stream.Send(resp)
}
