package store

import (
	"context"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/grant"
)

// Grant gives a person a role somewhere; who holds it there already keeps it as it is.
func (s *Store) Grant(ctx context.Context, userID string, r *ent.Role, organization string) (*ent.Grant, error) {
	if r.Removed {
		return nil, ErrRoleRemoved
	}
	var granted *ent.Grant
	err := s.change(ctx, func(tx *ent.Tx) error {
		var err error
		granted, err = findGrant(ctx, tx.Grant, userID, r.ID, organization)
		if err == nil {
			audit.MarkRecorded(ctx)
			return nil
		}
		if !ent.IsNotFound(err) {
			return err
		}
		granted, err = tx.Grant.Create().SetID(id.New(id.Grant)).SetUserID(userID).SetRoleID(r.ID).SetOrganizationID(organization).Save(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, grantChange("grant.create", userID, r.Name, organization))
	})
	if ent.IsConstraintError(err) {
		// Either somebody granted the same at the same time, or deleted the role.
		granted, err = findGrant(ctx, s.client.Grant, userID, r.ID, organization)
		if ent.IsNotFound(err) {
			return nil, ErrRoleNotFound
		}
		audit.MarkRecorded(ctx)
	}
	return granted, err
}

// Revoke takes a role from a person; who does not hold it stays without.
func (s *Store) Revoke(ctx context.Context, userID string, r *ent.Role, organization string) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		n, err := tx.Grant.Delete().Where(grant.UserID(userID), grant.RoleID(r.ID), grant.OrganizationID(organization)).Exec(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			audit.MarkRecorded(ctx)
			return nil
		}
		return s.trail.Append(ctx, tx, grantChange("grant.delete", userID, r.Name, organization))
	})
}

// RevokeAll takes all roles that a person holds in an organization, if all may be taken. It fails with ErrLastHolder
// where kept, unless it is empty, is among them and nobody else holds it there.
func (s *Store) RevokeAll(ctx context.Context, userID, organization, kept string, allow Allow) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		held, err := tx.Grant.Query().Where(grant.UserID(userID), grant.OrganizationID(organization)).WithRole().All(ctx)
		if err != nil {
			return err
		}
		for _, g := range held {
			if err := allow(g.Edges.Role.Permissions); err != nil {
				return err
			}
			if g.Edges.Role.Name != kept {
				continue
			}
			if err := s.othersHold(ctx, tx, g); err != nil {
				return err
			}
		}
		for _, g := range held {
			n, err := tx.Grant.Delete().Where(grant.ID(g.ID)).Exec(ctx)
			if err != nil {
				return err
			}
			if n == 0 {
				continue // somebody else has just taken it
			}
			if err := s.trail.Append(ctx, tx, grantChange("grant.delete", userID, g.Edges.Role.Name, organization)); err != nil {
				return err
			}
		}
		return nil
	})
}

// othersHold fails where a grant is the last of its role in its organization.
func (s *Store) othersHold(ctx context.Context, tx *ent.Tx, g *ent.Grant) error {
	// Two holders who remove each other must not both find the other.
	if err := s.lock(ctx, tx, lockRole, g.RoleID); err != nil {
		return err
	}
	others, err := tx.Grant.Query().Where(grant.RoleID(g.RoleID), grant.OrganizationID(g.OrganizationID), grant.IDNEQ(g.ID)).Exist(ctx)
	if err == nil && !others {
		err = ErrLastHolder
	}
	return err
}

// Grants returns up to limit grants in an organization whose ids come after the given one, with their roles, oldest
// first; with a person, only that person's.
func (s *Store) Grants(ctx context.Context, organization, userID, after string, limit int) ([]*ent.Grant, error) {
	page := keyset.Page{Within: []keyset.Fixed{{Column: grant.FieldOrganizationID, Value: organization}}, Key: grant.FieldID, After: after}
	if userID != "" {
		page.Within = append(page.Within, keyset.Fixed{Column: grant.FieldUserID, Value: userID})
	}
	return s.client.Grant.Query().Where(page.Narrow()).Limit(limit).WithRole().All(ctx)
}

func findGrant(ctx context.Context, grants *ent.GrantClient, userID, roleID, organization string) (*ent.Grant, error) {
	return grants.Query().Where(grant.UserID(userID), grant.RoleID(roleID), grant.OrganizationID(organization)).Only(ctx)
}

func grantChange(action, userID, role, organization string) audit.Change {
	return audit.Change{Action: action, Resource: userID, Organization: organization, Attributes: map[string]string{"role": role}}
}
