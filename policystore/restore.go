package policystore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// StateHash returns the state hash of what the view holds, in the record of the domain.
func StateHash(domain string, v View) (Hash, error) {
	c := Checkpoint{Domain: domain, Position: v.Position, Time: v.Time, FoldVersion: FoldVersion}
	state := sha256.New()
	for chunk, err := range c.chunks(v.Snapshot) {
		if err != nil {
			return Hash{}, fmt.Errorf("state hash at %d: %w", v.Position.Revision, err)
		}
		state.Write(chunk)
	}
	return Hash(state.Sum(nil)), nil
}

// restore verifies the checkpoint, but for its place in the log, and returns the state it holds.
func (c *Checkpoint) restore(domain string) (fold, error) {
	if err := c.verify(domain); err != nil {
		return fold{}, err
	}
	pieces, err := c.decode()
	if err != nil {
		return fold{}, fmt.Errorf("checkpoint at %d: %w", c.Position.Revision, err)
	}
	snapshot, err := policy.Load(c.Position.Revision, all(pieces))
	if err != nil {
		return fold{}, fmt.Errorf("checkpoint at %d: %w", c.Position.Revision, err)
	}
	return fold{domain: domain, snapshot: snapshot, position: c.Position, time: c.Time, hash: c.StateHash}, nil
}

// damaged reports whether an error is of what was read, rather than of reading it.
func damaged(err error) bool { return errors.Is(err, ErrBroken) || errors.Is(err, ErrFormat) }

// storedAt yields the checkpoints at or before the revision, the newest first, as far as the source can tell. One that is
// damaged comes with what is wrong with it, and with no place if that cannot be told; any other error is the last pair.
func storedAt(ctx context.Context, source Source, at policy.Revision) iter.Seq2[Checkpoint, error] {
	return func(yield func(Checkpoint, error) bool) {
		for at > 0 {
			c, err := checkpointAt(ctx, source, at)
			if errors.Is(err, ErrNotFound) || !yield(c, err) || err != nil && !damaged(err) {
				return
			}
			at = max(1, min(at, c.Position.Revision)) - 1
		}
	}
}

func checkpointAt(ctx context.Context, source Source, at policy.Revision) (c Checkpoint, err error) {
	if archive, ok := source.(Archive); ok {
		c, err = archive.CheckpointAt(ctx, at)
	} else if c, err = source.Checkpoint(ctx); err == nil && c.Position.Revision > at {
		return Checkpoint{}, ErrNotFound
	}
	if err == nil && c.Position.Revision < 1 {
		err = fmt.Errorf("a checkpoint at %d: %w", c.Position.Revision, ErrBroken)
	}
	return c, err
}

// restoreNewest returns the state that the newest checkpoint holds which verifies, of those after one place and at or
// before a revision; one before birth if there is none. Refused is what is wrong with the newest.
func restoreNewest(ctx context.Context, source Source, domain string, trust *TrustedKeys, after Position, at policy.Revision) (f fold, refused, err error) {
	for c, err := range storedAt(ctx, source, at) {
		switch {
		case err != nil && !damaged(err):
			return born(domain), refused, fmt.Errorf("read the checkpoint: %w", err)
		case err == nil && later(after, c.Position) == after && !failpoint.Without("monotone"):
			return born(domain), refused, nil
		case err == nil:
			if err = trust.verifyCheckpoint(&c); err == nil || failpoint.Without("signatures") {
				f, err = c.restore(domain)
			}
			if err == nil {
				return f, refused, nil
			}
		}
		if refused == nil {
			refused = err
		}
	}
	return born(domain), refused, nil
}

// piece is what one chunk holds.
type piece struct {
	raw       []byte // the chunk decompressed, until it is hashed
	resources []stored
	err       error
	done      chan struct{} // closed when the fields above are set
}

func all(pieces []piece) iter.Seq2[policy.Resource, policy.Revision] {
	return func(yield func(policy.Resource, policy.Revision) bool) {
		for i := range pieces {
			for _, r := range pieces[i].resources {
				if !yield(r.resource, r.changed) {
					return
				}
			}
		}
	}
}

// decode decompresses and converts the chunks on as many goroutines as there are processors, hashes them in order, and
// checks the state hash.
func (c *Checkpoint) decode() ([]piece, error) {
	chunks, err := split(c.Body)
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxChunk))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	pieces := make([]piece, len(chunks))
	next := make(chan int, len(chunks))
	for i := range pieces {
		pieces[i].done = make(chan struct{})
		next <- i
	}
	close(next)
	var workers sync.WaitGroup
	defer workers.Wait()
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				pieces[i].decode(decoder, chunks[i], i == 0)
			}
		})
	}
	return pieces, c.hash(pieces)
}

// hash takes the pieces as they are done, in order, and compares their hash with the state hash.
func (c *Checkpoint) hash(pieces []piece) error {
	state := sha256.New()
	for i := range pieces {
		p := &pieces[i]
		<-p.done
		if p.err != nil {
			return p.err
		}
		if i == 0 {
			if err := c.verifyHeader(p.raw); err != nil {
				return err
			}
		}
		state.Write(p.raw)
		p.raw = nil
	}
	if Hash(state.Sum(nil)) != c.StateHash {
		return fmt.Errorf("it does not have the state hash it states: %w", ErrBroken)
	}
	return nil
}

func (p *piece) decode(decoder *zstd.Decoder, chunk []byte, header bool) {
	defer close(p.done)
	raw, err := decoder.DecodeAll(chunk, make([]byte, 0, chunkSize+chunkSize/8))
	if err != nil {
		p.err = fmt.Errorf("decompress: %w: %w", err, ErrBroken)
		return
	}
	p.raw = raw
	if !header {
		p.resources, p.err = readResources(string(raw))
	}
}

// split cuts a body into its compressed chunks.
func split(body []byte) ([][]byte, error) {
	var chunks [][]byte
	for len(body) > 0 {
		if len(body) < 4 || uint64(len(body)-4) < uint64(binary.BigEndian.Uint32(body)) {
			return nil, fmt.Errorf("its body is cut short: %w", ErrBroken)
		}
		end := 4 + int(binary.BigEndian.Uint32(body))
		chunks, body = append(chunks, body[4:end]), body[end:]
	}
	if len(chunks) == 0 {
		return nil, fmt.Errorf("it has no body: %w", ErrBroken)
	}
	return chunks, nil
}
