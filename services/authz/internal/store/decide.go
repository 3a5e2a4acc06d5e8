package store

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/grant"
	"ashlar.dev/services/authz/ent/predicate"
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
	roles, err := s.client.Role.Query().Where(heldBy(userID, places(organization))).Select(role.FieldPermissions).All(ctx)
	if err != nil {
		return nil, err
	}
	return permissionsOf(roles), nil
}

// heldBy finds roles from the grants of a person, which are few. Asked whether a grant exists, SQLite would look at all
// roles. A role that is granted twice is found twice.
func heldBy(userID string, places []string) predicate.Role {
	return func(selector *sql.Selector) {
		grants := sql.Table(grant.Table)
		in := make([]any, len(places))
		for i, place := range places {
			in[i] = place
		}
		selector.Join(grants).On(selector.C(role.FieldID), grants.C(grant.FieldRoleID))
		selector.Where(sql.And(sql.EQ(grants.C(grant.FieldUserID), userID), sql.In(grants.C(grant.FieldOrganizationID), in...)))
	}
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
