package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/Masterminds/semver/v3"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/authz/ent"
	"ashlar.dev/services/authz/ent/module"
	"ashlar.dev/services/authz/ent/permission"
	"ashlar.dev/services/authz/ent/role"
)

// Registration is what a version of a module brings.
type Registration struct {
	// Version is a semantic version, or empty, which is older than any.
	Module, Version string
	Permissions     []*kernelv1.Permission
	Roles           []*kernelv1.Role
}

// RegisterModule makes known what a module brings. What it brought before and does not any more is marked, not
// deleted: during an upgrade, an older instance may still use it. Where nothing is new, nothing is written.
//
// An instance of an older version than the newest that has registered, which starts late during an upgrade, takes nothing
// back: of what it brings, only what nobody knows yet is added, and marked as removed, because the newest version does
// not bring it.
//
// Two builds of one version that bring different things take turns in overwriting each other, because none is newer. That
// is told in the log, and on the record.
func (s *Store) RegisterModule(ctx context.Context, r Registration) error {
	sameVersion := false
	err := s.change(ctx, func(tx *ent.Tx) error {
		sameVersion = false // of an attempt that was given up
		newest, err := s.newest(ctx, tx, r.Module)
		if err != nil {
			return err
		}
		late := older(r.Version, newest)
		permissions, err := registerPermissions(ctx, tx, r, late)
		if err != nil {
			return err
		}
		roles, err := registerRoles(ctx, tx, r, late)
		if err != nil {
			return err
		}
		newer := !late && r.Version != newest
		if newer {
			if err := tx.Module.UpdateOneID(r.Module).SetVersion(r.Version).Exec(ctx); err != nil {
				return err
			}
		}
		if !permissions && !roles && !newer {
			return nil
		}
		attributes := map[string]string{"version": r.Version}
		if sameVersion = r.Version == newest && newest != ""; sameVersion {
			attributes["same_version"] = "true"
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "module.register", Resource: r.Module, Attributes: attributes,
			Actor: &authn.Principal{Kind: authn.Service, ServiceName: r.Module},
		})
	})
	if err == nil && sameVersion {
		s.log.WarnContext(ctx, "a module has registered other permissions or roles than before with the same version: "+
			"raise it, or instances overwrite each other's", "module", r.Module, "version", r.Version)
	}
	return err
}

// newest returns the newest version of a module that has registered, and keeps its other instances waiting until the
// transaction ends.
func (s *Store) newest(ctx context.Context, tx *ent.Tx, name string) (string, error) {
	err := tx.Module.Create().SetID(name).OnConflictColumns(module.FieldID).DoNothing().Exec(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) { // it is there already
		return "", err
	}
	if err := s.lock(ctx, tx, lockModule, name); err != nil {
		return "", err
	}
	m, err := tx.Module.Get(ctx, name)
	if err != nil {
		return "", err
	}
	return m.Version, nil
}

// older tells whether a version comes before another. One that cannot be read comes before all that can.
func older(version, than string) bool {
	b, err := semver.StrictNewVersion(than)
	if err != nil {
		return false
	}
	a, err := semver.StrictNewVersion(version)
	return err != nil || a.LessThan(b)
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

func registerPermissions(ctx context.Context, tx *ent.Tx, registration Registration, late bool) (changed bool, err error) {
	existing, err := tx.Permission.Query().Where(permission.Module(registration.Module)).All(ctx)
	if err != nil {
		return false, err
	}
	old := make(map[string]*ent.Permission, len(existing))
	for _, p := range existing {
		old[p.ID] = p
	}
	for _, p := range registration.Permissions {
		was, ok := old[p.GetId()]
		delete(old, p.GetId())
		switch {
		case !ok:
			err = tx.Permission.Create().SetID(p.GetId()).SetModule(registration.Module).SetDescription(p.GetDescription()).
				SetRemoved(late).OnConflictColumns(permission.FieldID).DoNothing().Exec(ctx)
		case late:
			continue
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
		if late || p.Removed {
			continue
		}
		if err := tx.Permission.UpdateOne(p).SetRemoved(true).Exec(ctx); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

func registerRoles(ctx context.Context, tx *ent.Tx, registration Registration, late bool) (changed bool, err error) {
	existing, err := tx.Role.Query().Where(role.Module(registration.Module)).All(ctx)
	if err != nil {
		return false, err
	}
	old := make(map[string]*ent.Role, len(existing))
	for _, r := range existing {
		old[r.Name] = r
	}
	for _, r := range registration.Roles {
		was, ok := old[r.GetName()]
		delete(old, r.GetName())
		switch {
		case !ok:
			err = tx.Role.Create().SetID(id.New(roleKind)).SetName(r.GetName()).SetModule(registration.Module).
				SetDescription(r.GetDescription()).SetPermissions(r.GetPermissions()).SetRemoved(late).
				OnConflictColumns(role.FieldName, role.FieldOrganizationID).DoNothing().Exec(ctx)
		case late:
			continue
		case was.Removed || was.Description != r.GetDescription() || !slices.Equal(was.Permissions, r.GetPermissions()):
			err = tx.Role.UpdateOne(was).SetDescription(r.GetDescription()).SetPermissions(r.GetPermissions()).SetRemoved(false).
				AddVersion(1).Exec(ctx)
		default:
			continue
		}
		if err = noteChange(err, &changed); err != nil {
			return false, err
		}
	}
	for _, r := range old {
		if late || r.Removed {
			continue
		}
		if err := tx.Role.UpdateOne(r).SetRemoved(true).AddVersion(1).Exec(ctx); err != nil {
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
