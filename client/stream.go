package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// heard is one message of a stream, or its end.
type heard struct {
	since   moment // when it began to be waited for: it may have been on its way since then
	message *teishiv1.WatchDecisionsResponse
	err     error
}

func (w *watch) request() *teishiv1.WatchDecisionsRequest {
	req := &teishiv1.WatchDecisionsRequest{
		Resume:            w.place,
		HeartbeatInterval: durationpb.New(beatEvery),
		Language:          w.queries[0].Language,
	}
	for i := range w.queries {
		q := &w.queries[i]
		s := &teishiv1.DecisionSelector{Organizations: []string{q.Organization}, Apps: []string{q.App}, Attributes: q.Attributes}
		if q.Purpose != "" {
			s.Purposes = []string{q.Purpose}
		}
		req.Selectors = append(req.Selectors, s)
	}
	return req
}

// listen hands on what one stream says, until it ends or ctx does.
func (w *watch) listen(ctx context.Context, delay time.Duration, req *teishiv1.WatchDecisionsRequest, messages chan<- heard) {
	if !sleep(ctx, delay) {
		return
	}
	stream, err := w.decisions.WatchDecisions(ctx, req)
	for {
		h := heard{since: reading(), err: err}
		if err == nil {
			h.message, h.err = stream.Recv()
		}
		select {
		case messages <- h:
		case <-ctx.Done():
			return
		}
		if h.err != nil {
			return
		}
	}
}

// sleep waits for the span, and reports whether ctx has not ended.
func sleep(ctx context.Context, span time.Duration) bool {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
