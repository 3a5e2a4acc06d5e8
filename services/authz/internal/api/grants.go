package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/internal/store"
)

// Grants implements ashlar.authz.v1.GrantService.
type Grants struct{ store *store.Store }

// NewGrants returns the handler over a store.
func NewGrants(s *store.Store) *Grants { return &Grants{s} }

// GrantRole implements ashlar.authz.v1.GrantService.
func (h *Grants) GrantRole(ctx context.Context, req *authzv1.GrantRoleRequest) (*authzv1.GrantRoleResponse, error) {
	role, err := h.store.Role(ctx, req.GetOrganizationId(), req.GetRole())
	if err != nil {
		return nil, answer(err)
	}
	if err := within(ctx, h.store, req.GetOrganizationId(), role.Permissions); err != nil {
		return nil, err
	}
	granted, err := h.store.Grant(ctx, req.GetUserId(), role, req.GetOrganizationId())
	if err != nil {
		return nil, answer(err)
	}
	return &authzv1.GrantRoleResponse{Grant: grantMessage(granted, role.Name)}, nil
}

// RevokeRole implements ashlar.authz.v1.GrantService.
func (h *Grants) RevokeRole(ctx context.Context, req *authzv1.RevokeRoleRequest) (*authzv1.RevokeRoleResponse, error) {
	role, err := h.store.Role(ctx, req.GetOrganizationId(), req.GetRole())
	if err != nil {
		return nil, answer(err)
	}
	if err := within(ctx, h.store, req.GetOrganizationId(), role.Permissions); err != nil {
		return nil, err
	}
	if err := h.store.Revoke(ctx, req.GetUserId(), role, req.GetOrganizationId()); err != nil {
		return nil, answer(err)
	}
	return &authzv1.RevokeRoleResponse{}, nil
}

// ListGrants implements ashlar.authz.v1.GrantService.
func (h *Grants) ListGrants(ctx context.Context, req *authzv1.ListGrantsRequest) (*authzv1.ListGrantsResponse, error) {
	cursor, err := page.Open(req, "grants", req.GetOrganizationId(), req.GetUserId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Grants(ctx, req.GetOrganizationId(), req.GetUserId(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(g *ent.Grant) string { return g.ID })
	res := &authzv1.ListGrantsResponse{NextPageToken: next}
	for _, g := range found {
		res.Grants = append(res.Grants, grantMessage(g, g.Edges.Role.Name))
	}
	return res, nil
}

func grantMessage(g *ent.Grant, role string) *authzv1.Grant {
	return &authzv1.Grant{Id: g.ID, UserId: g.UserID, Role: role, OrganizationId: g.OrganizationID, CreatedAt: timestamppb.New(g.CreatedAt)}
}
