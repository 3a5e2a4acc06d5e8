package store

import (
	"context"

	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/note"
)

const noteKind id.Kind = "note"

// NewNote is what a note is made from.
type NewNote struct {
	OrganizationID, DisplayName, Description string
	// CreatedBy is the person who creates it.
	CreatedBy string
	// RequestKey makes creating idempotent where it is not empty.
	RequestKey string
}

// CreateNote adds a note. With a request key that is there already it returns that note, and changes nothing.
func (s *Store) CreateNote(ctx context.Context, n NewNote) (*ent.Note, error) {
	var created *ent.Note
	err := s.change(ctx, func(tx *ent.Tx) error {
		var err error
		created, err = tx.Note.Create().SetID(id.New(noteKind)).SetOrganizationID(n.OrganizationID).
			SetDisplayName(n.DisplayName).SetDescription(n.Description).SetCreatedBy(n.CreatedBy).
			SetNillableRequestKey(optional(n.RequestKey)).Save(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "note.create", Resource: created.ID, Organization: n.OrganizationID,
			Attributes: map[string]string{"display_name": n.DisplayName},
		})
	})
	if ent.IsConstraintError(err) && n.RequestKey != "" {
		return s.noteByRequest(ctx, n.RequestKey)
	}
	return created, err
}

// noteByRequest returns the note that was created under a request key.
func (s *Store) noteByRequest(ctx context.Context, requestKey string) (*ent.Note, error) {
	found, err := s.client.Note.Query().Where(note.RequestKey(requestKey)).Only(ctx)
	if err == nil {
		audit.MarkRecorded(ctx)
	}
	return found, translate(err)
}

// Note returns a note of an organization by id.
func (s *Store) Note(ctx context.Context, organizationID, noteID string) (*ent.Note, error) {
	found, err := s.client.Note.Query().Where(note.ID(noteID), note.OrganizationID(organizationID)).Only(ctx)
	return found, translate(err)
}

// Notes returns up to limit notes of an organization whose ids come after the given one, in the order of creation;
// with a creator, only those that this person created.
func (s *Store) Notes(ctx context.Context, organizationID, createdBy, after string, limit int) ([]*ent.Note, error) {
	query := s.client.Note.Query().
		Where(note.OrganizationID(organizationID), note.IDGT(after)).Order(note.ByID()).Limit(limit)
	if createdBy != "" {
		query.Where(note.CreatedBy(createdBy))
	}
	return query.All(ctx)
}

// NoteChanges are the fields that an update sets; those that are nil stay as they are.
type NoteChanges struct {
	DisplayName, Description *string
}

// UpdateNote changes a note. Where version is not zero and not the present one it fails with ErrChanged.
func (s *Store) UpdateNote(
	ctx context.Context, organizationID, noteID string, version int64, changes NoteChanges,
) (*ent.Note, error) {
	var changed *ent.Note
	err := s.change(ctx, func(tx *ent.Tx) error {
		update := tx.Note.Update().Where(note.ID(noteID), note.OrganizationID(organizationID)).
			SetNillableDisplayName(changes.DisplayName).SetNillableDescription(changes.Description).AddVersion(1)
		if version != 0 {
			update.Where(note.Version(version))
		}
		n, err := update.Save(ctx)
		if err != nil {
			return err
		}
		// Read first: where nothing was changed, this tells why.
		changed, err = tx.Note.Query().Where(note.ID(noteID), note.OrganizationID(organizationID)).Only(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrChanged
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: "note.update", Resource: noteID, Organization: organizationID})
	})
	return changed, err
}

// DeleteNote removes a note. Where version is not zero and not the present one it fails with ErrChanged.
func (s *Store) DeleteNote(ctx context.Context, organizationID, noteID string, version int64) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		found, err := tx.Note.Query().Where(note.ID(noteID), note.OrganizationID(organizationID)).Only(ctx)
		if err != nil {
			return err
		}
		if version != 0 && version != found.Version {
			return ErrChanged
		}
		// The version again: another transaction may have been faster.
		n, err := tx.Note.Delete().Where(note.ID(noteID), note.Version(found.Version)).Exec(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrChanged
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "note.delete", Resource: noteID, Organization: organizationID,
			Attributes: map[string]string{"display_name": found.DisplayName},
		})
	})
}
