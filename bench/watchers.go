//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy/workload"
)

const (
	haltRounds  = 5                // halts of the watched app, each ended again
	timedHalts  = 3                // further ones that time brings
	timedAhead  = 3 * time.Second  // after they are issued
	idleFor     = 10 * time.Second // two heartbeats
	heartbeat   = 5 * time.Second  // the interval of who asks for none
	neverTold   = 30 * time.Second // who is not told by then never is
	allTellings = 2 * (1 + haltRounds + timedHalts)
)

// hall is a server and its audience.
type hall struct {
	*served
	audience *process
	tellings *json.Decoder
	watchers int
	turns    int           // of the outcome, by now
	opened   time.Duration // until all had their answers
	empty    int64         // bytes resident, before
	seated   int64         // after all were idle
	idle     time.Duration // CPU while they were
	most     int64         // bytes resident, ever
}

// watching measures what it takes to have many watch, in turn with the empty server.
func (b *benchmark) watching(ctx context.Context) (err error) {
	w, err := b.world(ctx, "W1 watched", watchable(), false)
	if err != nil {
		return err
	}
	ours, err := b.hall(ctx, func(ctx context.Context) (*process, error) { return b.serve(ctx, w.record) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	answers, err := ours.rehearse(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(b.directory, "watched")
	if err := writeMessage(file, answers); err != nil {
		return err
	}
	empty, err := b.hall(ctx, func(ctx context.Context) (*process, error) { return b.echo(ctx, file) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, empty.stop()) }()
	if _, err := empty.rehearse(ctx); err != nil {
		return err
	}
	return b.watched(ctx, ours, empty)
}

// hall starts a server, and has the audience take its seats.
func (b *benchmark) hall(ctx context.Context, start func(context.Context) (*process, error)) (_ *hall, err error) {
	s, err := b.connect(ctx, start)
	if err != nil {
		return nil, err
	}
	h := &hall{served: s, watchers: b.watchers}
	if err := h.seat(ctx, b.self); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

func (h *hall) seat(ctx context.Context, self string) (err error) {
	if _, err := h.check(ctx); err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	if h.empty, _, err = h.memory(); err != nil {
		return err
	}
	began := time.Now()
	h.audience, err = start(ctx, self, audienceCommand, h.address, strconv.Itoa(h.watchers), strconv.Itoa(allTellings))
	if err != nil {
		return err
	}
	h.opened, h.tellings = time.Since(began), json.NewDecoder(h.audience.stdout)
	return nil
}

func (h *hall) stop() error {
	var err error
	if h.audience != nil {
		err = h.audience.stop()
	}
	return errors.Join(err, h.served.stop())
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// check asks what the first of the audience watches.
func (h *hall) check(ctx context.Context) (*teishiv1.CheckResponse, error) {
	q := watchOf(0).Selectors[0]
	return teishiv1.NewDecisionServiceClient(h.dials[0]).Check(ctx, &teishiv1.CheckRequest{
		Organization: q.Organizations[0], App: q.Apps[0], Purpose: q.Purposes[0], Attributes: q.Attributes,
	}, grpc.WaitForReady(true))
}

// rehearse has the outcome turn and turn back, and returns the answers before and between.
func (h *hall) rehearse(ctx context.Context) (*teishiv1.BatchCheckResponse, error) {
	answers := &teishiv1.BatchCheckResponse{}
	for range 2 {
		a, err := h.check(ctx)
		if err != nil {
			return nil, err
		}
		answers.Results = append(answers.Results, &teishiv1.BatchCheckResult{Result: &teishiv1.BatchCheckResult_Response{Response: a}})
		if _, err := h.turn(ctx); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// turn halts the watched app for all, or ends the halt before, and waits until all are told.
func (h *hall) turn(ctx context.Context) (n news, err error) {
	before, err := h.cpu()
	if err != nil {
		return n, err
	}
	called := time.Now()
	if err := h.write(ctx, time.Time{}); err != nil {
		return n, err
	}
	n.acknowledged = time.Since(called)
	t, err := h.told()
	if err != nil {
		return n, err
	}
	after, err := h.cpu()
	n.cpu, n.bytes, n.after = after-before, t.Bytes, t.since(called)
	return n, err
}

// write turns the outcome, at an instant or at once.
func (h *hall) write(ctx context.Context, at time.Time) error {
	directives := teishiv1.NewDirectiveServiceClient(h.dials[0])
	id := fmt.Sprintf("halt-%d", h.turns/2)
	h.turns++
	if h.turns%2 == 0 {
		_, err := directives.WithdrawDirective(ctx, &teishiv1.WithdrawDirectiveRequest{Directive: id, Reason: "to see how soon it is told"})
		return err
	}
	halt := haltOf(id, watchedApp)
	if !at.IsZero() {
		halt.EffectiveTime = timestamppb.New(at)
	}
	_, err := directives.IssueDirective(ctx, &teishiv1.IssueDirectiveRequest{Directive: halt, Reason: "to see how soon it is told"})
	return err
}

// haltOf returns a directive by which nobody may use an app.
func haltOf(id, app string) *teishiv1.Directive {
	all := workload.Organization(0)
	return &teishiv1.Directive{Id: id, Authority: all, Provisions: []*teishiv1.Provision{{
		Id: "all", Force: teishiv1.Force_FORCE_BINDING, Selector: &teishiv1.Selector{
			Organizations: &teishiv1.OrganizationSelector{In: []string{all}},
			Targets:       &teishiv1.TargetSelector{In: []*teishiv1.Target{{App: app}}},
		},
	}}}
}

// told waits until all are told of a turn.
func (h *hall) told() (*telling, error) {
	late := time.AfterFunc(neverTold, func() { _ = h.audience.cmd.Process.Kill() }) // it may have ended by itself
	defer late.Stop()
	t := &telling{}
	if err := h.tellings.Decode(t); err != nil {
		return nil, fmt.Errorf("learn when the last of %d watchers was told, for at most %s: %w", h.watchers, neverTold, err)
	}
	return t, nil
}

// since returns how long after an instant each was told, sorted.
func (t *telling) since(began time.Time) []time.Duration {
	var all []time.Duration
	for _, at := range t.Arrived {
		all = append(all, time.Duration(at-began.UnixNano()))
	}
	slices.Sort(all)
	return all
}

// early counts those whose answers were decided for before an instant.
func (t *telling) early(instant time.Time) (n int) {
	for _, at := range t.Decided {
		if at < instant.UnixNano() {
			n++
		}
	}
	return n
}

// watched measures two audiences: while nothing changes, and when all are told; and what time brings at ours.
func (b *benchmark) watched(ctx context.Context, ours, empty *hall) error {
	if err := idle(ctx, ours, empty); err != nil {
		return err
	}
	var rounds []both
	for range haltRounds {
		var r both
		for _, h := range []*hall{ours, empty} {
			n, err := h.turn(ctx)
			if err != nil {
				return err
			}
			r = append(r, n)
			if _, err := h.turn(ctx); err != nil {
				return err
			}
		}
		rounds = append(rounds, r)
	}
	late, early, err := ours.byTime(ctx)
	if err != nil {
		return err
	}
	for _, h := range []*hall{ours, empty} {
		if _, h.most, err = h.memory(); err != nil {
			return err
		}
	}
	b.printWatched(ours, empty, rounds)
	b.printByTime(late, early)
	return nil
}

// idle lets audiences sit while nothing changes.
func idle(ctx context.Context, halls ...*hall) (err error) {
	for _, h := range halls {
		if h.idle, err = h.cpu(); err != nil {
			return err
		}
	}
	if err := pause(ctx, idleFor); err != nil {
		return err
	}
	for _, h := range halls {
		after, err := h.cpu()
		if err != nil {
			return err
		}
		h.idle = after - h.idle
		if h.seated, _, err = h.memory(); err != nil {
			return err
		}
	}
	return nil
}

// byTime has time turn the outcome, and returns how late each was told, sorted, and how many too early.
func (h *hall) byTime(ctx context.Context) (late []time.Duration, early int, err error) {
	for range timedHalts {
		instant := time.Now().Add(timedAhead).Truncate(time.Microsecond)
		if err := h.write(ctx, instant); err != nil {
			return nil, 0, err
		}
		t, err := h.told()
		if err != nil {
			return nil, 0, err
		}
		late, early = append(late, t.since(instant)...), early+t.early(instant)
		if _, err := h.turn(ctx); err != nil {
			return nil, 0, err
		}
	}
	slices.Sort(late)
	return late, early, nil
}
