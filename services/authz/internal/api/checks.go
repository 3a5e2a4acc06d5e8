package api

import (
	"context"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/authz/internal/store"
)

// Checks implements ashlar.authz.v1.CheckService.
type Checks struct{ store *store.Store }

// NewChecks returns the handler over a store.
func NewChecks(s *store.Store) *Checks { return &Checks{s} }

// Check implements ashlar.authz.v1.CheckService.
func (h *Checks) Check(ctx context.Context, req *authzv1.CheckRequest) (*authzv1.CheckResponse, error) {
	allowed, err := h.store.Decide(ctx, authn.FromContext(ctx).UserID, req.GetPermission(), req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	return &authzv1.CheckResponse{Allowed: allowed}, nil
}
