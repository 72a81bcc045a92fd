//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// window is how many questions a caller has under way in its stream.
const window = 16

// dialogue is a stream in which each caller asks.
type dialogue[Q, R any] struct {
	open     func(context.Context, *grpc.ClientConn) (grpc.BidiStreamingClient[Q, R], error)
	question func(i int) *Q
	good     func(*R) error // nil: whatever comes
}

// ask fills the window, and from then on asks the next question at each answer.
func (d *dialogue[Q, R]) ask(ctx context.Context, c *grpc.ClientConn, first int, end time.Time) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.open(ctx, c)
	if err != nil {
		return nil, err
	}
	var asked [window]time.Time
	took, n := make([]time.Duration, 0, 1<<12), 0
	for ; n < window; n++ {
		if asked[n], err = d.put(stream, first+n); err != nil {
			return nil, err
		}
	}
	for len(took) < n {
		now, err := d.take(stream)
		if err != nil {
			return nil, err
		}
		took = append(took, now.Sub(asked[len(took)%window]))
		if now.Before(end) {
			if asked[n%window], err = d.put(stream, first+n); err != nil {
				return nil, err
			}
			n++
		}
	}
	return took, d.close(stream)
}

// put asks a question, and returns when it did. What has ended the stream is told by take.
func (d *dialogue[Q, R]) put(stream grpc.BidiStreamingClient[Q, R], i int) (time.Time, error) {
	now := time.Now()
	if err := stream.Send(d.question(i)); err != nil && !errors.Is(err, io.EOF) {
		return now, err
	}
	return now, nil
}

// take reads an answer, and returns when it had come.
func (d *dialogue[Q, R]) take(stream grpc.BidiStreamingClient[Q, R]) (time.Time, error) {
	answer, err := stream.Recv()
	if err == nil && d.good != nil {
		err = d.good(answer)
	}
	return time.Now(), err
}

func (d *dialogue[Q, R]) close(stream grpc.BidiStreamingClient[Q, R]) error {
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err := stream.Recv()
	switch {
	case err == nil:
		return errors.New("a stream answers more than was asked")
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// stream asks the questions in streams.
func (qs *questions) stream() asking {
	var all []*teishiv1.StreamCheckRequest
	for _, c := range qs.checks {
		all = append(all, &teishiv1.StreamCheckRequest{Check: c})
	}
	return (&dialogue[teishiv1.StreamCheckRequest, teishiv1.StreamCheckResponse]{
		open: func(ctx context.Context, c *grpc.ClientConn) (grpc.BidiStreamingClient[teishiv1.StreamCheckRequest, teishiv1.StreamCheckResponse], error) {
			return teishiv1.NewDecisionServiceClient(c).StreamCheck(ctx)
		},
		question: func(i int) *teishiv1.StreamCheckRequest { return all[i%len(all)] },
		good: func(r *teishiv1.StreamCheckResponse) error {
			if r.GetResponse() == nil {
				return fmt.Errorf("a question of a stream has no answer: %v", r.GetError())
			}
			return nil
		},
	}).ask
}

// bytesStream asks the empty server in streams, with messages of those sizes that are nothing but bytes.
func bytesStream(s size) asking {
	question := echoQuestion(s.request, s.response)
	return (&dialogue[wrapperspb.BytesValue, wrapperspb.BytesValue]{
		open: func(ctx context.Context, c *grpc.ClientConn) (grpc.BidiStreamingClient[wrapperspb.BytesValue, wrapperspb.BytesValue], error) {
			stream, err := c.NewStream(ctx, &echoStreamDesc, echoStream)
			return &grpc.GenericClientStream[wrapperspb.BytesValue, wrapperspb.BytesValue]{ClientStream: stream}, err
		},
		question: func(int) *wrapperspb.BytesValue { return question },
	}).ask
}

// streamed returns the sizes of a question in a stream, and of its answer.
func (t *traffic) streamed() size {
	return size{t.check.request + overhead(t.check.request), t.check.response + overhead(t.check.response)}
}
