package service

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// maxQueries bounds the questions of a batch.
const maxQueries = 1000

// maxExplained bounds the explained answers of a batch, in bytes: what callers of grpc take, with some room.
const maxExplained = maxMessage - maxMessage/8

// result is the memory of one BatchCheckResult.
type result struct {
	message  teishiv1.BatchCheckResult
	response teishiv1.BatchCheckResult_Response
	answer   answer
}

// BatchCheck answers many questions at one instant and one revision, each as Check would.
func (d *decisionServer) BatchCheck(ctx context.Context, req *teishiv1.BatchCheckRequest) (*teishiv1.BatchCheckResponse, error) {
	if n := len(req.Queries); n == 0 || n > maxQueries {
		return nil, &policy.InvalidError{Field: "queries", Problem: fmt.Sprintf("has %d, not 1 to %d", n, maxQueries)}
	}
	t, err := termsOf(&teishiv1.CheckRequest{
		At:           req.At,
		MinRevision:  req.MinRevision,
		Epoch:        req.Epoch,
		MaxStaleness: req.MaxStaleness,
		Explain:      req.Explain,
		AsOfRevision: req.AsOfRevision,
		AsOfTime:     req.AsOfTime,
		Language:     req.Language,
	}, d.now())
	if err != nil {
		return nil, err
	}
	v, err := d.view(ctx, &t)
	if err != nil {
		return nil, err
	}
	return answerAll(ctx, &v, req.Queries, &t)
}

func answerAll(ctx context.Context, v *policystore.View, queries []*teishiv1.Query, t *terms) (*teishiv1.BatchCheckResponse, error) {
	memory := make([]result, len(queries))
	resp := &teishiv1.BatchCheckResponse{Results: make([]*teishiv1.BatchCheckResult, len(queries))}
	room := maxExplained
	for i, query := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := &memory[i]
		resp.Results[i] = &r.message
		if err := r.fill(v, query, t, &room); err != nil {
			placed := &placed{err, beneath(fmt.Sprintf("queries[%d]", i))}
			r.message.Result = &teishiv1.BatchCheckResult_Error{Error: statusOf(placed).Proto()}
		}
	}
	return resp, nil
}

// fill answers one question. An explained answer takes of the room that is left for them.
func (r *result) fill(v *policystore.View, query *teishiv1.Query, t *terms, room *int) error {
	q, err := queryOf(query.Organization, query.App, query.Purpose, query.Attributes, t.at)
	if err != nil {
		return err
	}
	if t.explain && *room <= 0 {
		return &messageSizeError{size: maxExplained, limit: maxExplained}
	}
	r.answer.fill(v, q, t)
	r.response.Response = &r.answer.response
	r.message.Result = &r.response
	if t.explain {
		*room -= proto.Size(r.response.Response)
	}
	return nil
}
