package main

import (
	"context"
	"log"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// bridge follows what is restricted, and writes it to a file.
type bridge struct {
	request *teishiv1.WatchRestrictionsRequest
	file    string
	teishi  teishiv1.RestrictionServiceClient
	logger  *log.Logger

	known   map[string]*teishiv1.Restriction // by identifier
	others  *teishiv1.Restriction            // all identifiers that nobody has registered
	synced  bool                             // all of them were told
	written profile
}

const (
	minRetry = 100 * time.Millisecond
	maxRetry = 10 * time.Second
)

// follow follows until ctx ends. A stream that breaks is gone on with from the last position, at whichever server answers; only what
// will never be answered is an error.
func (b *bridge) follow(ctx context.Context) error {
	b.forget()
	for retry := minRetry; ctx.Err() == nil; {
		began := time.Now()
		err := b.watch(ctx)
		switch status.Code(err) {
		case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
			return err
		case codes.OutOfRange, codes.FailedPrecondition: // COMPACTED, EPOCH_MISMATCH: the place is no longer known
			b.forget()
		}
		if time.Since(began) > maxRetry {
			retry = minRetry
		}
		b.logger.Printf("the stream ended, devices keep what they have: %v", err)
		pause(ctx, retry/2+rand.N(retry))
		retry = min(2*retry, maxRetry)
	}
	return nil
}

// forget has the next stream begin anew. What was written stays until all is known again.
func (b *bridge) forget() {
	b.request.Resume, b.synced = nil, false
	b.known, b.others = make(map[string]*teishiv1.Restriction), nil
}

// watch takes what one stream tells.
func (b *bridge) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := b.teishi.WatchRestrictions(ctx, b.request)
	for err == nil {
		var m *teishiv1.WatchRestrictionsResponse
		if m, err = stream.Recv(); err == nil {
			err = b.take(m)
		}
	}
	return err
}

// take takes one event. What belongs to one place may come in several: it counts once it is whole, which the position says.
func (b *bridge) take(m *teishiv1.WatchRestrictionsResponse) error {
	switch {
	case m.GetRestarted() != nil:
		b.forget()
	case m.GetSynced() != nil:
		b.synced = true
	}
	for _, r := range m.GetChanges().GetRestrictions() {
		b.known[r.Identifier] = r
	}
	for _, identifier := range m.GetChanges().GetRemoved() {
		delete(b.known, identifier)
	}
	if others := m.GetChanges().GetOthers(); others != nil {
		b.others = others
	}
	if m.Position == nil {
		return nil
	}
	b.request.Resume = m.Position
	if !b.synced {
		return nil
	}
	return b.write()
}

// write writes the profile if it is another.
func (b *bridge) write() error {
	p := b.profile()
	if p.same(b.written) {
		return nil
	}
	if err := p.save(b.file); err != nil {
		return err
	}
	b.written = p
	b.logger.Printf("revision %d: %d identifiers are blocked, and all but %d others: %v", b.request.Resume.Revision, len(p.Blocked), len(p.Allowed), p.OnlyAllowed)
	return nil
}

// profile returns what devices are to enforce. Where everything is suspended but what is allowed, that is a list of what is allowed.
func (b *bridge) profile() profile {
	p := profile{Organization: b.request.Organization, OnlyAllowed: blocked(b.others)}
	for _, identifier := range slices.Sorted(maps.Keys(b.known)) {
		if blocked(b.known[identifier]) {
			p.Blocked = append(p.Blocked, identifier)
		} else {
			p.Allowed = append(p.Allowed, identifier)
		}
	}
	return p
}

// blocked reports whether a device is to block it. What is not known to be let through is blocked.
func blocked(r *teishiv1.Restriction) bool {
	return r.GetDeviceAction() != teishiv1.DeviceAction_DEVICE_ACTION_ALLOW
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
