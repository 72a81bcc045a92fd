package service

import (
	"context"

	"google.golang.org/grpc"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// decisionServer answers questions.
type decisionServer struct {
	teishiv1.UnsafeDecisionServiceServer
	*Server
}

// Check answers one question. It is the path that everybody waits for: a pointer is loaded, names are looked up, and one
// block of memory is filled.
func (d *decisionServer) Check(ctx context.Context, req *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
	return d.check(ctx, req, teishiv1.DecisionService_Check_FullMethodName)
}

// check answers one question, which a method was asked.
func (d *decisionServer) check(ctx context.Context, req *teishiv1.CheckRequest, method string) (*teishiv1.CheckResponse, error) {
	t, err := termsOf(req)
	if err != nil {
		return nil, err
	}
	q, err := queryOf(req.Organization, req.App, req.Purpose, req.Attributes)
	if err != nil {
		return nil, err
	}
	v, err := d.asked(ctx, &t, q.Organization)
	if err != nil {
		return nil, err
	}
	var a answer
	a.fill(&v, q, &t)
	telling := d.tells(method)
	telling.add(ctx, req, &a.response)
	if err := telling.logged(ctx); err != nil {
		return nil, err
	}
	return &a.response, nil
}

// Check answers one question of this process, as if it had come over gRPC.
func (s *Server) Check(ctx context.Context, req *teishiv1.CheckRequest) (*teishiv1.CheckResponse, error) {
	info := &grpc.UnaryServerInfo{FullMethod: teishiv1.DecisionService_Check_FullMethodName}
	resp, err := s.unary(ctx, req, info, func(ctx context.Context, _ any) (any, error) {
		return (&decisionServer{Server: s}).Check(ctx, req)
	})
	if err != nil {
		return nil, err
	}
	return resp.(*teishiv1.CheckResponse), nil
}
