//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const batchSize = 100

// questions are those of a world as they are asked over gRPC, and their answers as this process decides them.
type questions struct {
	policy  *policy.Snapshot
	queries []policy.Query
	checks  []*teishiv1.CheckRequest
	batches []*teishiv1.BatchCheckRequest
}

func newQuestions(s *policy.Snapshot, queries []policy.Query) *questions {
	qs := &questions{policy: s, queries: queries}
	for _, q := range queries {
		qs.checks = append(qs.checks, &teishiv1.CheckRequest{Organization: q.Organization, App: q.App, Purpose: q.Purpose, Attributes: q.Attributes})
	}
	for i := range queries {
		qs.batches = append(qs.batches, &teishiv1.BatchCheckRequest{Queries: qs.batch(i)})
	}
	return qs
}

// batch returns the questions from the i-th on.
func (qs *questions) batch(i int) []*teishiv1.Query {
	var list []*teishiv1.Query
	for j := range batchSize {
		q := qs.queries[(i+j)%len(qs.queries)]
		list = append(list, &teishiv1.Query{Organization: q.Organization, App: q.App, Purpose: q.Purpose, Attributes: q.Attributes})
	}
	return list
}

func (qs *questions) check(ctx context.Context, c *grpc.ClientConn, i int) error {
	_, err := teishiv1.NewDecisionServiceClient(c).Check(ctx, qs.checks[i%len(qs.checks)])
	return err
}

func (qs *questions) batchCheck(ctx context.Context, c *grpc.ClientConn, i int) error {
	_, err := teishiv1.NewDecisionServiceClient(c).BatchCheck(ctx, qs.batches[i%len(qs.batches)])
	return err
}

// traffic is what the questions and their answers come to: what was answered, and bytes of messages on average.
type traffic struct {
	outcomes     map[teishiv1.Outcome]int
	check, batch size
	answers      *teishiv1.BatchCheckResponse
}

type size struct{ request, response int }

// verify asks every question once and reports as an error any answer that is not the one that this process decides.
func (qs *questions) verify(ctx context.Context, c *grpc.ClientConn) (traffic, error) {
	t := traffic{outcomes: make(map[teishiv1.Outcome]int)}
	client := teishiv1.NewDecisionServiceClient(c)
	for i, req := range qs.checks {
		resp, err := client.Check(ctx, req, grpc.WaitForReady(true))
		if err != nil {
			return t, err
		}
		if err := qs.right(i, resp); err != nil {
			return t, err
		}
		t.outcomes[resp.Outcome]++
		t.check.request, t.check.response = t.check.request+proto.Size(req), t.check.response+proto.Size(resp)
	}
	t.check.request, t.check.response = t.check.request/len(qs.checks), t.check.response/len(qs.checks)
	resp, err := client.BatchCheck(ctx, qs.batches[0])
	if err != nil {
		return t, err
	}
	for i, result := range resp.Results {
		if err := qs.right(i, result.GetResponse()); err != nil {
			return t, fmt.Errorf("in a batch: %w", err)
		}
	}
	if err := qs.verifyStream(ctx, client); err != nil {
		return t, fmt.Errorf("in a stream: %w", err)
	}
	t.answers = resp
	t.batch = size{proto.Size(qs.batches[0]), proto.Size(resp)}
	return t, nil
}

// verifyStream asks every question in one stream.
func (qs *questions) verifyStream(ctx context.Context, client teishiv1.DecisionServiceClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.StreamCheck(ctx)
	if err != nil {
		return err
	}
	for i, req := range qs.checks {
		if err := stream.Send(&teishiv1.StreamCheckRequest{Check: req}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := qs.right(i, resp.GetResponse()); err != nil {
			return err
		}
	}
	return nil
}

// right reports as an error that the answer to the i-th question is not the one that this process decides.
func (qs *questions) right(i int, resp *teishiv1.CheckResponse) error {
	q := qs.queries[i]
	var err error
	if q.At, err = policystore.InstantFromProto(resp.GetDecisionTime(), policy.Beginning); err != nil {
		return err
	}
	resolved := qs.policy.Resolve(q)
	d := qs.policy.Decide(&resolved)
	_, total := d.Citations()
	if resp.GetReason() != teishiv1.Reason(d.Reason) || int(resp.GetCitationsTotal()) != total {
		return fmt.Errorf("question %d was answered %s with %d citations, not %s with %d",
			i, resp.GetReason(), resp.GetCitationsTotal(), teishiv1.Reason(d.Reason), total)
	}
	return nil
}

// bytesOf returns a call of the empty server with messages of those sizes that are nothing but bytes.
func bytesOf(s size) func(context.Context, *grpc.ClientConn, int) error {
	question := echoQuestion(s.request, s.response)
	return func(ctx context.Context, c *grpc.ClientConn, _ int) error {
		return c.Invoke(ctx, echoMethod, question, new(wrapperspb.BytesValue))
	}
}
