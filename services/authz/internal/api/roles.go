package api

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/internal/store"
)

// Roles implements ashlar.authz.v1.RoleService.
type Roles struct{ store *store.Store }

// NewRoles returns the handler over a store.
func NewRoles(s *store.Store) *Roles { return &Roles{s} }

// CreateRole implements ashlar.authz.v1.RoleService.
func (h *Roles) CreateRole(ctx context.Context, req *authzv1.CreateRoleRequest) (*authzv1.CreateRoleResponse, error) {
	if err := valid(req.GetPermissions()); err != nil {
		return nil, err
	}
	if err := within(ctx, h.store, req.GetOrganizationId(), req.GetPermissions()); err != nil {
		return nil, err
	}
	created, err := h.store.CreateRole(ctx, store.NewRole{
		Organization: req.GetOrganizationId(), Name: req.GetName(), Description: req.GetDescription(), Permissions: req.GetPermissions(),
		RequestKey: requestKey(req.GetOrganizationId(), authn.FromContext(ctx).UserID, req.GetRequestId()),
	})
	if err != nil {
		return nil, answer(err)
	}
	return &authzv1.CreateRoleResponse{Role: roleMessage(created)}, nil
}

// requestKey makes a client's request_id unique to the client and the organization; empty where the client gave none.
func requestKey(organizationID, caller, requestID string) string {
	if requestID == "" {
		return ""
	}
	return organizationID + ":" + caller + ":" + requestID
}

// GetRole implements ashlar.authz.v1.RoleService.
func (h *Roles) GetRole(ctx context.Context, req *authzv1.GetRoleRequest) (*authzv1.GetRoleResponse, error) {
	found, err := h.store.Role(ctx, req.GetOrganizationId(), req.GetName())
	if err != nil {
		return nil, answer(err)
	}
	return &authzv1.GetRoleResponse{Role: roleMessage(found)}, nil
}

// ListRoles implements ashlar.authz.v1.RoleService.
func (h *Roles) ListRoles(ctx context.Context, req *authzv1.ListRolesRequest) (*authzv1.ListRolesResponse, error) {
	cursor, err := page.Open(req, "roles", req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Roles(ctx, req.GetOrganizationId(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, store.RoleKey)
	res := &authzv1.ListRolesResponse{NextPageToken: next}
	for _, r := range found {
		res.Roles = append(res.Roles, roleMessage(r))
	}
	return res, nil
}

// UpdateRole implements ashlar.authz.v1.RoleService.
func (h *Roles) UpdateRole(ctx context.Context, req *authzv1.UpdateRoleRequest) (*authzv1.UpdateRoleResponse, error) {
	role := req.GetRole()
	update, err := updateOf(role, req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	if err := valid(update.Permissions); err != nil {
		return nil, err
	}
	allow, err := heldBy(ctx, h.store, authn.FromContext(ctx).UserID, role.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if err := allow(update.Permissions); err != nil {
		return nil, err
	}
	changed, err := h.store.UpdateRole(ctx, role.GetOrganizationId(), role.GetName(), role.GetVersion(), update, allow)
	if err != nil {
		return nil, answer(err)
	}
	return &authzv1.UpdateRoleResponse{Role: roleMessage(changed)}, nil
}

// updateOf reads what an update mask (AIP-134) names; `*` means all that can be changed.
func updateOf(role *authzv1.Role, paths []string) (store.RoleUpdate, error) {
	var update store.RoleUpdate
	for _, path := range paths {
		if path == "description" || path == "*" {
			description := role.GetDescription()
			update.Description = &description
		}
		if path == "permissions" || path == "*" {
			if update.Permissions = role.GetPermissions(); len(update.Permissions) == 0 {
				return update, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest,
					"role.permissions is empty", rpcerror.Field("role.permissions", "must not be empty"))
			}
		}
		if path != "description" && path != "permissions" && path != "*" {
			return update, unsupportedMask(fmt.Sprintf("%q cannot be changed; description and permissions can", path))
		}
	}
	if len(paths) == 0 {
		return update, unsupportedMask("names no field")
	}
	return update, nil
}

func unsupportedMask(what string) error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonUnsupportedUpdateMask, "update_mask: "+what, rpcerror.Field("update_mask", what))
}

// DeleteRole implements ashlar.authz.v1.RoleService.
func (h *Roles) DeleteRole(ctx context.Context, req *authzv1.DeleteRoleRequest) (*authzv1.DeleteRoleResponse, error) {
	allow, err := heldBy(ctx, h.store, authn.FromContext(ctx).UserID, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if err := h.store.DeleteRole(ctx, req.GetOrganizationId(), req.GetName(), req.GetVersion(), allow); err != nil {
		return nil, answer(err)
	}
	return &authzv1.DeleteRoleResponse{}, nil
}

func roleMessage(r *ent.Role) *authzv1.Role {
	return &authzv1.Role{
		OrganizationId: r.OrganizationID, Name: r.Name, Description: r.Description, Permissions: r.Permissions, Module: r.Module,
		CreatedAt: timestamppb.New(r.CreatedAt), UpdatedAt: timestamppb.New(r.UpdatedAt), Removed: r.Removed,
		Version: r.Version,
	}
}
