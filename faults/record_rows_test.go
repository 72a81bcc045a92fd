package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/redis"
)

// recordRows break what is in the record, or in what replicas have of it.
var recordRows = []row{
	{"29", "two administrators amend one directive at the same time", "I2", plan{}, func(h *house) { h.amendTwice() }},
	{"30", "a request is repeated, with the same and with another body", "I1", plan{}, func(h *house) { h.repeat() }},
	{"32", "an entry of a version to come", "I3 I7", plan{}, func(h *house) {
		h.wait("writes flow", h.writesFlow())
		h.fromTheFuture()
		h.wait("until nothing is written", func(ctx context.Context) error { return h.refusesAll(ctx, "STORE_UNAVAILABLE") })
		h.become(stale, h.points...)
		for _, a := range h.authorities {
			h.must(a.Kill())
		}
		h.sql("DELETE FROM teishi.entries WHERE principal = 'future'") // nobody but the version to come knew of it
		h.cli("FLUSHALL")
		for _, a := range h.authorities {
			h.restart(a)
		}
		h.wait("writes flow", h.writesFlow())
	}},
	{"33a", "the record is restored to an earlier point, then repaired", "I1 I2 I4 I12", plan{}, func(h *house) {
		h.restoreEarlier()
		h.wait("until nothing is written", func(ctx context.Context) error { return h.refusesAll(ctx, "RECORD_REWOUND") })
		h.become(stale, h.points...)
		out, err := h.repair()
		h.must(err)
		h.logf("%s", strings.TrimSpace(out))
		h.wait("writes flow", h.writesFlow())
		h.healed("repair")
	}},
	{"33b", "the record is restored to an earlier point, then rewound", "I1 I2 I4 I8 I12", plan{tagged: true}, func(h *house) {
		h.restoreEarlier()
		h.wait("until nothing is written", func(ctx context.Context) error { return h.refusesAll(ctx, "RECORD_REWOUND") })
		h.load.lossy.Store(true)
		given, _ := h.history.acknowledged()
		out, err := h.teishi("store", "rewind", "--reason", "a test")
		h.must(err)
		h.logf("%s", strings.TrimSpace(out))
		h.wait("all in the next epoch", func(ctx context.Context) error {
			var not []error
			for _, s := range h.servers() {
				not = append(not, h.is(ctx, s, fresh, 0, 2))
			}
			return errors.Join(not...)
		})
		h.wait("writes flow in the next epoch, beyond where the last one was", func(context.Context) error {
			if revision, epoch := h.history.acknowledged(); epoch < 2 || revision <= given {
				return fmt.Errorf("revision %d of epoch %d is acknowledged, want epoch 2 and beyond what was given up, %d", revision, epoch, given)
			}
			return nil
		})
	}},
	{"34", "a decision point starts from a month-old local checkpoint, with nothing reachable", "I4 I6 I7", plan{local: true, tagged: true, noRedis: true}, func(h *house) {
		p := h.points[0]
		h.must(p.Stop())
		h.isolate()
		h.breaks(p.Name(), "clock 720h")
		h.restart(p)
		h.wait("a start", func(ctx context.Context) error { return h.is(ctx, p, expired, 1, 1) })
		for app := range apps {
			resp, err := h.asks(h.ctx, p, app)
			if err != nil {
				h.problem("I7: %v", err)
			} else if resp.Outcome != teishiv1.Outcome_OUTCOME_DENIED {
				h.problem("I7: policy of a month ago answers %s, %s about app %d", resp.Outcome, resp.Reason, app)
			}
		}
		h.breaks(p.Name())
		h.rejoin()
	}},
}

