package api

import (
	"context"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gen/go/permissions/notesperms"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/notes/internal/store"
)

// holds tells whether the caller holds a permission in an organization. Where nobody can tell, the call is refused.
func holds(ctx context.Context, decider access.Decider, permission notesperms.Permission, organizationID string) (bool, error) {
	held, err := decider.Decide(ctx, authn.FromContext(ctx).UserID, string(permission), organizationID)
	if err != nil {
		return false, rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonPolicyUnavailable,
			"it cannot be decided at the moment what you may see: try again", rpcerror.Cause(err))
	}
	return held, nil
}

// viewer returns the caller as a person in an organization.
func (h *Notes) viewer(ctx context.Context, organizationID string) (store.Viewer, error) {
	all, err := holds(ctx, h.decider, notesperms.NoteManage, organizationID)
	return store.Viewer{OrganizationID: organizationID, UserID: authn.FromContext(ctx).UserID, All: all}, err
}
