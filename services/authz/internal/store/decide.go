package store

import (
	"context"

	"entgo.io/ent/dialect"
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

// heldBy finds roles by the grants of a person, which are read first: neither database may begin with the roles, whatever it
// guesses about how many there are of each. PostgreSQL guesses wrong for people with very many grants elsewhere, because
// it takes a person and a place for independent; so the ids reach it as an array, of which it expects few, and each place has
// a query of its own, because with an IN it would read the person's grants everywhere.
func heldBy(userID string, places []string) predicate.Role {
	return func(selector *sql.Selector) {
		var ids *sql.Selector
		for _, place := range places {
			grants := sql.Dialect(selector.Dialect()).Table(grant.Table)
			there := sql.Dialect(selector.Dialect()).Select(grants.C(grant.FieldRoleID)).From(grants).
				Where(sql.And(sql.EQ(grants.C(grant.FieldUserID), userID), sql.EQ(grants.C(grant.FieldOrganizationID), place)))
			if ids == nil {
				ids = there
			} else {
				ids.UnionAll(there)
			}
		}
		if selector.Dialect() != dialect.Postgres {
			selector.Where(sql.In(selector.C(role.FieldID), ids))
			return
		}
		selector.Where(sql.P(func(b *sql.Builder) {
			b.Ident(selector.C(role.FieldID)).WriteString(" = ANY(ARRAY").Wrap(func(b *sql.Builder) { b.Join(ids) }).WriteString(")")
		}))
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