// amendTwice has two administrators amend what both have read: one is refused, and told the revision of the other.
func (h *house) amendTwice() {
	h.Helper()
	h.register(100)
	first := teishiv1.NewDirectiveServiceClient(h.authorities[0].Conn())
	issued, err := first.IssueDirective(h.ctx, &teishiv1.IssueDirectiveRequest{Directive: haltOf("both", 100), Reason: "a test", RequestId: "both"})
	h.must(err)
	type answer struct {
		revision int64
		err      error
	}
	answers := make(chan answer, 2)
	for i := range 2 {
		go func() {
			d := proto.CloneOf(issued.Directive)
			d.Number = fmt.Sprint("amended by ", i)
			resp, err := teishiv1.NewDirectiveServiceClient(h.authorities[i].Conn()).AmendDirective(h.ctx, &teishiv1.AmendDirectiveRequest{
				Directive: d, Reason: "a test", ExpectRevision: proto.Int64(issued.Revision)})
			answers <- answer{resp.GetRevision(), err}
		}()
	}
	one, other := <-answers, <-answers
	if one.err != nil {
		one, other = other, one
	}
	if one.err != nil || status.Code(other.err) != codes.Aborted || !strings.Contains(other.err.Error(), fmt.Sprint(one.revision)) {
		h.problem("I2: of two that amend one succeeds with revision %d, %v, and the other with %v: want it ABORTED, with the revision", one.revision, one.err, other.err)
	}
	withdraw(h, "both")
}

// withdraw takes away what a test has suspended.
func withdraw(h *house, id string) {
	h.Helper()
	_, err := teishiv1.NewDirectiveServiceClient(h.authorities[0].Conn()).WithdrawDirective(h.ctx, &teishiv1.WithdrawDirectiveRequest{Directive: id, Reason: "a test"})
	h.must(err)
}

// repeat repeats a request at both authorities.
func (h *house) repeat() {
	h.Helper()
	put := func(i int, name string) (int64, error) {
		resp, err := teishiv1.NewRegistryServiceClient(h.authorities[i].Conn()).PutOrganization(h.ctx, &teishiv1.PutOrganizationRequest{
			Organization: &teishiv1.Organization{Id: "again", Names: map[string]string{"en": name}}, Reason: "a test", RequestId: "again"})
		return resp.GetRevision(), err
	}
	first, err := put(0, "one")
	h.must(err)
	for i := range 2 {
		if again, err := put(i, "one"); err != nil || again != first {
			h.problem("I1: the same request again is answered %d, %v, want %d", again, err, first)
		}
		if _, err := put(i, "another"); status.Code(err) != codes.AlreadyExists || reasonOf(err) != "REQUEST_ID_REUSED" {
			h.problem("I1: another request of that id is answered %v", err)
		}
	}
}

// fromTheFuture appends an entry of a kind that this version does not know, as a later version might.
func (h *house) fromTheFuture() {
	h.Helper()
	log, err := postgres.New(postgres.Config{DSN: h.postgres.DSN(h.database), Domain: domain})
	h.must(err)
	defer func() { h.must(log.Close()) }()
	h.wait("an entry of a version to come", func(ctx context.Context) error {
		head, err := log.Head(ctx)
		if err != nil {
			return err
		}
		there, err := log.Read(ctx, head.Revision, 1)
		if err != nil || len(there) == 0 {
			return fmt.Errorf("read the head: %d entries, %w", len(there), err)
		}
		e := policystore.Entry{Epoch: head.Epoch, Revision: head.Revision + 1, Time: there[0].Time, Principal: "future", Method: "future",
			RequestID: "future", Reason: "a test", Payload: []byte{0x0a, 0x05, 0x0a, 0x03, 0xfa, 0x01, 0x00}, PreviousHash: head.Hash}
		e.Hash = e.Sum(domain)
		_, err = log.Append(ctx, head, e)
		return err
	})
}

// restoreEarlier restores the record to what it was some writes ago.
func (h *house) restoreEarlier() {
	h.Helper()
	h.wait("writes flow", h.writesFlow())
	dump, err := h.postgres.Dump(h.ctx, h.database)
	h.must(err)
	before, _ := h.history.acknowledged()
	h.wait("sixty more writes", h.reach(before+60))
	h.wait("all of them published", h.published())
	h.must(h.postgres.Restore(h.ctx, h.database, dump))
	h.logf("restored at %s", time.Now().Format(time.TimeOnly))
}

// repair brings back from Redis what the record lacks.
func (h *house) repair() (string, error) {
	h.Helper()
	return h.teishi("store", "repair", "--from", "redis://"+redis.Reader+"@"+h.redis.Addr(), "--redis-password-file", h.password(redis.Reader, readerPassword))
}
