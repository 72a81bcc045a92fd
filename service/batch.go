package service

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// maxQueries bounds the questions of a batch.
const maxQueries = 1000

// maxAnswers bounds the answers of a batch, in bytes: what callers of grpc take, with some room.
const maxAnswers = maxMessage - maxMessage/8

// errFull says that there is no room left for an answer.
var errFull = errors.New("the answers before this one fill the response: ask it in another batch")

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
	})
	if err != nil {
		return nil, err
	}
	a, err := d.asking(ctx, &t)
	if err != nil {
		return nil, err
	}
	t.tells(&a)
	v, err := d.view(ctx, &t)
	if err != nil {
		return nil, err
	}
	resp, err := answerAll(ctx, &v, req.Queries, &t, &a)
	if err != nil {
		return nil, err
	}
	if err := d.loggedBatch(ctx, req.Queries, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

func answerAll(ctx context.Context, v *policystore.View, queries []*teishiv1.Query, t *terms, a *asking) (*teishiv1.BatchCheckResponse, error) {
	memory := make([]result, len(queries))
	resp := &teishiv1.BatchCheckResponse{Results: make([]*teishiv1.BatchCheckResult, len(queries))}
	room := maxAnswers
	for i, query := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := &memory[i]
		resp.Results[i] = &r.message
		if err := r.fill(v, query, t, a, &room); err != nil {
			placed := &placed{err, beneath(fmt.Sprintf("queries[%d]", i))}
			r.message.Result = &teishiv1.BatchCheckResult_Error{Error: statusOf(placed).Proto()}
		}
	}
	return resp, nil
}

// fill answers one question, if there is room left for its answer.
func (r *result) fill(v *policystore.View, query *teishiv1.Query, t *terms, a *asking, room *int) error {
	q, err := queryOf(query.Organization, query.App, query.Purpose, query.Attributes)
	if err != nil {
		return err
	}
	if err := a.aboutIn(v.Snapshot, query.Organization); err != nil {
		return err
	}
	if *room <= 0 {
		return errFull
	}
	r.answer.room = min(maxTexts, *room)
	r.answer.fill(v, q, t)
	if *room -= r.answer.size(t); *room < 0 {
		proto.Reset(&r.answer.response)
		return errFull
	}
	r.response.Response = &r.answer.response
	r.message.Result = &r.response
	return nil
}

// size returns about how many bytes the answer takes. Most have no more than a citation, and to measure those exactly
// would cost as much as to answer them.
func (a *answer) size(t *terms) int {
	r := &a.response
	if t.explain || len(r.Advice)+len(r.Obligations)+len(r.Alternatives)+len(r.Unrecognized)+len(r.PermittedPurposes) > 0 {
		return proto.Size(r)
	}
	size := 128
	for _, c := range r.Citations {
		size += 384 + len(c.Number) + len(c.Title) + len(c.Message)
		for _, s := range c.Sources {
			size += 8 + len(s.Uri) + len(s.Text)
		}
	}
	return size
}
