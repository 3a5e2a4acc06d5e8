package api

import (
	"context"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/internal/store"
)

// Permissions implements ashlar.authz.v1.PermissionService.
type Permissions struct{ store *store.Store }

// NewPermissions returns the handler over a store.
func NewPermissions(s *store.Store) *Permissions { return &Permissions{s} }

// ListPermissions implements ashlar.authz.v1.PermissionService.
func (h *Permissions) ListPermissions(ctx context.Context, req *authzv1.ListPermissionsRequest) (*authzv1.ListPermissionsResponse, error) {
	cursor, err := page.Open(req, "permissions")
	if err != nil {
		return nil, err
	}
	found, err := h.store.Permissions(ctx, cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(p *ent.Permission) string { return p.ID })
	res := &authzv1.ListPermissionsResponse{NextPageToken: next}
	for _, p := range found {
		res.Permissions = append(res.Permissions, &authzv1.Permission{
			Id: p.ID, Description: p.Description, Module: p.Module, Removed: p.Removed,
		})
	}
	return res, nil
}
