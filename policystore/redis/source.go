package redis

import (
	"context"
	"errors"
	"fmt"
	"math"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Source follows what publishers put into Redis. It is a policystore.Source, and a policystore.Archive of the last two
// checkpoints. It holds nothing open: each Tail and each Checkpoint is a connection.
type Source struct {
	*server
}

var (
	_ policystore.Source  = (*Source)(nil)
	_ policystore.Archive = (*Source)(nil)
	_ policystore.Headed  = (*Source)(nil)
)

// NewSource returns a source that reaches for Redis only when it is followed. An error names what is wrong with the Config.
func NewSource(c Config) (*Source, error) {
	s, err := newServer(c)
	if err != nil {
		return nil, err
	}
	return &Source{server: s}, nil
}

// open returns a connection to a server that may be followed. One that Sentinel names must be the master: what a former one
// has is of the past.
func (s *Source) open(ctx context.Context) (*session, error) {
	c, err := s.connect(ctx, "teishi-reader")
	if err != nil {
		return nil, err
	}
	st, err := c.greet(ctx)
	if err == nil {
		err = st.current()
	}
	if err == nil && s.sentinel {
		err = st.leads()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// Head returns the position of the last entry that is published. Of one that cannot be read it is the revision alone: whoever
// follows comes to it, and is told why.
func (s *Source) Head(ctx context.Context) (policystore.Position, error) {
	p, err := s.head(ctx)
	if err != nil {
		err = s.troubled(fmt.Errorf("look for the last entry: %w", err))
	}
	return p, err
}

func (s *Source) head(ctx context.Context) (policystore.Position, error) {
	c, err := s.open(ctx)
	if err != nil {
		return policystore.Position{}, err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	log, err := c.XInfoStream(ctx, s.keys.log()).Result()
	if noSuchKey(err) || err == nil && log.LastEntry.ID == "" {
		return policystore.Position{}, errMissing
	}
	if err != nil {
		return policystore.Position{}, err
	}
	e, err := entryOf(log.LastEntry)
	if err != nil {
		r, _ := revisionOf(log.LastEntry.ID)
		return policystore.Position{Revision: r}, nil
	}
	return e.Position(), nil
}

// Checkpoint returns the newest checkpoint. One that is missing is trouble: only where meta says that there is none yet, it
// is policystore.ErrNotFound.
func (s *Source) Checkpoint(ctx context.Context) (policystore.Checkpoint, error) {
	return s.CheckpointAt(ctx, math.MaxInt64)
}

// CheckpointAt returns the newer of the last two checkpoints that is at or before the revision.
func (s *Source) CheckpointAt(ctx context.Context, at policy.Revision) (policystore.Checkpoint, error) {
	c, err := s.checkpointAt(ctx, at)
	if err != nil {
		err = s.troubled(fmt.Errorf("read the checkpoint: %w", err))
	}
	return c, err
}

// StoreCheckpoint stores nothing: a source only reads.
func (s *Source) StoreCheckpoint(context.Context, policystore.Checkpoint) error {
	return s.troubled(policystore.ErrReadOnly)
}

func (s *Source) checkpointAt(ctx context.Context, at policy.Revision) (c policystore.Checkpoint, err error) {
	connection, err := s.open(ctx)
	if err != nil {
		return c, err
	}
	defer connection.close()
	stages, err := s.stages(ctx, connection)
	if err != nil {
		return c, err
	}
	for _, stage := range stages {
		if stage.revision > 0 && stage.revision <= at {
			return s.readCheckpoint(ctx, connection, stage)
		}
	}
	return c, policystore.ErrNotFound
}

// stages returns where the last two checkpoints were taken, the newer first.
func (s *Source) stages(ctx context.Context, c *session) ([]stage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var meta *goredis.SliceCmd
	var length *goredis.IntCmd
	_, err := c.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		meta = pipe.HMGet(ctx, s.keys.meta(), epochField, checkpointField, previousField)
		length = pipe.XLen(ctx, s.keys.log())
		return nil
	})
	if err != nil {
		return nil, err
	}
	said := texts(meta.Val())
	if said[0] == "" || said[1] == "" || length.Val() == 0 {
		return nil, errMissing
	}
	var stages []stage
	for _, text := range said[1:] {
		if text == "" {
			continue
		}
		stage, err := parseStage(text)
		if err != nil {
			return nil, err
		}
		stages = append(stages, stage)
	}
	return stages, nil
}

// errMissing says that nothing is published, or that it was lost. It is never an empty policy.
var errMissing = &policystore.TroubleError{
	Trouble: policystore.Missing,
	Err:     errors.New("nothing is published there, or no longer"),
}

// texts returns what HMGET answered; what is not there is empty.
func texts(values []any) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i], _ = v.(string)
	}
	return all
}

const (
	// pieceSize is how much of a checkpoint is asked for at a time: so a slow link is told from a dead one, and hundreds that
	// start at once do not have the server hold hundreds of checkpoints to be sent.
	pieceSize = 1 << 20
	// mostBytes is more than any checkpoint has.
	mostBytes = 513 << 20
)

func (s *Source) readCheckpoint(ctx context.Context, connection *session, at stage) (policystore.Checkpoint, error) {
	b, err := s.readWhole(ctx, connection, s.keys.checkpoint(at))
	if err != nil {
		return policystore.Checkpoint{}, fmt.Errorf("checkpoint %s: %w", at, err)
	}
	c, err := policystore.DecodeCheckpoint(b)
	if err == nil && stageOf(c.Position) != at {
		err = fmt.Errorf("checkpoint %s stands at %s: %w", stageOf(c.Position), at, policystore.ErrBroken)
	}
	if err != nil {
		c.Position.Revision = at.revision // where an older one is looked for
	}
	return c, err
}

// readWhole reads a value piece by piece. One that is replaced meanwhile is mixed, and does not verify.
func (s *Source) readWhole(ctx context.Context, connection *session, key string) ([]byte, error) {
	size, err := s.size(ctx, connection, key)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, size)
	for int64(len(b)) < size {
		piece, err := s.piece(ctx, connection, key, int64(len(b)))
		if err != nil {
			return nil, err
		}
		if piece == "" {
			return nil, errMissing // by now
		}
		b = append(b, piece...)
	}
	return b, nil
}

func (s *Source) size(ctx context.Context, connection *session, key string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	size, err := connection.StrLen(ctx, key).Result()
	switch {
	case err != nil:
		return 0, err
	case size == 0:
		return 0, errMissing
	case size > mostBytes:
		return 0, fmt.Errorf("it has %d bytes, at most %d: %w", size, mostBytes, policystore.ErrBroken)
	}
	return size, nil
}

func (s *Source) piece(ctx context.Context, connection *session, key string, from int64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	return connection.GetRange(ctx, key, from, from+pieceSize-1).Result()
}
