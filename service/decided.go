package service

import (
	"context"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// loggedWithin is for how long an answer waits for its line in the decision log, where its caller would wait longer.
const loggedWithin = 5 * time.Second

// telling are answers that a call is about to tell. What of them is to be in the decision log is put there before they are told.
type telling struct {
	server  *Server
	method  string
	entries *decisionlog.Entries // nil: none of the answers is to be there
}

// tells returns what a method is about to tell: as yet nothing.
func (s *Server) tells(method string) telling { return telling{server: s, method: method} }

// add adds an answer.
func (t *telling) add(ctx context.Context, q decisionlog.Question, r *teishiv1.CheckResponse) {
	log := t.server.decisions
	if log == nil || !log.Chooses(r.Outcome) {
		return
	}
	if t.entries == nil {
		t.entries = log.Begin(decisionlog.Call{Method: method(t.method), Principal: t.server.caller(ctx).Principal, ID: givenID(ctx)})
	}
	t.entries.Add(q, r)
}

// logged puts what was added into the decision log. With an error none of it is to be told.
func (t *telling) logged(ctx context.Context) error {
	e := t.entries
	if e == nil {
		return nil
	}
	t.entries = nil
	if !t.server.decisions.Blocks() {
		return e.Commit(ctx)
	}
	ctx, cancel := inTime(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, loggedWithin)
	defer stop()
	return e.Commit(ctx)
}

// loggedBatch puts the answers of a batch into the decision log.
func (s *Server) loggedBatch(ctx context.Context, queries []*teishiv1.Query, resp *teishiv1.BatchCheckResponse) error {
	t := s.tells(teishiv1.DecisionService_BatchCheck_FullMethodName)
	for i, r := range resp.Results {
		if answer := r.GetResponse(); answer != nil {
			t.add(ctx, queries[i], answer)
		}
	}
	return t.logged(ctx)
}

// loggedPage puts the answers of a page into the decision log.
func (s *Server) loggedPage(ctx context.Context, resp *teishiv1.ListDecisionsResponse) error {
	t := s.tells(teishiv1.DecisionService_ListDecisions_FullMethodName)
	for _, d := range resp.Decisions {
		t.add(ctx, d.Query, d.Response)
	}
	return t.logged(ctx)
}

// loggedStream is a watch of decisions whose answers are in the decision log before they are told.
type loggedStream struct {
	sender[*teishiv1.WatchDecisionsResponse]
	ctx     context.Context
	telling telling
}

// Send is part of sender.
func (s *loggedStream) Send(m *teishiv1.WatchDecisionsResponse) error {
	for _, c := range m.GetChanges().GetChanges() {
		s.telling.add(s.ctx, c.Query, c.Response)
	}
	if err := s.telling.logged(s.ctx); err != nil {
		return err
	}
	return s.sender.Send(m)
}
