package store

import (
	"context"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/share"
)

const shareKind id.Kind = "shr"

// maxShares bounds with how many people a note is shared: its deletion tells each of them.
const maxShares = 100

// Share lets a person see a note. With whom it is shared already stays so.
func (s *Store) Share(ctx context.Context, v Viewer, noteID, userID string) (*ent.Share, error) {
	var shared *ent.Share
	err := s.change(ctx, v.OrganizationID, func(tx *ent.Tx) error {
		found, err := s.own(ctx, tx, v, noteID)
		if err != nil {
			return err
		}
		shared, err = found.QueryShares().Where(share.UserID(userID)).Only(ctx)
		if err == nil {
			audit.MarkRecorded(ctx)
			return nil
		}
		if !ent.IsNotFound(err) {
			return err
		}
		n, err := found.QueryShares().Count(ctx)
		if err != nil {
			return err
		}
		if n >= maxShares {
			return ErrTooManyShares
		}
		shared, err = tx.Share.Create().SetID(id.New(shareKind)).SetNote(found).SetUserID(userID).Save(ctx)
		if err != nil {
			return err
		}
		return s.recordSharing(ctx, tx, actionShare, v, noteID, userID)
	})
	return shared, s.refused(ctx, actionShare, v, noteID, err)
}

// Unshare undoes Share; with whom the note is not shared stays so.
func (s *Store) Unshare(ctx context.Context, v Viewer, noteID, userID string) error {
	err := s.change(ctx, v.OrganizationID, func(tx *ent.Tx) error {
		if _, err := s.own(ctx, tx, v, noteID); err != nil {
			return err
		}
		n, err := tx.Share.Delete().Where(share.NoteID(noteID), share.UserID(userID)).Exec(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			audit.MarkRecorded(ctx)
			return nil
		}
		return s.recordSharing(ctx, tx, actionUnshare, v, noteID, userID)
	})
	return s.refused(ctx, actionUnshare, v, noteID, err)
}

// recordSharing tells the person, and puts on the record, that a note can be seen, or not any more.
func (s *Store) recordSharing(ctx context.Context, tx *ent.Tx, action string, v Viewer, noteID, userID string) error {
	if err := s.announce(ctx, tx, v.OrganizationID, noteID, userID); err != nil {
		return err
	}
	return s.trail.Append(ctx, tx, audit.Change{
		Action: action, Resource: noteID, Organization: v.OrganizationID, Attributes: map[string]string{"user_id": userID},
	})
}

// Shares returns up to limit shares of a note that come after the given one, in the order of sharing, to whom the note
// belongs.
func (s *Store) Shares(ctx context.Context, v Viewer, noteID, after string, limit int) ([]*ent.Share, error) {
	found, err := s.Note(ctx, v, noteID)
	if err != nil {
		return nil, err
	}
	if !v.owns(found) {
		return nil, ErrNotYours
	}
	page := keyset.Page{Within: []keyset.Fixed{{Column: share.FieldNoteID, Value: found.ID}}, Key: share.FieldID, After: after}
	return s.client.Share.Query().Where(page.Narrow()).Limit(limit).All(ctx)
}
