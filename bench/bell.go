//go:build linux

package main

import (
	"context"
	"sync"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// bell rings at any write to the empty server: then whoever watches it is told.
type bell struct {
	teishiv1.UnimplementedDirectiveServiceServer
	mu   sync.Mutex
	rung chan struct{} // closed and replaced
}

func newBell() *bell { return &bell{rung: make(chan struct{})} }

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}

// next returns what is closed when the bell rings next.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

func (b *bell) IssueDirective(context.Context, *teishiv1.IssueDirectiveRequest) (*teishiv1.IssueDirectiveResponse, error) {
	b.ring()
	return &teishiv1.IssueDirectiveResponse{}, nil
}

func (b *bell) WithdrawDirective(context.Context, *teishiv1.WithdrawDirectiveRequest) (*teishiv1.WithdrawDirectiveResponse, error) {
	b.ring()
	return &teishiv1.WithdrawDirectiveResponse{}, nil
}

// WatchDecisions tells the first of all answers, and the next whenever the bell rings. It has heartbeats as ours has.
func (f *fixed) WatchDecisions(req *teishiv1.WatchDecisionsRequest, stream teishiv1.DecisionService_WatchDecisionsServer) error {
	rung, told := f.bell.next(), 0
	err := stream.Send(f.change(req, told))
	if err == nil {
		err = stream.Send(f.event(&teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Synced{
			Synced: &teishiv1.WatchSynced{Freshness: f.one.Freshness},
		}}))
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for err == nil {
		select {
		case <-rung:
			rung, told = f.bell.next(), told+1
			err = stream.Send(f.change(req, told))
			beat.Reset(heartbeat)
		case <-beat.C:
			err = stream.Send(f.event(&teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Heartbeat{
				Heartbeat: &teishiv1.WatchHeartbeat{Freshness: f.one.Freshness},
			}}))
		case <-stream.Context().Done():
			return nil
		}
	}
	return err
}

// change returns the answer to the only question that is watched.
func (f *fixed) change(req *teishiv1.WatchDecisionsRequest, told int) *teishiv1.WatchDecisionsResponse {
	s := req.Selectors[0]
	return f.event(&teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Changes{
		Changes: &teishiv1.DecisionChanges{Changes: []*teishiv1.DecisionChange{{
			Query:    &teishiv1.Query{Organization: s.Organizations[0], App: s.Apps[0], Purpose: s.Purposes[0], Attributes: s.Attributes},
			Response: f.all.Results[told%len(f.all.Results)].GetResponse(),
		}}},
	}})
}

// event puts a message at a place.
func (f *fixed) event(m *teishiv1.WatchDecisionsResponse) *teishiv1.WatchDecisionsResponse {
	m.Position = &teishiv1.WatchPosition{Epoch: 1, Revision: f.one.Revision, Time: f.one.DecisionTime, Selectors: 1}
	return m
}
