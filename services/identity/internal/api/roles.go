package api

import (
	"context"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/gen/go/permissions/identityperms"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/policy"
)

// ownerRole is what the creator of an organization holds in it.
const ownerRole = string(identityperms.RoleOwner)

// Roles gives and takes the roles that follow from membership.
type Roles struct {
	policy authzv1connect.PolicyServiceClient
}

// NewRoles returns roles that are kept by authz.
func NewRoles(clients *rpc.Clients) *Roles {
	return &Roles{policy: authzv1connect.NewPolicyServiceClient(clients.Client(policy.Service))}
}

func (r *Roles) makeOwner(ctx context.Context, userID, organizationID string) error {
	_, err := r.policy.EnsureGrant(ctx, &authzv1.EnsureGrantRequest{UserId: userID, Role: ownerRole, OrganizationId: organizationID})
	return err
}

// revokeAll takes all roles that a person holds in an organization. Authz refuses it where they exceed the caller's, and
// where nobody would own the organization any more.
func (r *Roles) revokeAll(ctx context.Context, userID, organizationID string) error {
	_, err := r.policy.RevokeGrants(ctx, &authzv1.RevokeGrantsRequest{
		UserId: userID, OrganizationId: organizationID, KeptRole: ownerRole,
	})
	switch rpcerror.Reason(err) {
	case reasonRoleExceedsCaller, reasonLastOwner:
		// What authz says of the caller, not of this service.
		return rpcerror.Forward(err)
	default:
		return err
	}
}
