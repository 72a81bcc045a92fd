package service

import (
	"context"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// directiveServer keeps directives and what belongs to them.
type directiveServer struct {
	teishiv1.UnsafeDirectiveServiceServer
	*Server
}

func directiveKey(id string) policy.Key { return policy.Key{Kind: policy.KindDirective, ID: id} }

// IssueDirective issues a directive under a new id.
func (d *directiveServer) IssueDirective(ctx context.Context, req *teishiv1.IssueDirectiveRequest) (*teishiv1.IssueDirectiveResponse, error) {
	w, err := issuing(req)
	if err != nil {
		return nil, err
	}
	done, err := d.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.IssueDirectiveResponse{
		Directive: policystore.DirectiveToProto(putAny[*policy.Directive](&done), done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func issuing(req *teishiv1.IssueDirectiveRequest) (write, error) {
	text, err := converted("directive", req.Directive, policystore.DirectiveFromProto)
	if err != nil {
		return write{}, err
	}
	return write{
		method:  teishiv1.DirectiveService_IssueDirective_FullMethodName,
		request: req,
		subject: about(text.Key()),
		command: func(d *draft) ([]policy.Change, error) { return d.Issue(text, d.binds) },
		place:   beneath("directive"),
		puts:    text,
	}, nil
}

// AmendDirective replaces the whole text of a directive.
func (d *directiveServer) AmendDirective(ctx context.Context, req *teishiv1.AmendDirectiveRequest) (*teishiv1.AmendDirectiveResponse, error) {
	w, err := amending(req)
	if err != nil {
		return nil, err
	}
	done, err := d.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.AmendDirectiveResponse{
		Directive: policystore.DirectiveToProto(putAny[*policy.Directive](&done), done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func amending(req *teishiv1.AmendDirectiveRequest) (write, error) {
	text, err := converted("directive", req.Directive, policystore.DirectiveFromProto)
	if err != nil {
		return write{}, err
	}
	return write{
		method:  teishiv1.DirectiveService_AmendDirective_FullMethodName,
		request: req,
		subject: about(text.Key()),
		command: func(d *draft) ([]policy.Change, error) { return d.Amend(text) },
		place:   beneath("directive"),
	}, nil
}

// WithdrawDirective makes a directive void.
func (d *directiveServer) WithdrawDirective(ctx context.Context, req *teishiv1.WithdrawDirectiveRequest) (*teishiv1.WithdrawDirectiveResponse, error) {
	done, err := d.write(ctx, withdrawing(req))
	if err != nil {
		return nil, err
	}
	return &teishiv1.WithdrawDirectiveResponse{
		Directive: policystore.DirectiveToProto(putAny[*policy.Directive](&done), done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func withdrawing(req *teishiv1.WithdrawDirectiveRequest) write {
	return write{
		method:  teishiv1.DirectiveService_WithdrawDirective_FullMethodName,
		request: req,
		subject: about(directiveKey(req.Directive)),
		command: func(d *draft) ([]policy.Change, error) { return d.Withdraw(req.Directive, req.Reason, d.at) },
		place:   asIs,
	}
}

// AdoptDirective issues a binding copy of what a directive advises.
func (d *directiveServer) AdoptDirective(ctx context.Context, req *teishiv1.AdoptDirectiveRequest) (*teishiv1.AdoptDirectiveResponse, error) {
	key := directiveKey(req.Id)
	done, err := d.write(ctx, write{
		method:  teishiv1.DirectiveService_AdoptDirective_FullMethodName,
		request: req,
		subject: about(key),
		puts:    &policy.Directive{ID: req.Id, Authority: req.Authority},
		command: func(d *draft) ([]policy.Change, error) {
			if _, err := visible(&d.View, d.powers, req.Directive); err != nil {
				return nil, err
			}
			return d.Adopt(policy.Adoption{
				Directive:     req.Directive,
				ID:            req.Id,
				Authority:     req.Authority,
				Number:        req.Number,
				Title:         policy.TextOf(req.Title),
				IssuingOffice: req.IssuingOffice,
				At:            d.binds,
			})
		},
		place: asIs,
	})
	if err != nil {
		return nil, err
	}
	return &teishiv1.AdoptDirectiveResponse{
		Directive: policystore.DirectiveToProto(put[*policy.Directive](&done, key), done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}
