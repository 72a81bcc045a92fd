package policystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// The local checkpoint is written anew when there is something new, at most once a minute unless much is; and beside it,
// every ten seconds, the newest proof that it was all there was.
const (
	localEvery      = time.Minute
	localProofEvery = 10 * time.Second
	localProof      = ".proof" // what the name of the proof's file ends in
	localSource     = "local"  // the name that answers have for it
)

// Begin serves the local checkpoint, if there is one that verifies, and returns where that is. What it holds is EXPIRED until
// something is proven. Run does it too: Begin is for whoever has to wait before he may Run.
func (r *Replica) Begin() Position {
	if s := r.state.Load(); r.local == "" || s.snapshot != nil { // it is served already
		return s.position
	}
	f, former, err := r.readLocal()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.metrics.checkpointsRefused.WithLabelValues(localSource).Inc()
			r.logger.Error("the local checkpoint is refused: --local-checkpoint (TEISHI_LOCAL_CHECKPOINT)", slog.String("file", r.local), slog.Any("error", err))
		}
		return Position{}
	}
	o := &Origin{Name: localSource}
	r.restart(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(f, o)
	r.current.former = former
	r.publish(nil, reading())
	r.metrics.checkpointsLoaded.WithLabelValues(localSource).Inc()
	r.logger.Info("begins with the local checkpoint", slog.String("file", r.local), slog.Int64("revision", int64(f.position.Revision)))
	return f.position
}

// readLocal reads the local checkpoint, and the proof beside it for what it is worth. Nobody signs the one, for it is this
// process that made it: its file is believed as the program beside it is. The other was signed by an authority.
func (r *Replica) readLocal() (fold, *proof, error) {
	data, err := os.ReadFile(r.local)
	if err != nil {
		return fold{}, nil, err
	}
	c, err := DecodeCheckpoint(data)
	if err != nil {
		return fold{}, nil, err
	}
	f, err := c.restore(r.domain)
	if err != nil {
		return fold{}, nil, err
	}
	return f, r.readLocalProof(f.position), nil
}

// readLocalProof returns the proof that is kept beside a checkpoint at the position, nil if it proves nothing of that.
func (r *Replica) readLocalProof(at Position) *proof {
	data, err := os.ReadFile(r.local + localProof)
	if err != nil {
		return nil
	}
	h, err := DecodeHead(data)
	if err != nil || h.Domain != r.domain || r.trust.verifyHead(&h) != nil || later(at, h.Position) != at {
		return nil
	}
	return proven(&h, time.Now())
}

// keepLocal keeps the local checkpoint, which holds a position, until ctx ends, and once more then.
func (r *Replica) keepLocal(ctx context.Context, kept Position) {
	if r.local == "" {
		return
	}
	k := localKeeper{replica: r, kept: kept}
	looks := time.NewTicker(localProofEvery)
	defer looks.Stop()
	for ctx.Err() == nil {
		s := r.state.Load()
		k.keep(s, false)
		var first <-chan struct{} // closed when there is anything to keep
		if s.snapshot == nil {
			first = s.sequel.there
		}
		select {
		case <-looks.C:
		case <-first:
		case <-ctx.Done():
		}
	}
	k.keep(r.state.Load(), true)
}

// localKeeper keeps the local checkpoint of a replica.
type localKeeper struct {
	replica *Replica
	kept    Position // what the file holds
	at      time.Time
	payload int64 // folded when it was written
	proven  *proof
}

// keep writes what is due of the state: all of it if it is the last time.
func (k *localKeeper) keep(s *state, last bool) {
	r := k.replica
	if s.snapshot == nil {
		return
	}
	much := s.position.Revision-k.kept.Revision >= checkpointEntries || s.payload-k.payload >= checkpointPayload
	if s.position != k.kept && (last || much || k.kept.Revision == 0 || time.Since(k.at) >= localEvery) {
		if err := r.writeLocal(s); err != nil {
			r.metrics.localFailures.Inc()
			r.logger.Error("the local checkpoint was not kept: --local-checkpoint (TEISHI_LOCAL_CHECKPOINT)", slog.String("file", r.local), slog.Any("error", err))
			return
		}
		k.kept, k.at, k.payload = s.position, time.Now(), s.payload
	}
	if s.proof != nil && s.proof != k.proven && s.position == k.kept {
		k.proven = s.proof
		if err := r.writeLocalProof(s.proof.head); err != nil {
			r.metrics.localFailures.Inc()
			r.logger.Error("the proof of the local checkpoint was not kept", slog.Any("error", err))
		}
	}
}

func (r *Replica) writeLocal(s *state) error {
	c, err := NewCheckpoint(r.domain, s.view(reading(), r.spent))
	if err != nil {
		return err
	}
	data, err := EncodeCheckpoint(&c)
	if err != nil {
		return err
	}
	return replaceFile(r.local, data)
}

func (r *Replica) writeLocalProof(h *HeadProof) error {
	data, err := EncodeHead(h)
	if err != nil {
		return err
	}
	return replaceFile(r.local+localProof, data)
}

// replaceFile writes a file so that whoever reads it sees all of what was there before or all of what is there now, even
// after the machine has lost its power.
func replaceFile(name string, data []byte) (err error) {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data[:len(data)/2])
	failpoint.Hit(context.Background(), "mid-local-checkpoint")
	if err == nil {
		_, err = f.Write(data[len(data)/2:])
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(name))
}

// syncDirectory has the system remember which files there are in a directory.
func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
