package service

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// get returns the message of the resource of the key, and the view it was read from.
func get[R policy.Resource, M any](ctx context.Context, s *Server, key policy.Key, to func(R, policy.Revision) M) (m M, v policystore.View, err error) {
	if v, err = s.replica.View(ctx, policystore.Demand{}); err != nil {
		return m, v, err
	}
	if key.Kind == policy.KindOrganization && !s.powers(v.Snapshot, s.caller(ctx)).Sees(key.ID) {
		return m, v, errNotGranted
	}
	found, changed, ok := v.Lookup(key)
	if !ok {
		return m, v, &policy.NotFoundError{Key: key}
	}
	return to(found.(R), changed), v, nil
}

// list returns a page of the resources of a kind that are to be kept.
func list[R policy.Resource, M proto.Message](ctx context.Context, s *Server, method string, req listRequest, kind policy.Kind,
	keep func(v *policystore.View, r R) bool, to func(R, policy.Revision) M,
) ([]M, *page, error) {
	of := func(v *policystore.View) (iter.Seq2[policy.Resource, policy.Revision], error) {
		return v.Resources(kind), nil
	}
	return paged(ctx, s, method, req, of, keep, to)
}

// paged returns a page of what of finds in the view, ordered by id, and is to be kept.
func paged[R policy.Resource, M proto.Message](ctx context.Context, s *Server, method string, req listRequest,
	of func(v *policystore.View) (iter.Seq2[policy.Resource, policy.Revision], error),
	keep func(v *policystore.View, r R) bool, to func(R, policy.Revision) M,
) ([]M, *page, error) {
	p, err := s.open(ctx, method, req, false, func() (policystore.View, policy.Instant, error) {
		v, err := s.replica.View(ctx, policystore.Demand{})
		return v, 0, err
	})
	if err != nil {
		return nil, nil, err
	}
	found, err := of(&p.view)
	if err != nil {
		return nil, nil, err
	}
	var items []M
	for r, changed := range found {
		id := r.Key().ID
		if id <= p.token.cursor || !keep(&p.view, r.(R)) {
			continue
		}
		m := to(r.(R), changed)
		if !p.take(id, m) {
			break
		}
		items = append(items, m)
	}
	return items, p, nil
}

func all[R any](*policystore.View, R) bool { return true }

// reading returns the powers by which a list is read, and refuses to begin one beneath an organization that there is not, or
// that is not to be seen.
func (s *Server) reading(ctx context.Context, req listRequest, field, organization string) (policy.Powers, error) {
	v, err := s.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return policy.Powers{}, err
	}
	powers := s.powers(v.Snapshot, s.caller(ctx))
	switch {
	case organization == "" || req.GetPageToken() != "":
	case !powers.Sees(organization):
		return powers, errNotGranted
	case v.Organization(organization) == nil:
		return powers, &policy.ReferenceError{Field: field, Key: policy.Key{Kind: policy.KindOrganization, ID: organization}}
	}
	return powers, nil
}

