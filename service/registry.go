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

// registering registers the resource that the field of a request holds.
func registering[M any, R policy.Resource](method string, req writeRequest, field string, m M, from func(M) (R, error)) (write, error) {
	r, err := converted(field, m, from)
	if err != nil {
		return write{}, err
	}
	return write{
		method:  method,
		request: req,
		subject: about(r.Key()),
		command: func(d *draft) ([]policy.Change, error) { return d.PutRegistry(r) },
		place:   beneath(field),
		puts:    r,
	}, nil
}

// removing deletes the resource of a kind and an id.
func removing(method string, req writeRequest, kind policy.Kind, id string) write {
	key := policy.Key{Kind: kind, ID: id}
	return write{
		method:  method,
		request: req,
		subject: about(key),
		command: func(d *draft) ([]policy.Change, error) { return d.Delete(key) },
		place:   asIs,
	}
}

// registered returns the resource that a write registered: of several purposes the one that was asked for.
func registered[R policy.Resource](done *written, w write) R { return put[R](done, w.puts.Key()) }

// PutOrganization registers an organization, or replaces the whole of one.
func (r *registryServer) PutOrganization(ctx context.Context, req *teishiv1.PutOrganizationRequest) (*teishiv1.PutOrganizationResponse, error) {
	w, err := puttingOrganization(req)
	if err != nil {
		return nil, err
	}
	done, err := r.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutOrganizationResponse{
		Organization: policystore.OrganizationToProto(registered[*policy.Organization](&done, w), done.changed),
		Revision:     done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func puttingOrganization(req *teishiv1.PutOrganizationRequest) (write, error) {
	return registering(teishiv1.RegistryService_PutOrganization_FullMethodName, req, "organization", req.Organization, policystore.OrganizationFromProto)
}

// PutVendor registers a vendor, or replaces the whole of one.
func (r *registryServer) PutVendor(ctx context.Context, req *teishiv1.PutVendorRequest) (*teishiv1.PutVendorResponse, error) {
	w, err := puttingVendor(req)
	if err != nil {
		return nil, err
	}
	done, err := r.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutVendorResponse{
		Vendor:   policystore.VendorToProto(registered[*policy.Vendor](&done, w), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func puttingVendor(req *teishiv1.PutVendorRequest) (write, error) {
	return registering(teishiv1.RegistryService_PutVendor_FullMethodName, req, "vendor", req.Vendor, policystore.VendorFromProto)
}

// PutApp registers an app, or replaces the whole of one.
func (r *registryServer) PutApp(ctx context.Context, req *teishiv1.PutAppRequest) (*teishiv1.PutAppResponse, error) {
	w, err := puttingApp(req)
	if err != nil {
		return nil, err
	}
	done, err := r.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutAppResponse{
		App:      policystore.AppToProto(registered[*policy.App](&done, w), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func puttingApp(req *teishiv1.PutAppRequest) (write, error) {
	return registering(teishiv1.RegistryService_PutApp_FullMethodName, req, "app", req.App, policystore.AppFromProto)
}

// PutPurpose registers a purpose and those it lies beneath, or replaces the whole of one.
func (r *registryServer) PutPurpose(ctx context.Context, req *teishiv1.PutPurposeRequest) (*teishiv1.PutPurposeResponse, error) {
	w, err := puttingPurpose(req)
	if err != nil {
		return nil, err
	}
	done, err := r.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutPurposeResponse{
		Purpose:  policystore.PurposeToProto(registered[*policy.Purpose](&done, w), done.changed),
		Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func puttingPurpose(req *teishiv1.PutPurposeRequest) (write, error) {
	return registering(teishiv1.RegistryService_PutPurpose_FullMethodName, req, "purpose", req.Purpose, policystore.PurposeFromProto)
}

// PutAttribute registers an attribute, or replaces the whole of one.
func (r *registryServer) PutAttribute(ctx context.Context, req *teishiv1.PutAttributeRequest) (*teishiv1.PutAttributeResponse, error) {
	w, err := puttingAttribute(req)
	if err != nil {
		return nil, err
	}
	done, err := r.write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &teishiv1.PutAttributeResponse{
		Attribute: policystore.AttributeToProto(registered[*policy.Attribute](&done, w), done.changed),
		Revision:  done.revision, Epoch: done.epoch, RequestId: done.requestID,
	}, nil
}

func puttingAttribute(req *teishiv1.PutAttributeRequest) (write, error) {
	return registering(teishiv1.RegistryService_PutAttribute_FullMethodName, req, "attribute", req.Attribute, policystore.AttributeFromProto)
}

// DeleteOrganization removes an organization that nothing names.
func (r *registryServer) DeleteOrganization(ctx context.Context, req *teishiv1.DeleteOrganizationRequest) (*teishiv1.DeleteOrganizationResponse, error) {
	done, err := r.write(ctx, deletingOrganization(req))
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteOrganizationResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func deletingOrganization(req *teishiv1.DeleteOrganizationRequest) write {
	return removing(teishiv1.RegistryService_DeleteOrganization_FullMethodName, req, policy.KindOrganization, req.Id)
}

// DeleteVendor removes a vendor that nothing names.
func (r *registryServer) DeleteVendor(ctx context.Context, req *teishiv1.DeleteVendorRequest) (*teishiv1.DeleteVendorResponse, error) {
	done, err := r.write(ctx, deletingVendor(req))
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteVendorResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func deletingVendor(req *teishiv1.DeleteVendorRequest) write {
	return removing(teishiv1.RegistryService_DeleteVendor_FullMethodName, req, policy.KindVendor, req.Id)
}

// DeleteApp removes an app that nothing names.
func (r *registryServer) DeleteApp(ctx context.Context, req *teishiv1.DeleteAppRequest) (*teishiv1.DeleteAppResponse, error) {
	done, err := r.write(ctx, deletingApp(req))
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteAppResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func deletingApp(req *teishiv1.DeleteAppRequest) write {
	return removing(teishiv1.RegistryService_DeleteApp_FullMethodName, req, policy.KindApp, req.Id)
}

// DeletePurpose removes a purpose that nothing names.
func (r *registryServer) DeletePurpose(ctx context.Context, req *teishiv1.DeletePurposeRequest) (*teishiv1.DeletePurposeResponse, error) {
	done, err := r.write(ctx, deletingPurpose(req))
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeletePurposeResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func deletingPurpose(req *teishiv1.DeletePurposeRequest) write {
	return removing(teishiv1.RegistryService_DeletePurpose_FullMethodName, req, policy.KindPurpose, req.Id)
}

// DeleteAttribute removes an attribute that nothing names.
func (r *registryServer) DeleteAttribute(ctx context.Context, req *teishiv1.DeleteAttributeRequest) (*teishiv1.DeleteAttributeResponse, error) {
	done, err := r.write(ctx, deletingAttribute(req))
	if err != nil {
		return nil, err
	}
	return &teishiv1.DeleteAttributeResponse{Revision: done.revision, Epoch: done.epoch, RequestId: done.requestID}, nil
}

func deletingAttribute(req *teishiv1.DeleteAttributeRequest) write {
	return removing(teishiv1.RegistryService_DeleteAttribute_FullMethodName, req, policy.KindAttribute, req.Id)
}
