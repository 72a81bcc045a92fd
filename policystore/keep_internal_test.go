package policystore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// shelf is an archive with a checkpoint far past the head, which no look-up finds the first times.
type shelf struct {
	Log
	fail   int
	stored chan policy.Revision
}

const pastHead = 1_000_000

func (s *shelf) Checkpoint(ctx context.Context) (Checkpoint, error) {
	return s.CheckpointAt(ctx, pastHead)
}

func (s *shelf) CheckpointAt(_ context.Context, at policy.Revision) (Checkpoint, error) {
	if s.fail--; s.fail >= 0 {
		return Checkpoint{}, errors.New("the disk is slow")
	}
	if at < pastHead {
		return Checkpoint{}, ErrNotFound
	}
	return Checkpoint{Position: Position{Epoch: 1, Revision: pastHead}}, nil
}

func (s *shelf) StoreCheckpoint(_ context.Context, c Checkpoint) error {
	s.stored <- c.Position.Revision
	return nil
}

// Neither a look-up that fails nor a checkpoint of what is not there ends the keeping of checkpoints.
func TestKeepCheckpointsComeWhatMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &shelf{fail: 3, stored: make(chan policy.Revision)}
		r := NewReplica(ReplicaConfig{Origins: []Origin{{Name: "log", Source: log}}, Domain: "d"})
		const due = 2 * checkpointEntries // whatever the interval of this authority
		snapshot, err := policy.New().Apply(due, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.current.fold = fold{domain: "d", snapshot: snapshot, position: Position{Epoch: 1, Revision: due}, time: 1}
		r.prove(&r.origins[0], &HeadProof{Domain: "d", Position: r.current.position, IssuedTime: time.Now()})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			NewAuthority(AuthorityConfig{Log: log, Replica: r}).KeepCheckpoints(ctx)
		}()
		select {
		case at := <-log.stored:
			if at != due {
				t.Errorf("a checkpoint is stored at %d", at)
			}
		case <-ended:
			t.Fatal("KeepCheckpoints ended")
		case <-time.After(time.Hour):
			t.Error("no checkpoint is stored")
		}
		cancel()
		<-ended
	})
}
