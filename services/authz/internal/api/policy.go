package api

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect/v2"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/permissions/authzperms"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/internal/store"
)

// Policy implements ashlar.authz.v1.PolicyService.
type Policy struct{ store *store.Store }

// NewPolicy returns the handler over a store.
func NewPolicy(s *store.Store) *Policy { return &Policy{s} }

// RegisterModule implements ashlar.authz.v1.PolicyService.
func (h *Policy) RegisterModule(ctx context.Context, req *authzv1.RegisterModuleRequest) (*authzv1.RegisterModuleResponse, error) {
	if err := checkModule(authn.FromContext(ctx).ServiceName, req); err != nil {
		return nil, err
	}
	err := h.store.RegisterModule(ctx, store.Registration{
		Module: req.GetModule(), Version: req.GetVersion(), Permissions: req.GetPermissions(), Roles: req.GetRoles(),
	})
	if err != nil {
		return nil, answer(err)
	}
	return &authzv1.RegisterModuleResponse{}, nil
}

// checkModule refuses what does not belong to the calling service.
func checkModule(caller string, req *authzv1.RegisterModuleRequest) error {
	module := req.GetModule()
	if module != caller {
		return foreign("module", module, caller)
	}
	if req.GetVersion() != "" && !manifest.ValidVersion(req.GetVersion()) {
		return rpcerror.New(connect.CodeInvalidArgument, reasonInvalidVersion, "the version is no semantic version such as 1.0.0",
			rpcerror.Field("version", "no semantic version"))
	}
	prefix := module + "."
	for _, p := range req.GetPermissions() {
		if !strings.HasPrefix(p.GetId(), prefix) {
			return foreign("permission", p.GetId(), caller)
		}
		if !manifest.ValidPermission(p.GetId()) {
			return unknownPermission(p.GetId())
		}
	}
	for _, r := range req.GetRoles() {
		if !strings.HasPrefix(r.GetName(), prefix) {
			return foreign("role", r.GetName(), caller)
		}
		for _, p := range r.GetPermissions() {
			if !manifest.ValidPattern(p) {
				return unknownPermission(p)
			}
		}
	}
	return nil
}

func foreign(what, name, caller string) error {
	return rpcerror.New(connect.CodePermissionDenied, reasonForeignModule, fmt.Sprintf("%s %q does not belong to service %s", what, name, caller))
}

// Decide implements ashlar.authz.v1.PolicyService.
func (h *Policy) Decide(ctx context.Context, req *authzv1.DecideRequest) (*authzv1.DecideResponse, error) {
	allowed, err := h.store.Decide(ctx, req.GetUserId(), req.GetPermission(), req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	return &authzv1.DecideResponse{Allowed: allowed}, nil
}

// EnsureGrant implements ashlar.authz.v1.PolicyService.
func (h *Policy) EnsureGrant(ctx context.Context, req *authzv1.EnsureGrantRequest) (*authzv1.EnsureGrantResponse, error) {
	role, err := h.store.Role(ctx, "", req.GetRole())
	if err == nil && role.Module == "" {
		err = store.ErrRoleNotFound
	}
	if err != nil {
		return nil, answer(err)
	}
	if !mayEnsure(authn.FromContext(ctx).ServiceName, role, req.GetOrganizationId()) {
		return nil, foreign("role", role.Name, authn.FromContext(ctx).ServiceName)
	}
	if _, err := h.store.Grant(ctx, req.GetUserId(), role, req.GetOrganizationId()); err != nil {
		return nil, answer(err)
	}
	return &authzv1.EnsureGrantResponse{}, nil
}

// The one exception from the rule that a service gives the roles of its own module only: auth, which makes the first
// account, gives it the platform.
const (
	administratorService = "auth"
	administratorRole    = string(authzperms.RoleAdmin)
)

// mayEnsure tells whether a service may give people a module's role in an organization.
func mayEnsure(caller string, role *ent.Role, organization string) bool {
	if caller == administratorService && role.Name == administratorRole && organization == "" {
		return true
	}
	return role.Module == caller
}

// RevokeGrants implements ashlar.authz.v1.PolicyService.
func (h *Policy) RevokeGrants(ctx context.Context, req *authzv1.RevokeGrantsRequest) (*authzv1.RevokeGrantsResponse, error) {
	// A service that acts by itself may take anything.
	var allow store.Allow = func([]string) error { return nil }
	if person := authn.FromContext(ctx).OnBehalfOf; person != nil {
		var err error
		if allow, err = heldBy(ctx, h.store, person.UserID, req.GetOrganizationId()); err != nil {
			return nil, err
		}
	}
	if err := h.store.RevokeAll(ctx, req.GetUserId(), req.GetOrganizationId(), req.GetKeptRole(), allow); err != nil {
		return nil, answer(err)
	}
	return &authzv1.RevokeGrantsResponse{}, nil
}
