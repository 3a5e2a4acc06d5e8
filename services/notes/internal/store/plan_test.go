package store

import (
	"errors"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"

	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/services/notes/migrations"
)

// How many organizations and people there are beside the big ones.
const (
	organizations = 20_000
	people        = 50_000
)

func fill(sql plantest.SQL) []string {
	organization := sql.Spread("org_", organizations)
	// One person wrote a fifth, in all organizations.
	owner := fmt.Sprintf("(CASE WHEN i %% 5 = 0 THEN 'usr_%s' ELSE %s END)", plantest.Big, sql.Text("usr_", fmt.Sprintf("i %% %d", people)))
	// Words that are in all, one of a hundred, and next to none.
	const body = "'Granite' || (CASE WHEN i % 100 = 0 THEN ' marble' ELSE '' END) || (CASE WHEN i % 50000 = 2 THEN ' obsidian' ELSE '' END)"
	statements := []string{
		fmt.Sprintf("INSERT INTO notes (id, created_at, updated_at, organization_id, title, body, owner_id, version, request_key) SELECT %s, %s, %[2]s, %s, 'Stone ' || i, %s, %s, 1, 'r' || i FROM %s",
			sql.Text("note_", "i"), sql.At("i"), organization, body, owner, sql.Series(sql.Rows)),
		fmt.Sprintf("INSERT INTO shares (id, created_at, updated_at, user_id, note_id) SELECT %s, %s, %[2]s, %s, %s FROM %s",
			sql.Text("shr_", "i"), sql.At("i"), sql.Text("usr_", fmt.Sprintf("i * 7 %% %d", people)), sql.Text("note_", "i"), sql.Series(sql.Rows/2)),
		// None of them is old, whenever this runs.
		fmt.Sprintf("INSERT INTO changes (organization_id, note_id, user_id, created_at) SELECT %s, %s, '', %s FROM %s",
			organization, sql.Text("note_", "i"), sql.At("i + 1000000000"), sql.Series(sql.Rows)),
	}
	if sql.Dialect == dialect.SQLite {
		statements = append(statements,
			"INSERT INTO note_numbers (note_id) SELECT id FROM notes",
			"INSERT INTO note_words (rowid, organization_id, title, body) SELECT number, organization_id, title, body FROM note_numbers CROSS JOIN notes ON notes.id = note_id")
	}
	return statements
}

func TestPlans(t *testing.T) {
	t.Parallel()
	plantest.Run(t, migrations.FS, fill, func(t *testing.T, p *plantest.Plans) {
		ctx, s := t.Context(), New(p.DB, nil, nil)
		const limit = 51
		big, small := "org_"+plantest.Big, plantest.Name("org_", 77)
		anna, writer := plantest.Name("usr_", 78), "usr_"+plantest.Big
		for who, v := range map[string]Viewer{
			"all": {OrganizationID: big, UserID: anna, All: true}, "some": {OrganizationID: big, UserID: anna},
			"writer": {OrganizationID: big, UserID: writer}, "small": {OrganizationID: small, UserID: anna},
		} {
			for page, at := range map[string]string{
				"first": "", "middle": plantest.Name("note_", p.Rows/2), "last": plantest.Name("note_", p.Rows-100),
			} {
				for _, owner := range []string{"", anna, writer, plantest.Name("usr_", 79)} {
					p.Page(t, "Notes/"+who+"/"+owner+"/"+page, func() error { _, err := s.Notes(ctx, v, owner, at, limit); return err })
				}
			}
			for words, query := range map[string][]string{"in all": {"granite"}, "in some": {"granite", "marble"}, "in few": {"obsidian"}, "in none": {"basalt"}} {
				for page, at := range map[string]string{"first": "", "middle": plantest.Name("note_", p.Rows/2), "last": plantest.Name("note_", 100)} {
					// What has the words is read, and sorted; never all notes.
					p.Larger(t, "Search/"+who+"/"+words+"/"+page, plantest.Allow{Pages: 10 * p.Rows, Rows: 2 * p.Rows}, func() error { _, err := s.Search(ctx, v, query, at, limit); return err })
				}
			}
			p.Page(t, "Note/"+who, func() error { _, err := s.Note(ctx, v, plantest.Name("note_", 78)); return ignoreNotFound(err) })
			p.Page(t, "Changes/"+who, func() error { _, _, err := s.Changes(ctx, v, int64(p.Rows/2), limit); return err })
		}
		p.Page(t, "Shares", func() error {
			_, err := s.Shares(ctx, Viewer{OrganizationID: big, All: true}, plantest.Name("note_", 78), "", limit)
			return err
		})
		p.Page(t, "LastChange", func() error { _, err := s.LastChange(ctx, big); return err })
		seen := map[string]int64{}
		for i := range 500 {
			seen[plantest.Name("org_", i)] = int64(p.Rows) - 100
		}
		p.Larger(t, "NewerChanges", plantest.Allow{Pages: 4000, Rows: 2000}, func() error { _, err := s.NewerChanges(ctx, seen); return err })
		p.Page(t, "Forget", func() error { return s.Forget(ctx) })
		p.Page(t, "noteByRequest", func() error { _, err := s.noteByRequest(ctx, "r77"); return err })
		p.Complete(t, s, map[string]string{
			"CreateNote": "inserts", "UpdateNote": "by id, as Note", "DeleteNote": "by id, as Note, and as Shares",
			"Share": "by id, as Note, and as Shares", "Unshare": "by id, as Note, and as Shares",
		})
	})
}

func ignoreNotFound(err error) error {
	if errors.Is(translate(err), ErrNotFound) {
		return nil
	}
	return err
}
