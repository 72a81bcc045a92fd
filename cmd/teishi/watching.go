package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

const (
	// beatEvery is how often a server is to say that a watch lives, and maxSilence for how long a stream may say nothing.
	beatEvery  = 2 * time.Second
	maxSilence = 5 * beatEvery
	// maxAbsent is how often in a row servers may not have come as far as the watch, before it begins anew.
	maxAbsent = 5

	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// teller shows somebody what a watch tells. An error of it ends the watch.
type teller interface {
	// changed shows answers that are not what was shown before. All that was shown is then the answer at the place.
	changed(list []*teishiv1.DecisionChange, at *teishiv1.WatchPosition) error
	// said shows that all questions are answered, that all will be again, or that the policy is no longer as fresh, or stale,
	// as it was.
	said(m *teishiv1.WatchDecisionsResponse) error
	// alive shows that the watch lives.
	alive(f *teishiv1.Freshness, at *teishiv1.WatchPosition) error
	// lost shows that the connection is lost, found that it is there again.
	lost(cause string) error
	found() error
}

// watching is a watch of decisions that goes on where a stream of it ends.
type watching struct {
	server  *serverFlags
	timeout time.Duration                   // for the first that is heard
	request *teishiv1.WatchDecisionsRequest // what is asked, and from where on
	teller  teller
	retells bool // the teller wants to be told all again when the server does

	told    map[int32]*teishiv1.CheckResponse // by the number of the question
	pending []*teishiv1.DecisionChange        // of a place that was not told as a whole yet
	state   teishiv1.Freshness_State          // that the teller knows of
	begun   bool                              // everything was answered once
	away    bool                              // the teller knows that the connection is lost
	fails   int                               // in a row
	absent  int                               // of those, how many servers had not come as far
}

// run shows answers, and each that changes, until ctx ends. Before everything was answered once, any error ends it.
func (w *watching) run(ctx context.Context) error {
	connection, err := w.server.connect()
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := w.ask(ctx, teishiv1.NewDecisionServiceClient(connection)); err != nil {
		return asked(w.server.explain(err))
	}
	return nil
}

// ask follows one stream after the other.
func (w *watching) ask(ctx context.Context, c teishiv1.DecisionServiceClient) error {
	w.told, w.state = make(map[int32]*teishiv1.CheckResponse), teishiv1.Freshness_STATE_FRESH
	for {
		err := w.follow(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		wait, err := w.again(err)
		if err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// asked says of an error where it lies, in what the user has asked: he knows of no selectors.
func asked(err error) error {
	return errors.New(strings.NewReplacer("selectors[0].", "", "selectors[0]: ", "").Replace(err.Error()))
}

// errSilent is the end of a stream that has said nothing for too long.
var errSilent = errors.New("it says nothing")

// follow shows what one stream says until it ends.
func (w *watching) follow(ctx context.Context, c teishiv1.DecisionServiceClient) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(w.patience(), func() { cancel(errSilent) })
	defer patience.Stop()
	stream, err := c.WatchDecisions(ctx, w.request, grpc.WaitForReady(w.begun))
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		patience.Stop()
		switch {
		case context.Cause(ctx) == errSilent:
			return status.Error(codes.DeadlineExceeded, errSilent.Error())
		case err == io.EOF:
			return status.Error(codes.Unavailable, "the stream was ended")
		case err != nil:
			return err
		}
		if err := w.take(m); err != nil {
			return err
		}
		patience.Reset(maxSilence)
	}
}

// patience is for how long the first message of a stream is waited for.
func (w *watching) patience() time.Duration {
	if w.begun {
		return maxSilence
	}
	return w.timeout
}

// take shows one message.
func (w *watching) take(m *teishiv1.WatchDecisionsResponse) error {
	if err := w.back(); err != nil {
		return err
	}
	var err error
	switch e := m.Event.(type) {
	case *teishiv1.WatchDecisionsResponse_Changes:
		w.pending = append(w.pending, e.Changes.GetChanges()...)
		if e.Changes.GetMore() {
			return nil
		}
		err = w.changed(m.Position)
	case *teishiv1.WatchDecisionsResponse_Restarted:
		err = w.restarted(m)
	case *teishiv1.WatchDecisionsResponse_Synced:
		w.begun, w.fails, w.absent = true, 0, 0
		err = errors.Join(w.teller.said(m), w.lives(e.Synced.GetFreshness(), m))
	case *teishiv1.WatchDecisionsResponse_Heartbeat:
		err = w.lives(e.Heartbeat.GetFreshness(), m)
	}
	if m.Position != nil {
		w.request.Resume = m.Position
	}
	return err
}

// back shows that the connection is there again.
func (w *watching) back() error {
	if !w.away {
		return nil
	}
	w.away = false
	return w.teller.found()
}

// changed shows what was told of a place, as far as it is not what was shown before.
func (w *watching) changed(at *teishiv1.WatchPosition) error {
	list := slices.DeleteFunc(w.pending, func(c *teishiv1.DecisionChange) bool {
		before := w.told[c.GetIndex()]
		return before != nil && proto.Equal(lasting(before), lasting(c.GetResponse()))
	})
	w.pending = nil
	for _, c := range list {
		w.told[c.GetIndex()] = c.GetResponse()
	}
	if len(list) == 0 {
		return nil
	}
	return w.teller.changed(list, at)
}

// lasting is what of an answer does not change all the time.
func lasting(r *teishiv1.CheckResponse) *teishiv1.CheckResponse {
	r = proto.CloneOf(r)
	r.Revision, r.Epoch, r.DecisionTime, r.CacheUntilTime, r.Freshness = 0, 0, nil, nil, nil
	return r
}

// restarted forgets the place: all answers follow.
func (w *watching) restarted(m *teishiv1.WatchDecisionsResponse) error {
	w.pending, w.request.Resume = nil, nil
	if w.retells {
		clear(w.told)
	}
	return w.teller.said(m)
}

// lives shows that the watch lives, and if the policy is no longer as fresh as it was said to be.
func (w *watching) lives(f *teishiv1.Freshness, m *teishiv1.WatchDecisionsResponse) error {
	if m.GetHeartbeat() != nil && f.GetState() != w.state {
		if err := w.teller.said(m); err != nil {
			return err
		}
	}
	w.state = f.GetState()
	return w.teller.alive(f, m.Position)
}

// again decides from the end of a stream where the next begins, and returns after what time; an error if it would end the same way.
func (w *watching) again(err error) (time.Duration, error) {
	s, ok := status.FromError(err)
	if !ok || !w.begun {
		return 0, err
	}
	reason, _ := details(s)
	switch s.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.OutOfRange:
		if w.request.Resume == nil {
			return 0, err
		}
		w.request.Resume = nil // it is not at hand there, or of an epoch that is over
	case codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return 0, err
	}
	if reason == "REVISION_NOT_REACHED" {
		if w.absent++; w.absent > maxAbsent {
			w.request.Resume, w.absent = nil, 0
		}
	}
	w.pending = nil
	return w.pause(s), w.leave(s, reason)
}

// leave shows that the connection is lost, unless a server has ended the stream as it ends each in time.
func (w *watching) leave(s *status.Status, reason string) error {
	if w.away || reason == "STREAM_ENDED" {
		return nil
	}
	w.away = true
	return w.teller.lost(plain(s.Message()))
}

// pause returns how long to wait, which is not the same for everybody, and no less than the server asks for.
func (w *watching) pause(s *status.Status) time.Duration {
	d := min(minBackoff<<min(w.fails, 10), maxBackoff)
	w.fails++
	asked := retryDelay(s)
	return max(d/2+rand.N(d), asked+rand.N(asked/4+minBackoff))
}

// retryDelay is after what time a server wants to be asked again.
func retryDelay(s *status.Status) time.Duration {
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return max(0, r.GetRetryDelay().AsDuration())
		}
	}
	return 0
}
