package store

import (
	"context"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/note"
)

const noteKind id.Kind = "note"

// Actions on the record.
const (
	actionCreate  = "note.create"
	actionUpdate  = "note.update"
	actionDelete  = "note.delete"
	actionShare   = "note.share"
	actionUnshare = "note.unshare"
)

// NewNote is what a note is made from.
type NewNote struct {
	OrganizationID, OwnerID, Title, Body string
	// RequestKey makes creating idempotent where it is not empty.
	RequestKey string
}

// CreateNote adds a note. With a request key that is there already it returns that note, and changes nothing.
func (s *Store) CreateNote(ctx context.Context, n NewNote) (*ent.Note, error) {
	var created *ent.Note
	err := s.change(ctx, n.OrganizationID, func(tx *ent.Tx) error {
		var err error
		created, err = tx.Note.Create().SetID(id.New(noteKind)).SetOrganizationID(n.OrganizationID).SetOwnerID(n.OwnerID).
			SetTitle(n.Title).SetBody(n.Body).SetNillableRequestKey(optional(n.RequestKey)).Save(ctx)
		if err != nil {
			return err
		}
		if err := s.announce(ctx, tx, n.OrganizationID, created.ID, everybody); err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: actionCreate, Resource: created.ID, Organization: n.OrganizationID})
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

// Note returns a note by id, if the viewer sees it.
func (s *Store) Note(ctx context.Context, v Viewer, noteID string) (*ent.Note, error) {
	found, err := s.client.Note.Query().Where(note.ID(noteID), v.sees()).Only(ctx)
	return found, translate(err)
}

// Notes returns up to limit notes that the viewer sees and whose ids come after the given one, in the order of creation;
// with an owner, only those of this person.
func (s *Store) Notes(ctx context.Context, v Viewer, ownerID, after string, limit int) ([]*ent.Note, error) {
	return s.list(ctx, v, ownerID, keyset.Page{After: after}, limit)
}

// NoteChanges are the fields that an update sets; those that are nil stay as they are.
type NoteChanges struct {
	Title, Body *string
}

// UpdateNote changes a note. Where version is not zero and not the present one it fails with ErrChanged.
func (s *Store) UpdateNote(ctx context.Context, v Viewer, noteID string, version int64, changes NoteChanges) (*ent.Note, error) {
	var changed *ent.Note
	err := s.change(ctx, v.OrganizationID, func(tx *ent.Tx) error {
		found, err := s.own(ctx, tx, v, noteID)
		if err != nil {
			return err
		}
		if version != 0 && version != found.Version {
			return ErrChanged
		}
		changed, err = tx.Note.UpdateOne(found).SetNillableTitle(changes.Title).SetNillableBody(changes.Body).AddVersion(1).Save(ctx)
		if err != nil {
			return err
		}
		if err := s.announce(ctx, tx, v.OrganizationID, noteID, everybody); err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: actionUpdate, Resource: noteID, Organization: v.OrganizationID})
	})
	return changed, s.refused(ctx, actionUpdate, v, noteID, err)
}

// DeleteNote removes a note, and its shares with it. Where version is not zero and not the present one it fails with
// ErrChanged.
func (s *Store) DeleteNote(ctx context.Context, v Viewer, noteID string, version int64) error {
	err := s.change(ctx, v.OrganizationID, func(tx *ent.Tx) error {
		found, err := s.own(ctx, tx, v, noteID)
		if err != nil {
			return err
		}
		if version != 0 && version != found.Version {
			return ErrChanged
		}
		// Who saw it is known only until it is gone.
		told := []string{everybody, found.OwnerID}
		shares, err := found.QueryShares().All(ctx)
		if err != nil {
			return err
		}
		for _, each := range shares {
			told = append(told, each.UserID)
		}
		if err := tx.Note.DeleteOne(found).Exec(ctx); err != nil {
			return err
		}
		if err := s.announce(ctx, tx, v.OrganizationID, noteID, told...); err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: actionDelete, Resource: noteID, Organization: v.OrganizationID})
	})
	return s.refused(ctx, actionDelete, v, noteID, err)
}
