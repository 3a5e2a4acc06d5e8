package store

import (
	"context"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/note"
)

// Search returns up to limit notes that the viewer sees and that have all words, each as the beginning of a word; the
// newest first, and only older ones than before, if it is not empty. Words consist of letters, digits and marks.
func (s *Store) Search(ctx context.Context, v Viewer, words []string, before string, limit int) ([]*ent.Note, error) {
	return s.list(ctx, v, "", keyset.Page{After: before, Descending: true}, limit, s.has(v.OrganizationID, words))
}

// has finds notes by the indexes that migrations/*/*_search.sql make.
func (s *Store) has(organizationID string, words []string) func(*sql.Selector) {
	return func(selector *sql.Selector) {
		if s.db.Dialect == dialect.Postgres {
			selector.Where(sql.P(func(b *sql.Builder) {
				// The same expression as that of the index.
				b.WriteString(`to_tsvector('simple', regexp_replace("notes"."title" || ' ' || "notes"."body", '[!-/:-@[-` + "`" + `{-~]+', ' ', 'g'))`)
				b.WriteString(` @@ to_tsquery('simple', `).Arg("'" + strings.Join(words, "':* & '") + "':*").WriteString(")")
			}))
			return
		}
		selector.Where(sql.P(func(b *sql.Builder) {
			b.Ident(selector.C(note.FieldID)).WriteString(" IN (SELECT `note_id` FROM `note_words` JOIN `note_numbers` ON `number` = `note_words`.`rowid`")
			// The organization is among the words, so that one does not wait for what all others have written.
			b.WriteString(" WHERE `note_words` MATCH ").
				Arg(`organization_id : "` + strings.ReplaceAll(organizationID, `"`, "") + `" AND {title body} : ("` + strings.Join(words, `"* AND "`) + `"*)`).
				WriteString(")")
		}))
	}
}
