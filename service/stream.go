package service

import (
	"errors"
	"io"
	"unicode/utf8"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// maxCorrelation bounds what is told back, in characters.
const maxCorrelation = 128

// StreamCheck answers questions as they come, each as Check would. A caller that does not read is not read from either.
func (d *decisionServer) StreamCheck(stream teishiv1.DecisionService_StreamCheckServer) error {
	ctx := stream.Context()
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		resp := &teishiv1.StreamCheckResponse{CorrelationId: req.CorrelationId}
		answer, err := d.checkOne(stream, req)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			resp.Result = &teishiv1.StreamCheckResponse_Error{Error: statusOf(err).Proto()}
		} else {
			resp.Result = &teishiv1.StreamCheckResponse_Response{Response: answer}
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

func (d *decisionServer) checkOne(stream teishiv1.DecisionService_StreamCheckServer, req *teishiv1.StreamCheckRequest) (*teishiv1.CheckResponse, error) {
	switch {
	case utf8.RuneCountInString(req.CorrelationId) > maxCorrelation:
		return nil, tooLong("correlation_id", maxCorrelation)
	case req.Check == nil:
		return nil, &policy.InvalidError{Field: "check", Problem: "must be stated"}
	}
	if err := d.spends(stream.Context()); err != nil {
		return nil, err
	}
	answer, err := d.check(stream.Context(), req.Check, teishiv1.DecisionService_StreamCheck_FullMethodName)
	if err != nil {
		return nil, &placed{err, beneath("check")}
	}
	return answer, nil
}
