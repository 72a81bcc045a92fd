package service

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// reader takes one message in so long a time, until its stream ends.
type reader struct {
	grpc.ServerStream
	ctx  context.Context
	each time.Duration
	had  atomic.Int64 // bytes of the body
}

func (r *reader) Context() context.Context { return r.ctx }

func (r *reader) Send(m *teishiv1.TailResponse) error {
	select {
	case <-time.After(r.each):
		r.had.Add(int64(len(m.GetBody())))
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// storedAt is a record whose checkpoint is of that revision and size.
type storedAt struct {
	revision, loads int
	size            int
}

func (s *storedAt) load(context.Context) (policystore.Checkpoint, error) {
	s.loads++
	time.Sleep(time.Second)
	return policystore.Checkpoint{Position: policystore.Position{Epoch: 1, Revision: policy.Revision(s.revision)}, Body: make([]byte, s.size)}, nil
}

// begin has a reader ask for a checkpoint, until the test ends at the latest, and returns what came of it.
func begin(t *testing.T, c *checkpoints, each time.Duration) (*reader, <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, ended := &reader{ctx: ctx, each: each}, make(chan error, 1)
	go func() {
		defer cancel() // the stream ends with its handler
		ended <- c.send(r)
	}()
	return r, ended
}

// A checkpoint is given up when it is not read for too long: a minute, and a second for each 256 KiB.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := &storedAt{revision: 5, size: 20 * checkpointPace}
		c := newCheckpoints(stored.load)
		began := time.Now()
		_, ended := begin(t, c, time.Hour)
		steady, whole := begin(t, c, 400*time.Millisecond)
		if err, took := <-ended, time.Since(began); !errors.Is(err, errSlowReader) || took != 81*time.Second {
			t.Errorf("after %s = %v, want that it is read too slowly after 81s", took, err)
		}
		if err := <-whole; err != nil || steady.had.Load() != int64(stored.size) {
			t.Errorf("who reads steadily has %d bytes of %d, %v", steady.had.Load(), stored.size, err)
		}
		if stored.loads != 1 {
			t.Errorf("the checkpoint was read %d times from the record, want once for both", stored.loads)
		}
	})
}

// Only so many are sent at once; the next waits, and is given up when its caller is.
func TestCheckpointsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := &storedAt{revision: 5, size: bodyPiece}
		c := newCheckpoints(stored.load)
		for range checkpointsAtOnce {
			begin(t, c, 30*time.Second)
		}
		synctest.Wait()
		late, whole := begin(t, c, time.Second)
		time.Sleep(30 * time.Second)
		if had := late.had.Load(); had != 0 {
			t.Error("there was a place too many")
		}
		if err := <-whole; err != nil || late.had.Load() != bodyPiece {
			t.Errorf("who waited has %d bytes, %v", late.had.Load(), err)
		}
	})
}

// What is newer is given to whoever begins ten seconds after, while others still read what was the newest.
func TestNewerCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := &storedAt{revision: 5}
		c := newCheckpoints(stored.load)
		first, err := c.newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(checkpointKept - time.Second)
		if again, err := c.newest(t.Context()); err != nil || again != first {
			t.Errorf("within ten seconds there is another: %v", err)
		}
		time.Sleep(time.Second)
		if again, err := c.newest(t.Context()); err != nil || again != first || stored.loads != 2 {
			t.Errorf("after %d reads of the same there is another: %v", stored.loads, err)
		}
		stored.revision = 7
		time.Sleep(checkpointKept)
		if next, err := c.newest(t.Context()); err != nil || next.Position.Revision != 7 || first.Position.Revision != 5 {
			t.Errorf("after ten seconds there is %+v, %v", next, err)
		}
	})
}
