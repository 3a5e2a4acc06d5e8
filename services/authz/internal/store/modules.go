package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/permission"
	"ashlar.dev/services/authz/ent/role"
)

// RegisterModule makes known what a module brings. What it brought before and does not any more is marked, not
// deleted: during an upgrade, an older instance may still use it. Where nothing is new, nothing is written.
func (s *Store) RegisterModule(ctx context.Context, module string, permissions []*kernelv1.Permission, roles []*kernelv1.Role) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		p, err := registerPermissions(ctx, tx, module, permissions)
		if err != nil {
			return err
		}
		r, err := registerRoles(ctx, tx, module, roles)
		if err != nil {
			return err
		}
		if !p && !r {
			return nil
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "module.register", Resource: module, Actor: &authn.Principal{Kind: authn.Service, ServiceName: module},
		})
	})
}

// noteChange notes a change, unless another instance of the module, that registers at the same time, has made it: ent returns
// sql.ErrNoRows where an insert met what is there and did nothing.
func noteChange(err error, changed *bool) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	*changed = *changed || err == nil
	return err
}

func registerPermissions(ctx context.Context, tx *ent.Tx, module string, permissions []*kernelv1.Permission) (changed bool, err error) {
	existing, err := tx.Permission.Query().Where(permission.Module(module)).All(ctx)
	if err != nil {
		return false, err
	}
	old := make(map[string]*ent.Permission, len(existing))
	for _, p := range existing {
		old[p.ID] = p
	}
	for _, p := range permissions {
		was, ok := old[p.GetId()]
		delete(old, p.GetId())
		switch {
		case !ok:
			err = tx.Permission.Create().SetID(p.GetId()).SetModule(module).SetDescription(p.GetDescription()).
				OnConflictColumns(permission.FieldID).DoNothing().Exec(ctx)
		case was.Removed || was.Description != p.GetDescription():
			err = tx.Permission.UpdateOne(was).SetDescription(p.GetDescription()).SetRemoved(false).Exec(ctx)
		default:
			continue
		}
		if err = noteChange(err, &changed); err != nil {
			return false, err
		}
	}
	for _, p := range old {
		if p.Removed {
			continue
		}
		if err := tx.Permission.UpdateOne(p).SetRemoved(true).Exec(ctx); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

func registerRoles(ctx context.Context, tx *ent.Tx, module string, roles []*kernelv1.Role) (changed bool, err error) {
	existing, err := tx.Role.Query().Where(role.Module(module)).All(ctx)
	if err != nil {
		return false, err
	}
	old := make(map[string]*ent.Role, len(existing))
	for _, r := range existing {
		old[r.Name] = r
	}
	for _, r := range roles {
		was, ok := old[r.GetName()]
		delete(old, r.GetName())
		switch {
		case !ok:
			err = tx.Role.Create().SetID(id.New(roleKind)).SetName(r.GetName()).SetModule(module).
				SetDescription(r.GetDescription()).SetPermissions(r.GetPermissions()).
				OnConflictColumns(role.FieldName, role.FieldOrganizationID).DoNothing().Exec(ctx)
		case was.Removed || was.Description != r.GetDescription() || !slices.Equal(was.Permissions, r.GetPermissions()):
			err = tx.Role.UpdateOne(was).SetDescription(r.GetDescription()).SetPermissions(r.GetPermissions()).SetRemoved(false).Exec(ctx)
		default:
			continue
		}
		if err = noteChange(err, &changed); err != nil {
			return false, err
		}
	}
	for _, r := range old {
		if r.Removed {
			continue
		}
		if err := tx.Role.UpdateOne(r).SetRemoved(true).Exec(ctx); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// Permissions returns up to limit permissions whose ids come after the given one.
func (s *Store) Permissions(ctx context.Context, after string, limit int) ([]*ent.Permission, error) {
	return s.client.Permission.Query().Where(permission.IDGT(after)).Order(permission.ByID()).Limit(limit).All(ctx)
}
