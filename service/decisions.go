package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// every in place of a name asks about each there is.
const every = "*"

// listed is the memory of one ListedDecision.
type listed struct {
	message teishiv1.ListedDecision
	query   teishiv1.Query
	answer  answer
}

// ListDecisions answers a question for every organization, app or purpose. Its pages are of one revision and one instant.
func (d *decisionServer) ListDecisions(ctx context.Context, req *teishiv1.ListDecisionsRequest) (*teishiv1.ListDecisionsResponse, error) {
	if req.Organization == every && req.App == every {
		return nil, &policy.InvalidError{Field: "app", Problem: "name an organization or an app: not both may be " + every}
	}
	t, err := termsOf(&teishiv1.CheckRequest{
		At:           req.At,
		AsOfRevision: req.AsOfRevision,
		AsOfTime:     req.AsOfTime,
		Language:     req.Language,
	})
	if err != nil {
		return nil, err
	}
	if _, err := queryOf(req.Organization, req.App, req.Purpose, req.Attributes); err != nil {
		return nil, err
	}
	a, err := d.asking(ctx, &t)
	if err == nil && req.Organization != every {
		err = a.about(req.Organization)
	}
	if err != nil {
		return nil, err
	}
	p, err := d.openAnswers(ctx, teishiv1.DecisionService_ListDecisions_FullMethodName, req, &t)
	if err != nil {
		return nil, err
	}
	resp, err := p.decide(ctx, req, &t, &a)
	if err != nil {
		return nil, err
	}
	if err := d.loggedPage(ctx, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// openAnswers begins a page of answers: the first one on the terms, which a later one takes from its token.
func (s *Server) openAnswers(ctx context.Context, method string, req listRequest, t *terms) (*page, error) {
	p, err := s.open(ctx, method, req, t.hypothetical, func() (policystore.View, policy.Instant, error) {
		v, err := s.view(ctx, t)
		return v, t.at, err
	})
	if err != nil {
		return nil, err
	}
	if req.GetPageToken() == "" {
		p.token.instead = t.instead
		return p, nil
	}
	if now := s.moment().now; !t.hypothetical && s.caller(ctx) != &local && (p.token.at > now+listedAhead || p.token.at < now-listedFor) {
		return nil, errListedOut
	}
	t.at, t.instead, t.past = p.token.at, p.token.instead, true
	if p.overtaken && !t.former() {
		p.view.Freshness = overtaken(p.view.Freshness, s.moment().now.Time().Sub(t.at.Time()))
	}
	if most := t.demand.MaxStaleness; most > 0 && p.view.Freshness.Age > most {
		return nil, fmt.Errorf("a page of policy %s old: %w", p.view.Freshness.Age, policystore.ErrTooStale)
	}
	return p, nil
}

// listedAhead is how far the clocks of servers may be apart that answer pages of one list.
const listedAhead = policy.Instant(60e6)

// overtaken is the freshness of answers that a later entry has overtaken since the instant they were pinned at.
func overtaken(f policystore.Freshness, age time.Duration) policystore.Freshness {
	f.Age = max(age, f.Age, 0)
	f.State = policystore.Stale
	if f.Age > policystore.ExpireAfter {
		f.State = policystore.Expired
	}
	return f
}

// decide answers the questions of the page, but those about organizations that are not the caller's to ask about.
func (p *page) decide(ctx context.Context, req *teishiv1.ListDecisionsRequest, t *terms, a *asking) (*teishiv1.ListDecisionsResponse, error) {
	resp := &teishiv1.ListDecisionsResponse{}
	asked := enumerate(&p.view, req)
	start, ok := asked.after(p.token.cursor)
	if !ok {
		return nil, errToken
	}
	for n := start; n < asked.count(); n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if first := n == start || n%asked.each() == 0; first && a.aboutIn(p.view.Snapshot, asked.organizations[n/asked.each()]) != nil {
			n += asked.each() - n%asked.each() - 1
			continue
		}
		l := &listed{}
		if err := l.fill(&p.view, asked, n, req.Attributes, t); err != nil {
			return nil, err
		}
		if !p.take(asked.cursor(n), &l.message) {
			break
		}
		resp.Decisions = append(resp.Decisions, &l.message)
	}
	resp.NextPageToken = p.next
	return resp, nil
}

// index returns the number of the first item of a page whose cursor is the number of the one before.
func (p *page) index() (int, error) {
	if p.token.cursor == "" {
		return 0, nil
	}
	last, err := strconv.Atoi(p.token.cursor)
	if err != nil || last < 0 {
		return 0, &policy.InvalidError{Field: "page_token", Problem: "not a token of ours"}
	}
	return last + 1, nil
}

// enumeration is the product of what is asked about, ordered by organization, app and purpose.
type enumeration struct{ organizations, apps, purposes []string }

func enumerate(v *policystore.View, req *teishiv1.ListDecisionsRequest) enumeration {
	return enumeration{
		organizations: names(v, policy.KindOrganization, req.Organization),
		apps:          names(v, policy.KindApp, req.App),
		purposes:      names(v, policy.KindPurpose, req.Purpose),
	}
}

// names returns the name, or if it is `*` every id of the kind, in order.
func names(v *policystore.View, kind policy.Kind, name string) []string {
	if name != every {
		return []string{name}
	}
	ids := make([]string, 0, v.Count(kind))
	for r := range v.Resources(kind) {
		ids = append(ids, r.Key().ID)
	}
	return ids
}

func (e enumeration) count() int { return len(e.organizations) * len(e.apps) * len(e.purposes) }

// each returns how many questions there are about one organization.
func (e enumeration) each() int { return len(e.apps) * len(e.purposes) }

// cursor names the n-th question. A number would tell how many organizations there are that the caller does not see.
func (e enumeration) cursor(n int) string {
	organization, app, purpose := e.at(n)
	return strings.Join([]string{organization, app, purpose}, cursorComma)
}

// cursorComma is in no name.
const cursorComma = "\x00"

// after returns the number of the question after the one that the cursor names, and the first if it names none.
func (e enumeration) after(cursor string) (n int, ok bool) {
	if cursor == "" {
		return 0, true
	}
	names := strings.Split(cursor, cursorComma)
	if len(names) != 3 {
		return 0, false
	}
	for i, list := range [][]string{e.organizations, e.apps, e.purposes} {
		at, found := slices.BinarySearch(list, names[i])
		if !found {
			return 0, false
		}
		n = n*len(list) + at
	}
	return n + 1, true
}

func (e enumeration) at(n int) (organization, app, purpose string) {
	apps, purposes := len(e.apps), len(e.purposes)
	return e.organizations[n/purposes/apps], e.apps[n/purposes%apps], e.purposes[n%purposes]
}

// fill answers the n-th question.
func (l *listed) fill(v *policystore.View, asked enumeration, n int, attributes map[string]string, t *terms) error {
	m := &l.query
	m.Organization, m.App, m.Purpose = asked.at(n)
	m.Attributes = attributes
	q, err := queryOf(m.Organization, m.App, m.Purpose, attributes)
	if err != nil {
		return err
	}
	l.answer.fill(v, q, t)
	l.message.Query, l.message.Response = m, &l.answer.response
	return nil
}
