package store

import (
	"context"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/identity/ent"
	"ashlar.dev/services/identity/ent/membership"
	"ashlar.dev/services/identity/ent/organization"
)

// NewOrganization is what an organization is made from.
type NewOrganization struct {
	ID, DisplayName string
	// OwnerID is its first member.
	OwnerID string
	// RequestKey makes creating idempotent where it is not empty.
	RequestKey string
}

// CreateOrganization adds an organization with its first member. With a request key that is there already it returns
// that organization.
func (s *Store) CreateOrganization(ctx context.Context, n NewOrganization) (*ent.Organization, error) {
	var created *ent.Organization
	err := s.change(ctx, func(tx *ent.Tx) error {
		var err error
		created, err = tx.Organization.Create().SetID(n.ID).SetDisplayName(n.DisplayName).
			SetNillableRequestKey(optional(n.RequestKey)).Save(ctx)
		if err != nil {
			return err
		}
		err = tx.Membership.Create().SetID(id.New(membershipKind)).SetOrganizationID(n.ID).SetUserID(n.OwnerID).Exec(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "organization.create", Resource: n.ID, Organization: n.ID, Attributes: map[string]string{"display_name": n.DisplayName},
		})
	})
	if ent.IsConstraintError(err) && n.RequestKey != "" {
		return s.OrganizationByRequest(ctx, n.RequestKey)
	}
	return created, err
}

// OrganizationByRequest returns the organization that was created under a request key.
func (s *Store) OrganizationByRequest(ctx context.Context, requestKey string) (*ent.Organization, error) {
	found, err := s.client.Organization.Query().Where(organization.RequestKey(requestKey)).Only(ctx)
	if err == nil {
		audit.MarkRecorded(ctx)
	}
	return found, translate(err)
}

// Organization returns an organization by id.
func (s *Store) Organization(ctx context.Context, organizationID string) (*ent.Organization, error) {
	found, err := s.client.Organization.Get(ctx, organizationID)
	return found, translate(err)
}

// Joined is an organization that somebody is a member of.
type Joined struct {
	*ent.Organization

	// MembershipID sorts in the order of joining.
	MembershipID string
}

// OrganizationsOf returns up to limit organizations of a member whose memberships come after the given one, in the
// order of joining.
func (s *Store) OrganizationsOf(ctx context.Context, userID, after string, limit int) ([]Joined, error) {
	page := keyset.Page{Within: []keyset.Fixed{{Column: membership.FieldUserID, Value: userID}}, Key: membership.FieldID, After: after}
	memberships, err := s.client.Membership.Query().Where(page.Narrow()).Limit(limit).All(ctx)
	if err != nil || len(memberships) == 0 {
		return nil, err
	}
	ids := make([]string, len(memberships))
	for i, m := range memberships {
		ids[i] = m.OrganizationID
	}
	found, err := s.client.Organization.Query().Where(organization.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*ent.Organization, len(found))
	for _, o := range found {
		byID[o.ID] = o
	}
	joined := make([]Joined, len(memberships))
	for i, m := range memberships {
		joined[i] = Joined{Organization: byID[m.OrganizationID], MembershipID: m.ID}
	}
	return joined, nil
}

// RenameOrganization changes how an organization is called. Where version is not zero and not the present one it fails with
// ErrChanged.
func (s *Store) RenameOrganization(ctx context.Context, organizationID string, version int64, displayName string) (*ent.Organization, error) {
	var changed *ent.Organization
	err := s.change(ctx, func(tx *ent.Tx) error {
		if err := open(ctx, tx, organizationID); err != nil {
			return err
		}
		update := tx.Organization.Update().Where(organization.ID(organizationID)).SetDisplayName(displayName).AddVersion(1)
		if version != 0 {
			update.Where(organization.Version(version))
		}
		n, err := update.Save(ctx)
		if err != nil {
			return err
		}
		if changed, err = tx.Organization.Get(ctx, organizationID); err != nil {
			return err
		}
		if n == 0 {
			return ErrChanged
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "organization.update", Resource: organizationID, Organization: organizationID,
			Attributes: map[string]string{"display_name": displayName},
		})
	})
	return changed, err
}

// SetOrganizationDeactivated closes an organization or opens it again; where it is so already, nothing changes.
func (s *Store) SetOrganizationDeactivated(ctx context.Context, organizationID string, deactivated bool) (*ent.Organization, error) {
	var changed *ent.Organization
	err := s.change(ctx, func(tx *ent.Tx) error {
		n, err := tx.Organization.Update().
			Where(organization.ID(organizationID), organization.Deactivated(!deactivated)).
			SetDeactivated(deactivated).AddVersion(1).Save(ctx)
		if err != nil {
			return err
		}
		if changed, err = tx.Organization.Get(ctx, organizationID); err != nil {
			return err
		}
		if n == 0 {
			audit.MarkRecorded(ctx)
			return nil
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: activation("organization", deactivated), Resource: organizationID, Organization: organizationID,
		})
	})
	return changed, err
}

// CheckOpen fails where an organization does not exist or is deactivated.
func (s *Store) CheckOpen(ctx context.Context, organizationID string) error {
	found, err := s.client.Organization.Get(ctx, organizationID)
	if err != nil {
		return translate(err)
	}
	return checkOpen(found)
}

// open is CheckOpen in a transaction.
func open(ctx context.Context, tx *ent.Tx, organizationID string) error {
	found, err := tx.Organization.Get(ctx, organizationID)
	if err != nil {
		return err
	}
	return checkOpen(found)
}

func checkOpen(o *ent.Organization) error {
	if o.Deactivated {
		return ErrOrganizationDeactivated
	}
	return nil
}
