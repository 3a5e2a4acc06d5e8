package store_test

import (
	"fmt"
	"testing"

	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/services/identity/internal/store"
	"ashlar.dev/services/identity/migrations"
)

// organizations is how many there are beside the big one.
const organizations = 20_000

func fill(sql plantest.SQL) []string {
	member := func(organization, user, from string) string {
		return fmt.Sprintf("INSERT INTO memberships (id, created_at, updated_at, organization_id, user_id) SELECT %s, %s, %[2]s, %s, %s FROM %s",
			sql.Text("mem_", from), sql.At("i"), organization, user, sql.Series(sql.Rows))
	}
	return []string{
		fmt.Sprintf("INSERT INTO users (id, created_at, updated_at, email, display_name, request_key) SELECT %s, %s, %[2]s, 'p' || i || '@example.com', 'Person ' || i, 'r' || i FROM %s",
			sql.Text("usr_", "i"), sql.At("i"), sql.Series(sql.Rows)),
		fmt.Sprintf("INSERT INTO organizations (id, created_at, updated_at, display_name, request_key) SELECT %s, %s, %[2]s, 'Organization ' || i, 'r' || i FROM %s",
			sql.Text("org_", "i"), sql.At("i"), sql.Series(sql.Rows)),
		// One organization has half of all people, and one person is in every organization.
		// The memberships of one do not lie between those of the other, so that a walk over the primary key is seen.
		member(sql.Spread("org_", organizations), sql.Text("usr_", "i"), "i"),
		member(sql.Text("org_", "i"), "'usr_"+plantest.Big+"'", fmt.Sprintf("i + %d", sql.Rows)),
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	plantest.Run(t, migrations.FS, fill, func(t *testing.T, p *plantest.Plans) {
		ctx, s := t.Context(), store.New(p.DB, nil)
		const limit = 51
		for page, at := range map[string]int{"first": 0, "middle": p.Rows / 2, "last": p.Rows - 100} {
			p.Page(t, "Users/"+page, func() error { _, err := s.Users(ctx, "", plantest.Name("usr_", at), limit); return err })
			p.Page(t, "Users/email/"+page, func() error { _, err := s.Users(ctx, "p77@example.com", plantest.Name("usr_", at), limit); return err })
			for _, organization := range []string{"org_" + plantest.Big, plantest.Name("org_", 77)} {
				p.Page(t, "Members/"+organization+"/"+page, func() error { _, err := s.Members(ctx, organization, plantest.Name("mem_", at), limit); return err })
			}
			for user, at := range map[string]int{"usr_" + plantest.Big: p.Rows + at, plantest.Name("usr_", 77): at} {
				p.Page(t, "OrganizationsOf/"+user+"/"+page, func() error {
					_, err := s.OrganizationsOf(ctx, user, plantest.Name("mem_", at), limit)
					return err
				})
			}
		}
		p.Page(t, "User", func() error { _, err := s.User(ctx, plantest.Name("usr_", 77)); return err })
		p.Page(t, "UserByEmail", func() error { _, err := s.UserByEmail(ctx, "p77@example.com"); return err })
		p.Page(t, "Organization", func() error { _, err := s.Organization(ctx, plantest.Name("org_", 77)); return err })
		p.Page(t, "OrganizationByRequest", func() error { _, err := s.OrganizationByRequest(ctx, "r77"); return err })
		p.Page(t, "CheckOpen", func() error { return s.CheckOpen(ctx, plantest.Name("org_", 77)) })
		p.Complete(t, s, map[string]string{
			"CreateUser": "inserts, and asks by key, as UserByEmail", "CreateOrganization": "inserts",
			"AddMember": "by key", "RemoveMember": "by key", "RenameUser": "by id", "RenameOrganization": "by id",
			"SetUserDeactivated": "by id", "SetOrganizationDeactivated": "by id",
		})
	})
}
