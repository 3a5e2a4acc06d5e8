package store

import (
	"context"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/identity/ent"
	"ashlar.dev/services/identity/ent/membership"
)

const membershipKind id.Kind = "mem"

// AddMember adds a person to an organization; who is a member already stays as it is.
func (s *Store) AddMember(ctx context.Context, organizationID, userID string) (*ent.Membership, error) {
	var member *ent.Membership
	err := s.change(ctx, func(tx *ent.Tx) error {
		if err := open(ctx, tx, organizationID); err != nil {
			return err
		}
		if _, err := tx.User.Get(ctx, userID); ent.IsNotFound(err) {
			return ErrUserNotFound
		} else if err != nil {
			return err
		}
		var err error
		member, err = find(ctx, tx.Membership, organizationID, userID)
		if err == nil {
			audit.MarkRecorded(ctx)
			return nil
		}
		if !ent.IsNotFound(err) {
			return err
		}
		member, err = tx.Membership.Create().SetID(id.New(membershipKind)).SetOrganizationID(organizationID).SetUserID(userID).Save(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: "member.add", Resource: userID, Organization: organizationID})
	})
	if ent.IsConstraintError(err) {
		// Somebody else added the same person at the same time.
		audit.MarkRecorded(ctx)
		member, err = find(ctx, s.client.Membership, organizationID, userID)
	}
	return member, translate(err)
}

// RemoveMember removes a person from an organization; who is none stays none.
func (s *Store) RemoveMember(ctx context.Context, organizationID, userID string) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		if err := open(ctx, tx, organizationID); err != nil {
			return err
		}
		n, err := tx.Membership.Delete().Where(membership.OrganizationID(organizationID), membership.UserID(userID)).Exec(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			audit.MarkRecorded(ctx)
			return nil
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: "member.remove", Resource: userID, Organization: organizationID})
	})
}

// Members returns up to limit members of an organization whose memberships come after the given one, in the order of
// joining.
func (s *Store) Members(ctx context.Context, organizationID, after string, limit int) ([]*ent.Membership, error) {
	page := keyset.Page{
		Within: []keyset.Fixed{{Column: membership.FieldOrganizationID, Value: organizationID}}, Key: membership.FieldID, After: after,
	}
	return s.client.Membership.Query().Where(page.Narrow()).Limit(limit).All(ctx)
}

func find(ctx context.Context, memberships *ent.MembershipClient, organizationID, userID string) (*ent.Membership, error) {
	return memberships.Query().Where(membership.OrganizationID(organizationID), membership.UserID(userID)).Only(ctx)
}
