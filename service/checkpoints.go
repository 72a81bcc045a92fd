package service

import (
	"bytes"
	"context"
	"errors"
	"time"
	"weak"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	// bodyPiece is how many bytes of a checkpoint are sent at a time: with what is around them no more than 32 KiB, after which
	// grpc-go takes buffers of 1 MiB.
	bodyPiece = 31 << 10
	// checkpointsAtOnce bounds how many are being sent: whoever is one too many waits.
	checkpointsAtOnce = 128
	// checkpointKept is for how long a checkpoint that is being sent is given to others too, though there may be a newer one.
	checkpointKept = 10 * time.Second
	// A checkpoint is sent within a minute and a second more for each of so many bytes, or given up.
	checkpointWithin = time.Minute
	checkpointPace   = 256 << 10
)

// errSlowReader says that a checkpoint was not read in the time that it was given.
var errSlowReader = errors.New("the checkpoint is read too slowly")

// checkpoints gives the newest checkpoint to whoever begins with it. However many do so, and however slowly they read, it is in
// memory once.
type checkpoints struct {
	load   func(context.Context) (policystore.Checkpoint, error)
	places chan struct{} // one for each that is being sent
	turn   chan struct{} // holds one: whose turn it is to look for the newest, with what follows
	last   weak.Pointer[policystore.Checkpoint]
	loaded time.Time
}

func newCheckpoints(load func(context.Context) (policystore.Checkpoint, error)) *checkpoints {
	return &checkpoints{load: load, places: make(chan struct{}, checkpointsAtOnce), turn: make(chan struct{}, 1)}
}

// send sends the newest checkpoint.
func (c *checkpoints) send(stream teishiv1.LogService_TailServer) error {
	ctx := stream.Context()
	if err := enter(ctx, c.places); err != nil {
		return err
	}
	defer func() { <-c.places }()
	newest, err := c.newest(ctx)
	if errors.Is(err, policystore.ErrNotFound) {
		return &absentError{"checkpoint", "there is no checkpoint yet: the entries are all there is"}
	}
	if err != nil {
		return err
	}
	within := checkpointWithin + time.Duration(len(newest.Body)/checkpointPace)*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, within, errSlowReader)
	defer cancel()
	header := &teishiv1.TailResponse_Checkpoint{Checkpoint: policystore.CheckpointToHeader(newest)}
	if err := give(ctx, stream, &teishiv1.TailResponse{Event: header}); err != nil {
		return err
	}
	for sent := 0; sent < len(newest.Body); sent += bodyPiece { // by newest, which others are given as long as anybody holds it
		piece := newest.Body[sent:min(sent+bodyPiece, len(newest.Body))]
		if err := give(ctx, stream, &teishiv1.TailResponse{Event: &teishiv1.TailResponse_Body{Body: piece}}); err != nil {
			return err
		}
	}
	return nil
}

// newest returns the newest checkpoint, or one that was the newest a moment ago and is at hand.
func (c *checkpoints) newest(ctx context.Context) (*policystore.Checkpoint, error) {
	if err := enter(ctx, c.turn); err != nil {
		return nil, err
	}
	defer func() { <-c.turn }()
	last := c.last.Value()
	if last != nil && time.Since(c.loaded) < checkpointKept {
		return last, nil
	}
	next, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	c.loaded = time.Now()
	if last != nil && last.Position == next.Position && bytes.Equal(last.Signature, next.Signature) {
		return last, nil
	}
	c.last = weak.Make(&next)
	return &next, nil
}

// enter takes a place, when there is one, until the context ends.
func enter(ctx context.Context, places chan<- struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sender is the sending half of a stream of responses.
type sender[M any] interface{ Send(m M) error }

// give sends a message, and gives up when the context ends, whether or not the caller reads. The stream is to be ended then.
func give[M any](ctx context.Context, stream sender[M], m M) error {
	return abandoning(ctx, func() error { return stream.Send(m) })
}
