package service

import (
	"context"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// registryServer keeps the registry.
type registryServer struct {
	teishiv1.UnsafeRegistryServiceServer
	*Server
}

// putOne registers the resource that the field of a request holds.
func putOne[M any, R policy.Resource](ctx context.Context, s *Server, method string, req writeRequest, field string, m M, from func(M) (R, error)) (R, written, error) {
	r, err := converted(field, m, from)
	if err != nil {
		return r, written{}, err
	}
	done, err := s.write(ctx, write{
		method:  method,
		request: req,
		subject: about(r.Key()),
		command: func(d *draft) ([]policy.Change, error) { return d.PutRegistry(r) },
		place:   beneath(field),
	})
	return put[R](&done, r.Key()), done, err
}

// PutOrganization registers an organization, or replaces the whole of one.
func (r *registryServer) PutOrganization(ctx context.Context, req *teishiv1.PutOrganizationRequest) (*teishiv1.PutOrganizationResponse, error) {
	o, done, err := putOne(ctx, r.Server, teishiv1.RegistryService_PutOrganization_FullMethodName, req,
		"organization", req.Organization, policystore.OrganizationFromProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutOrganizationResponse{
		Organization: policystore.OrganizationToProto(o, done.changed),
		Revision:     done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// PutVendor registers a vendor, or replaces the whole of one.
func (r *registryServer) PutVendor(ctx context.Context, req *teishiv1.PutVendorRequest) (*teishiv1.PutVendorResponse, error) {
	v, done, err := putOne(ctx, r.Server, teishiv1.RegistryService_PutVendor_FullMethodName, req,
		"vendor", req.Vendor, policystore.VendorFromProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutVendorResponse{
		Vendor:   policystore.VendorToProto(v, done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// PutApp registers an app, or replaces the whole of one.
func (r *registryServer) PutApp(ctx context.Context, req *teishiv1.PutAppRequest) (*teishiv1.PutAppResponse, error) {
	a, done, err := putOne(ctx, r.Server, teishiv1.RegistryService_PutApp_FullMethodName, req,
		"app", req.App, policystore.AppFromProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutAppResponse{
		App:      policystore.AppToProto(a, done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// PutPurpose registers a purpose and those it lies beneath, or replaces the whole of one.
func (r *registryServer) PutPurpose(ctx context.Context, req *teishiv1.PutPurposeRequest) (*teishiv1.PutPurposeResponse, error) {
	p, done, err := putOne(ctx, r.Server, teishiv1.RegistryService_PutPurpose_FullMethodName, req,
		"purpose", req.Purpose, policystore.PurposeFromProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutPurposeResponse{
		Purpose:  policystore.PurposeToProto(p, done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// PutAttribute registers an attribute, or replaces the whole of one.
func (r *registryServer) PutAttribute(ctx context.Context, req *teishiv1.PutAttributeRequest) (*teishiv1.PutAttributeResponse, error) {
	a, done, err := putOne(ctx, r.Server, teishiv1.RegistryService_PutAttribute_FullMethodName, req,
		"attribute", req.Attribute, policystore.AttributeFromProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutAttributeResponse{
		Attribute: policystore.AttributeToProto(a, done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

// remove deletes the resource of the key.
func (s *Server) remove(ctx context.Context, method string, req writeRequest, key policy.Key) (written, error) {
	return s.write(ctx, write{
		method:  method,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) { return d.Delete(key) },
		place:   asIs,
	})
}

// DeleteOrganization removes an organization that nothing names.
func (r *registryServer) DeleteOrganization(ctx context.Context, req *teishiv1.DeleteOrganizationRequest) (*teishiv1.DeleteOrganizationResponse, error) {
	done, err := r.remove(ctx, teishiv1.RegistryService_DeleteOrganization_FullMethodName, req, policy.Key{Kind: policy.KindOrganization, ID: req.Id})
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteOrganizationResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// DeleteVendor removes a vendor that nothing names.
func (r *registryServer) DeleteVendor(ctx context.Context, req *teishiv1.DeleteVendorRequest) (*teishiv1.DeleteVendorResponse, error) {
	done, err := r.remove(ctx, teishiv1.RegistryService_DeleteVendor_FullMethodName, req, policy.Key{Kind: policy.KindVendor, ID: req.Id})
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteVendorResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// DeleteApp removes an app that nothing names.
func (r *registryServer) DeleteApp(ctx context.Context, req *teishiv1.DeleteAppRequest) (*teishiv1.DeleteAppResponse, error) {
	done, err := r.remove(ctx, teishiv1.RegistryService_DeleteApp_FullMethodName, req, policy.Key{Kind: policy.KindApp, ID: req.Id})
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteAppResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// DeletePurpose removes a purpose that nothing names.
func (r *registryServer) DeletePurpose(ctx context.Context, req *teishiv1.DeletePurposeRequest) (*teishiv1.DeletePurposeResponse, error) {
	done, err := r.remove(ctx, teishiv1.RegistryService_DeletePurpose_FullMethodName, req, policy.Key{Kind: policy.KindPurpose, ID: req.Id})
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeletePurposeResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

// DeleteAttribute removes an attribute that nothing names.
func (r *registryServer) DeleteAttribute(ctx context.Context, req *teishiv1.DeleteAttributeRequest) (*teishiv1.DeleteAttributeResponse, error) {
	done, err := r.remove(ctx, teishiv1.RegistryService_DeleteAttribute_FullMethodName, req, policy.Key{Kind: policy.KindAttribute, ID: req.Id})
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteAttributeResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}
