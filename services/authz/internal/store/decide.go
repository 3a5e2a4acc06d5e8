package store

import (
	"context"

	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/grant"
	"ashlar.dev/services/authz/ent/role"
	"ashlar.dev/services/authz/internal/pattern"
)

// Decide tells whether a person holds a permission in an organization; with no organization, everywhere. It implements
// access.Decider.
func (s *Store) Decide(ctx context.Context, userID, permission, organization string) (bool, error) {
	held, err := s.Held(ctx, userID, organization)
	if err != nil {
		return false, err
	}
	return pattern.AnyCovers(held, permission), nil
}

// Held returns the patterns that a person holds in an organization, those held everywhere included.
func (s *Store) Held(ctx context.Context, userID, organization string) ([]string, error) {
	roles, err := s.client.Role.Query().
		Where(role.HasGrantsWith(grant.UserID(userID), grant.OrganizationIDIn(places(organization)...))).
		Select(role.FieldPermissions).All(ctx)
	if err != nil {
		return nil, err
	}
	return permissionsOf(roles), nil
}

// places are where what is granted counts in an organization.
func places(organization string) []string {
	if organization == "" {
		return []string{""}
	}
	return []string{organization, ""}
}

func permissionsOf(roles []*ent.Role) []string {
	var out []string
	for _, r := range roles {
		out = append(out, r.Permissions...)
	}
	return out
}
