package store

import (
	"context"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql"

	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/note"
	"ashlar.dev/services/notes/ent/predicate"
	"ashlar.dev/services/notes/ent/share"
)

// order is that of creation, or its reverse.
type order int

const (
	ascending  order = 1
	descending order = -1
)

// list returns up to limit notes that the viewer sees, narrowed down. It says the same as sees, as one query for each way
// to see a note: each is answered from an index that has the order of the answer, where one query for both would look
// through all notes of the organization.
func (s *Store) list(ctx context.Context, v Viewer, by order, limit int, narrow ...predicate.Note) ([]*ent.Note, error) {
	here := append([]predicate.Note{note.OrganizationID(v.OrganizationID)}, narrow...)
	if v.All {
		return s.client.Note.Query().Where(here...).Order(note.ByID(by.term())).Limit(limit).All(ctx)
	}
	own, err := s.client.Note.Query().Where(here...).Where(note.OwnerID(v.UserID)).Order(note.ByID(by.term())).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	shared, err := s.client.Note.Query().Where(here...).Where(sharedWith(v.UserID, by)).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	found := append(own, shared...)
	// Ids are of one form, which sorts the same here and there.
	slices.SortFunc(found, func(a, b *ent.Note) int { return int(by) * strings.Compare(a.ID, b.ID) })
	// A note can be shared with whom it belongs to.
	found = slices.CompactFunc(found, func(a, b *ent.Note) bool { return a.ID == b.ID })
	return found[:min(limit, len(found))], nil
}

// sharedWith finds what is shared with a person, from the shares, in the order of the notes.
func sharedWith(userID string, by order) predicate.Note {
	return func(selector *sql.Selector) {
		shares := sql.Table(share.Table)
		selector.Join(shares).On(selector.C(note.FieldID), shares.C(share.FieldNoteID))
		selector.Where(sql.EQ(shares.C(share.FieldUserID), userID))
		column := shares.C(share.FieldNoteID)
		if by == descending {
			column = sql.Desc(column)
		}
		selector.OrderBy(column)
	}
}

func (o order) term() sql.OrderTermOption {
	if o == descending {
		return sql.OrderDesc()
	}
	return sql.OrderAsc()
}
