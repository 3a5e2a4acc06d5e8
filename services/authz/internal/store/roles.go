package store

import (
	"context"
	"errors"
	"strings"

	"entgo.io/ent/dialect"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/grant"
	"ashlar.dev/services/authz/ent/permission"
	"ashlar.dev/services/authz/ent/role"
)

const roleKind id.Kind = "rol"

// NewRole is what a role is made from.
type NewRole struct {
	Organization, Name, Description string
	Permissions                     []string
	// RequestKey makes creating idempotent where it is not empty.
	RequestKey string
}

// CreateRole adds a role that people made. A role for everywhere of the same name is in its way, too. With a request key that
// is there already it returns that role, and changes nothing.
func (s *Store) CreateRole(ctx context.Context, n NewRole) (*ent.Role, error) {
	var created *ent.Role
	err := s.change(ctx, func(tx *ent.Tx) error {
		if err := known(ctx, tx, n.Permissions); err != nil {
			return err
		}
		taken, err := tx.Role.Query().Where(role.Name(n.Name), role.OrganizationIDIn(places(n.Organization)...)).Exist(ctx)
		if err != nil {
			return err
		}
		if taken {
			return ErrRoleExists
		}
		created, err = tx.Role.Create().SetID(id.New(roleKind)).SetOrganizationID(n.Organization).SetName(n.Name).
			SetDescription(n.Description).SetPermissions(n.Permissions).SetNillableRequestKey(optional(n.RequestKey)).Save(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, roleChange("role.create", created))
	})
	if ent.IsConstraintError(err) {
		err = ErrRoleExists
	}
	if errors.Is(err, ErrRoleExists) && n.RequestKey != "" {
		if found, asked := s.roleByRequest(ctx, n.RequestKey); !ent.IsNotFound(asked) {
			return found, asked
		}
	}
	return created, err
}

// roleByRequest returns the role that was created under a request key.
func (s *Store) roleByRequest(ctx context.Context, requestKey string) (*ent.Role, error) {
	found, err := s.client.Role.Query().Where(role.RequestKey(requestKey)).Only(ctx)
	if err == nil {
		audit.MarkRecorded(ctx)
	}
	return found, err
}

// optional returns nil for an empty string, which must not be unique.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Role returns the role of a name that can be granted in an organization: its own, or the one for everywhere.
func (s *Store) Role(ctx context.Context, organization, name string) (*ent.Role, error) {
	return findRole(ctx, s.client.Role, organization, name)
}

func findRole(ctx context.Context, roles *ent.RoleClient, organization, name string) (*ent.Role, error) {
	found, err := roles.Query().Where(role.Name(name), role.OrganizationIDIn(places(organization)...)).
		// The organization's own first.
		Order(ent.Desc(role.FieldOrganizationID)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, ErrRoleNotFound
	}
	return found, err
}

// Roles returns up to limit roles that can be granted in an organization and whose RoleKey comes after the given one.
func (s *Store) Roles(ctx context.Context, organization, after string, limit int) ([]*ent.Role, error) {
	name, owner, _ := strings.Cut(after, "/")
	var ids []string
	// One query for each place: an index has the order of the answer within a place only.
	for _, place := range places(organization) {
		page := keyset.Page{
			Within: []keyset.Fixed{{Column: role.FieldOrganizationID, Value: place}}, Key: role.FieldName, After: name, Inclusive: place > owner,
		}
		found, err := s.client.Role.Query().Where(page.Narrow()).Limit(limit).IDs(ctx)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	// Which of them come first the database has to say: it may sort names otherwise than we would.
	return s.client.Role.Query().Where(role.IDIn(ids...)).Order(role.ByName(), role.ByOrganizationID()).Limit(limit).All(ctx)
}

// RoleKey is the place of a role in the order of Roles.
func RoleKey(r *ent.Role) string { return r.Name + "/" + r.OrganizationID }

// RoleUpdate is what changes about a role; nil leaves it.
type RoleUpdate struct {
	Description *string
	Permissions []string
}

// UpdateRole changes a role that people made, if what it permits so far may be changed. Where version is not zero and not the
// present one it fails with ErrRoleChanged.
func (s *Store) UpdateRole(ctx context.Context, organization, name string, version int64, update RoleUpdate, allow Allow) (*ent.Role, error) {
	var changed *ent.Role
	err := s.change(ctx, func(tx *ent.Tx) error {
		found, err := s.own(ctx, tx, organization, name, version)
		if err != nil {
			return err
		}
		if err := allow(found.Permissions); err != nil {
			return err
		}
		change := tx.Role.UpdateOne(found).Where(role.Version(found.Version)).AddVersion(1).SetNillableDescription(update.Description)
		if update.Permissions != nil {
			if err := known(ctx, tx, update.Permissions); err != nil {
				return err
			}
			change.SetPermissions(update.Permissions)
		}
		changed, err = change.Save(ctx)
		if ent.IsNotFound(err) {
			return ErrRoleChanged
		}
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, roleChange("role.update", changed))
	})
	return changed, err
}

