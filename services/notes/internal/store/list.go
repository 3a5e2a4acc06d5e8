package store

import (
	"context"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/note"
	"ashlar.dev/services/notes/ent/predicate"
	"ashlar.dev/services/notes/ent/share"
)

// list returns up to limit notes of a page that the viewer sees, narrowed down; with an owner, only those of this person. It
// says the same as sees, as one query for each way to see a note: each is answered from an index that has the order of the
// answer, where one query for both would look through all notes of the organization.
func (s *Store) list(ctx context.Context, v Viewer, ownerID string, page keyset.Page, limit int, narrow ...predicate.Note) ([]*ent.Note, error) {
	if v.All {
		return s.written(ctx, v.OrganizationID, ownerID, page, limit, narrow)
	}
	var found []*ent.Note
	if ownerID == "" || ownerID == v.UserID {
		own, err := s.written(ctx, v.OrganizationID, v.UserID, page, limit, narrow)
		if err != nil {
			return nil, err
		}
		found = own
	}
	shared, err := s.client.Note.Query().Where(sharedWith(v, ownerID, page)).Where(narrow...).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	found = append(found, shared...)
	// Ids are of one form, which sorts the same here and there.
	slices.SortFunc(found, func(a, b *ent.Note) int {
		if page.Descending {
			a, b = b, a
		}
		return strings.Compare(a.ID, b.ID)
	})
	// A note can be shared with whom it belongs to.
	found = slices.CompactFunc(found, func(a, b *ent.Note) bool { return a.ID == b.ID })
	return found[:min(limit, len(found))], nil
}

// written finds the notes of an organization; with an owner, only those of this person.
func (s *Store) written(ctx context.Context, organizationID, ownerID string, page keyset.Page, limit int, narrow []predicate.Note) ([]*ent.Note, error) {
	page.Key, page.Within = note.FieldID, []keyset.Fixed{{Column: note.FieldOrganizationID, Value: organizationID}}
	if ownerID != "" {
		page.Within = append(page.Within, keyset.Fixed{Column: note.FieldOwnerID, Value: ownerID})
	}
	return s.client.Note.Query().Where(page.Narrow()).Where(narrow...).Limit(limit).All(ctx)
}

// sharedWith finds what is shared with the viewer, from the shares, in the order of the notes; with an owner, only what this
// person wrote.
func sharedWith(v Viewer, ownerID string, page keyset.Page) predicate.Note {
	page.Key, page.Within = share.FieldNoteID, []keyset.Fixed{{Column: share.FieldUserID, Value: v.UserID}}
	return func(selector *sql.Selector) {
		shares := sql.Table(share.Table)
		selector.Join(shares).On(selector.C(note.FieldID), shares.C(share.FieldNoteID))
		page.Of(selector, shares.C)
		selector.Where(afterJoin(selector.C(note.FieldOrganizationID), v.OrganizationID))
		if ownerID != "" {
			selector.Where(afterJoin(selector.C(note.FieldOwnerID), ownerID))
		}
	}
}

// afterJoin compares a column that no index is to be looked up for: SQLite would begin with all notes of the organization.
// The sign has no other effect (sqlite.org/optoverview.html, section 2).
func afterJoin(column, value string) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		if b.Dialect() == dialect.SQLite {
			b.WriteByte('+')
		}
		b.Ident(column).WriteOp(sql.OpEQ).Arg(value)
	})
}
