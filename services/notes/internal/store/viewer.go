package store

import (
	"context"

	"entgo.io/ent/dialect"

	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/note"
	"ashlar.dev/services/notes/ent/predicate"
	"ashlar.dev/services/notes/ent/share"
)

// Viewer is a person in an organization, and what sharing means for this person there.
type Viewer struct {
	OrganizationID, UserID string
	// All is true for who sees and changes everybody's notes.
	All bool
}

// sees says which notes a person sees: those of the organization that are the person's own, or shared with the person. It
// is for notes whose ids are known; list says the same for many.
func (v Viewer) sees() predicate.Note {
	here := note.OrganizationID(v.OrganizationID)
	if v.All {
		return here
	}
	return note.And(here, note.Or(note.OwnerID(v.UserID), note.HasSharesWith(share.UserID(v.UserID))))
}

// owns tells whether the viewer may change a note that the viewer sees.
func (v Viewer) owns(n *ent.Note) bool { return v.All || n.OwnerID == v.UserID }

// own returns a note that the viewer may change, and keeps others from changing it until the transaction ends. What the
// viewer does not see is not found; what is only shared with the viewer is ErrNotYours.
func (s *Store) own(ctx context.Context, tx *ent.Tx, v Viewer, noteID string) (*ent.Note, error) {
	query := tx.Note.Query().Where(note.ID(noteID), v.sees())
	if s.db.Dialect == dialect.Postgres {
		// On SQLite transactions take turns anyway.
		query.ForUpdate()
	}
	found, err := query.Only(ctx)
	if err != nil {
		return nil, err
	}
	if !v.owns(found) {
		return nil, ErrNotYours
	}
	return found, nil
}
