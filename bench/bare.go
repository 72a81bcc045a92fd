//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// bareStream is beside what an authority publishes.
const bareStream = "bare"

// bare is the way from XADD to XREAD, and nothing else: what a way through Redis takes at least.
type bare struct {
	way
	clients []*goredis.Client
}

// bare returns that way, for what the newest entry of the record is published as, to as many readers as there are decision
// points.
func (s *site) bare(ctx context.Context) (*bare, error) {
	b := &bare{}
	writer := b.client(s.redis.Addr())
	newest, err := writer.XRevRangeN(ctx, publishedLog, "+", "-", 1).Result()
	if err != nil || len(newest) == 0 {
		return nil, errors.Join(fmt.Errorf("read an entry of %s: there are %d", publishedLog, len(newest)), err, b.close())
	}
	if err := writer.Del(ctx, bareStream).Err(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	fields := newest[0].Values
	b.send = func(ctx context.Context, _ int) error {
		return writer.XAdd(ctx, &goredis.XAddArgs{Stream: bareStream, Values: fields}).Err()
	}
	for range points {
		b.receivers = append(b.receivers, (&bareReader{client: b.client(s.redis.Addr()), last: "0"}).next)
	}
	return b, nil
}

func (b *bare) client(address string) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	b.clients = append(b.clients, c)
	return c
}

func (b *bare) close() error {
	var errs []error
	for _, c := range b.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// bareReader reads the stream.
type bareReader struct {
	client *goredis.Client
	last   string // the id of what it read last, 0 before
}

// next returns when the next has arrived. The library does not notice the end of a context while it waits for an answer.
func (r *bareReader) next(ctx context.Context, _ int) error {
	for ctx.Err() == nil {
		streams, err := r.client.XRead(ctx, &goredis.XReadArgs{Streams: []string{bareStream, r.last}, Count: 1, Block: time.Second}).Result()
		if errors.Is(err, goredis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		r.last = streams[0].Messages[0].ID
		return nil
	}
	return ctx.Err()
}
