package api

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/authz/internal/pattern"
	"ashlar.dev/services/authz/internal/store"
)

// valid refuses what is neither a permission nor a pattern.
func valid(permissions []string) error {
	for _, p := range permissions {
		if !manifest.ValidPattern(p) {
			return unknownPermission(p)
		}
	}
	return nil
}

// within refuses permissions that the caller does not hold in the organization: nobody can give or take what they do not
// have.
func within(ctx context.Context, s *store.Store, organization string, permissions []string) error {
	allow, err := heldBy(ctx, s, authn.FromContext(ctx).UserID, organization)
	if err != nil {
		return err
	}
	return allow(permissions)
}

// heldBy allows what a person holds in an organization at this moment.
func heldBy(ctx context.Context, s *store.Store, userID, organization string) (store.Allow, error) {
	held, err := s.Held(ctx, userID, organization)
	if err != nil {
		return nil, err
	}
	return func(permissions []string) error {
		missing, found := pattern.FirstUncovered(held, permissions)
		if !found {
			return nil
		}
		return rpcerror.New(connect.CodePermissionDenied, reasonRoleExceedsCaller,
			fmt.Sprintf("the role permits %s, which you do not hold there yourself", missing), rpcerror.Meta("permission", missing))
	}, nil
}