// GetOrganization returns an organization.
func (r *registryServer) GetOrganization(ctx context.Context, req *teishiv1.GetOrganizationRequest) (*teishiv1.GetOrganizationResponse, error) {
	m, v, err := get(ctx, r.Server, policy.Key{Kind: policy.KindOrganization, ID: req.Id}, policystore.OrganizationToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GetOrganizationResponse{Organization: m, Revision: int64(v.Position.Revision), Epoch: v.Position.Epoch}, nil
}

// GetVendor returns a vendor.
func (r *registryServer) GetVendor(ctx context.Context, req *teishiv1.GetVendorRequest) (*teishiv1.GetVendorResponse, error) {
	m, v, err := get(ctx, r.Server, policy.Key{Kind: policy.KindVendor, ID: req.Id}, policystore.VendorToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GetVendorResponse{Vendor: m, Revision: int64(v.Position.Revision), Epoch: v.Position.Epoch}, nil
}

// GetApp returns an app.
func (r *registryServer) GetApp(ctx context.Context, req *teishiv1.GetAppRequest) (*teishiv1.GetAppResponse, error) {
	m, v, err := get(ctx, r.Server, policy.Key{Kind: policy.KindApp, ID: req.Id}, policystore.AppToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GetAppResponse{App: m, Revision: int64(v.Position.Revision), Epoch: v.Position.Epoch}, nil
}

// GetPurpose returns a purpose.
func (r *registryServer) GetPurpose(ctx context.Context, req *teishiv1.GetPurposeRequest) (*teishiv1.GetPurposeResponse, error) {
	m, v, err := get(ctx, r.Server, policy.Key{Kind: policy.KindPurpose, ID: req.Id}, policystore.PurposeToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GetPurposeResponse{Purpose: m, Revision: int64(v.Position.Revision), Epoch: v.Position.Epoch}, nil
}

// GetAttribute returns an attribute.
func (r *registryServer) GetAttribute(ctx context.Context, req *teishiv1.GetAttributeRequest) (*teishiv1.GetAttributeResponse, error) {
	m, v, err := get(ctx, r.Server, policy.Key{Kind: policy.KindAttribute, ID: req.Id}, policystore.AttributeToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.GetAttributeResponse{Attribute: m, Revision: int64(v.Position.Revision), Epoch: v.Position.Epoch}, nil
}

// ListOrganizations returns organizations by id.
func (r *registryServer) ListOrganizations(ctx context.Context, req *teishiv1.ListOrganizationsRequest) (*teishiv1.ListOrganizationsResponse, error) {
	powers, err := r.reading(ctx, req, "under", req.Under)
	if err != nil {
		return nil, err
	}
	under := func(v *policystore.View, o *policy.Organization) bool {
		return (req.Under == "" || v.Within(o.ID, req.Under)) && powers.Sees(o.ID)
	}
	items, p, err := list(ctx, r.Server, teishiv1.RegistryService_ListOrganizations_FullMethodName, req,
		policy.KindOrganization, under, policystore.OrganizationToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListOrganizationsResponse{Organizations: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

// ListVendors returns vendors by id.
func (r *registryServer) ListVendors(ctx context.Context, req *teishiv1.ListVendorsRequest) (*teishiv1.ListVendorsResponse, error) {
	items, p, err := list(ctx, r.Server, teishiv1.RegistryService_ListVendors_FullMethodName, req,
		policy.KindVendor, all, policystore.VendorToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListVendorsResponse{Vendors: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

// ListApps returns apps by id.
func (r *registryServer) ListApps(ctx context.Context, req *teishiv1.ListAppsRequest) (*teishiv1.ListAppsResponse, error) {
	items, p, err := list(ctx, r.Server, teishiv1.RegistryService_ListApps_FullMethodName, req,
		policy.KindApp, all, policystore.AppToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListAppsResponse{Apps: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

// ListPurposes returns purposes by id.
func (r *registryServer) ListPurposes(ctx context.Context, req *teishiv1.ListPurposesRequest) (*teishiv1.ListPurposesResponse, error) {
	items, p, err := list(ctx, r.Server, teishiv1.RegistryService_ListPurposes_FullMethodName, req,
		policy.KindPurpose, all, policystore.PurposeToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListPurposesResponse{Purposes: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}

// ListAttributes returns attributes by id.
func (r *registryServer) ListAttributes(ctx context.Context, req *teishiv1.ListAttributesRequest) (*teishiv1.ListAttributesResponse, error) {
	items, p, err := list(ctx, r.Server, teishiv1.RegistryService_ListAttributes_FullMethodName, req,
		policy.KindAttribute, all, policystore.AttributeToProto)
	if err != nil {
		return nil, err
	}
	return &teishiv1.ListAttributesResponse{Attributes: items, NextPageToken: p.next, Revision: p.revision(), Epoch: p.token.epoch}, nil
}