// maxGrantsOfDeleted bounds the events of one deletion.
const maxGrantsOfDeleted = 1000

// DeleteRole deletes a role that people made and that may be taken, and all grants of it: up to 1,000, otherwise it fails
// with ErrRoleInUse. Where version is not zero and not the present one it fails with ErrRoleChanged.
func (s *Store) DeleteRole(ctx context.Context, organization, name string, version int64, allow Allow) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		found, err := s.own(ctx, tx, organization, name, version)
		if err != nil {
			return err
		}
		if err := allow(found.Permissions); err != nil {
			return err
		}
		if err := s.recordGrantsOf(ctx, tx, found); err != nil {
			return err
		}
		if err := tx.Role.DeleteOne(found).Exec(ctx); err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, roleChange("role.delete", found))
	})
}

// recordGrantsOf records that all who hold a role lose it. The role must be locked: nobody may be granted it in between,
// and lose it unseen.
func (s *Store) recordGrantsOf(ctx context.Context, tx *ent.Tx, r *ent.Role) error {
	grants, err := tx.Grant.Query().Where(grant.RoleID(r.ID)).Limit(maxGrantsOfDeleted + 1).All(ctx)
	if err != nil {
		return err
	}
	if len(grants) > maxGrantsOfDeleted {
		return ErrRoleInUse
	}
	for _, g := range grants {
		if err := s.trail.Append(ctx, tx, grantChange("grant.delete", g.UserID, r.Name, g.OrganizationID)); err != nil {
			return err
		}
	}
	return nil
}

// own returns a role that belongs to exactly this organization and that people made, and keeps others from changing it, and
// from granting it, until the transaction ends. Where version is not zero and not the present one it fails with
// ErrRoleChanged.
func (s *Store) own(ctx context.Context, tx *ent.Tx, organization, name string, version int64) (*ent.Role, error) {
	query := tx.Role.Query().Where(role.Name(name), role.OrganizationID(organization))
	if s.db.Dialect == dialect.Postgres {
		// On SQLite transactions take turns anyway.
		query.ForUpdate()
	}
	found, err := query.Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, ErrRoleNotFound
	case err != nil:
		return nil, err
	case found.Module != "":
		return nil, ErrRoleOfModule
	case version != 0 && version != found.Version:
		return nil, ErrRoleChanged
	}
	return found, nil
}

// known fails where a permission, that is no pattern, does not exist.
func known(ctx context.Context, tx *ent.Tx, permissions []string) error {
	for _, p := range permissions {
		if strings.HasSuffix(p, "*") {
			continue
		}
		exists, err := tx.Permission.Query().Where(permission.ID(p), permission.Removed(false)).Exist(ctx)
		if err != nil {
			return err
		}
		if !exists {
			return UnknownPermissionError(p)
		}
	}
	return nil
}

// UnknownPermissionError names a permission that does not exist; it matches ErrUnknownPermission.
type UnknownPermissionError string

// Error implements error.
func (e UnknownPermissionError) Error() string { return "no such permission: " + string(e) }

// Is implements the protocol of errors.Is.
func (UnknownPermissionError) Is(target error) bool { return target == ErrUnknownPermission }

// maxAttribute bounds an attribute of an audit event.
const maxAttribute = 1024

func roleChange(action string, r *ent.Role) audit.Change {
	permissions := strings.Join(r.Permissions, " ")
	if len(permissions) > maxAttribute {
		permissions = permissions[:maxAttribute-len(" …")] + " …"
	}
	return audit.Change{
		Action: action, Resource: r.Name, Organization: r.OrganizationID, Attributes: map[string]string{"permissions": permissions},
	}
}
