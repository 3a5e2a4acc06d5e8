package store_test

import (
	"errors"
	"fmt"
	"testing"

	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/services/authz/internal/store"
	"ashlar.dev/services/authz/migrations"
)

// How many organizations and people there are beside the big ones.
const (
	organizations = 20_000
	people        = 200_000
)

func fill(sql plantest.SQL) []string {
	grant := func(number, user, organization string, n int) string {
		return fmt.Sprintf("INSERT INTO grants (id, created_at, updated_at, user_id, organization_id, role_id) SELECT %s, %s, %[2]s, %s, %s, %s FROM %s",
			sql.Text("grn_", number), sql.At("i"), user, organization, sql.Text("rol_", "i"), sql.Series(n))
	}
	role := func(number, name, organization, module string, n int) string {
		return fmt.Sprintf("INSERT INTO roles (id, created_at, updated_at, organization_id, name, description, permissions, module, removed) SELECT %s, %s, %[2]s, %s, %s, '', '[\"notes.note.read\"]', %s, false FROM %s",
			sql.Text("rol_", number), sql.At("i"), organization, sql.Text(name, "i"), module, sql.Series(n))
	}
	return []string{
		fmt.Sprintf("INSERT INTO permissions (id, module, description, removed) SELECT 'm' || (i %% 100) || '.thing.' || i, 'm' || (i %% 100), '', false FROM %s", sql.Series(2000)),
		role("i", "role.", sql.Spread("org_", organizations), "''", sql.Rows),
		role(fmt.Sprintf("i + %d", sql.Rows), "module.", "''", "'m' || (i % 100)", 1000),
		grant("i", sql.Text("usr_", fmt.Sprintf("i %% %d", people)), sql.Spread("org_", organizations), sql.Rows),
		// Some hold very much.
		grant(fmt.Sprintf("i + %d", sql.Rows), "'usr_"+plantest.Big+"'", sql.Text("org_", "i"), sql.Rows/10),
		grant(fmt.Sprintf("i + %d", 2*sql.Rows), sql.Text("usr_", "i"), "''", 1000),
	}
}

var errRefused = errors.New("refused")

func except(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func TestPlans(t *testing.T) {
	t.Parallel()
	plantest.Run(t, migrations.FS, fill, func(t *testing.T, p *plantest.Plans) {
		ctx, s := t.Context(), store.New(p.DB, nil, nil)
		const limit = 51
		for page, at := range map[string]int{"first": 0, "middle": p.Rows / 2, "last": p.Rows - 100} {
			for _, organization := range []string{"org_" + plantest.Big, plantest.Name("org_", 77), ""} {
				after := plantest.Name("role.", at) + "/" + organization
				if page == "first" {
					after = ""
				}
				p.Page(t, "Roles/"+organization+"/"+page, func() error { _, err := s.Roles(ctx, organization, after, limit); return err })
				for _, user := range []string{"", "usr_" + plantest.Big, plantest.Name("usr_", 78)} {
					p.Page(t, "Grants/"+organization+"/"+user+"/"+page, func() error {
						_, err := s.Grants(ctx, organization, user, plantest.Name("grn_", at), limit)
						return err
					})
				}
			}
		}
		for _, user := range []string{"usr_" + plantest.Big, plantest.Name("usr_", 78)} {
			for _, organization := range []string{"org_" + plantest.Big, plantest.Name("org_", 77), ""} {
				p.Always(t, "Held/"+organization+"/"+user, func() error { _, err := s.Held(ctx, user, organization); return err })
			}
		}
		p.Page(t, "Role", func() error { _, err := s.Role(ctx, "org_"+plantest.Big, plantest.Name("role.", 78)); return err })
		p.Page(t, "RevokeAll", func() error {
			err := s.RevokeAll(ctx, "usr_"+plantest.Big, plantest.Name("org_", 77), "", func([]string) error { return errRefused })
			return except(err, errRefused)
		})
		p.Page(t, "DeleteRole", func() error {
			return except(s.DeleteRole(ctx, "org_"+plantest.Big, plantest.Name("role.", 78), 1, func([]string) error { return errRefused }), errRefused)
		})
		p.Page(t, "Permissions", func() error { _, err := s.Permissions(ctx, "m1.thing.1", limit); return err })
		p.Complete(t, s, map[string]string{
			"Decide": "asks Held", "Grant": "inserts, and asks by key", "Revoke": "by key",
			"CreateRole": "inserts, and asks by key, as Role", "UpdateRole": "by key, as DeleteRole", "RegisterModule": "by module: few rows",
		})
	})
}
