package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"entgo.io/ent/dialect"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/ent/mixin"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/ent/change"
	"ashlar.dev/services/notes/ent/note"
	"ashlar.dev/services/notes/ent/predicate"
	"ashlar.dev/services/notes/ent/turn"
)

// everybody stands for all who see the note, where a change is not about one person.
const everybody = ""

// Retention is how long changes are kept, and so how long ago a watcher can have stopped to go on where it was.
const Retention = 7 * 24 * time.Hour

// forgetAtOnce bounds one deletion of old changes, so that none holds up others.
const forgetAtOnce = 1000

// announce says that there is something new about a note, to whom it concerns. It is the last thing of a transaction: whoever
// sees a change sees all of the same organization that have a lower id, so that a reader that goes on where it stopped
// misses none.
func (s *Store) announce(ctx context.Context, tx *ent.Tx, organizationID, noteID string, users ...string) error {
	if err := s.takeTurn(ctx, tx, organizationID); err != nil {
		return err
	}
	rows := make([]*ent.ChangeCreate, len(users))
	for i, user := range users {
		rows[i] = tx.Change.Create().SetOrganizationID(organizationID).SetNoteID(noteID).SetUserID(user)
	}
	return tx.Change.CreateBulk(rows...).Exec(ctx)
}

// takeTurn waits until no other transaction announces something in the organization. Ids are given out when a row is written,
// and seen when it is committed: one transaction of an organization at a time, from here to its end, keeps the two in the
// same order. On SQLite it is so anyway.
func (s *Store) takeTurn(ctx context.Context, tx *ent.Tx, organizationID string) error {
	if s.db.Dialect != dialect.Postgres {
		return nil
	}
	lock := func() error {
		_, err := tx.Turn.Query().Where(turn.ID(organizationID)).ForUpdate().OnlyID(ctx)
		return err
	}
	err := lock()
	if !ent.IsNotFound(err) {
		return err
	}
	// The first one of the organization; one that came at the same time holds the row, and this waits for it.
	err = tx.Turn.Create().SetID(organizationID).OnConflictColumns(turn.FieldID).DoNothing().Exec(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return lock()
}

// LastChange returns the id of an organization's newest change; 0 where there is none.
func (s *Store) LastChange(ctx context.Context, organizationID string) (int64, error) {
	page := keyset.Page{
		Within: []keyset.Fixed{{Column: change.FieldOrganizationID, Value: organizationID}}, Key: change.FieldID, Descending: true,
	}
	last, err := s.client.Change.Query().Where(page.Narrow()).FirstID(ctx)
	if ent.IsNotFound(err) {
		return 0, nil
	}
	return last, err
}

// NewerChanges returns the id of the newest change of each organization that has one after that which was seen. What it
// reads is what is newer, however much is kept.
func (s *Store) NewerChanges(ctx context.Context, seen map[string]int64) (map[string]int64, error) {
	if len(seen) == 0 {
		return nil, nil //nolint:nilnil // of nothing there is nothing newer
	}
	newer := make([]predicate.Change, 0, len(seen))
	for organizationID, last := range seen {
		newer = append(newer, change.And(change.OrganizationID(organizationID), change.IDGT(last)))
	}
	var rows []struct {
		OrganizationID string `json:"organization_id"`
		Max            int64  `json:"max"`
	}
	err := s.client.Change.Query().Where(change.Or(newer...)).
		GroupBy(change.FieldOrganizationID).Aggregate(ent.Max(change.FieldID)).Scan(ctx, &rows)
	if err != nil {
		return nil, err
	}
	last := make(map[string]int64, len(rows))
	for _, row := range rows {
		last[row.OrganizationID] = row.Max
	}
	return last, nil
}

// Change is what is new about a note for a viewer.
type Change struct {
	ID     int64
	NoteID string
	// Note is the note as it is now; nil where the viewer does not see it any more.
	Note *ent.Note
}

// Changes looks through up to limit changes after the given one, and returns what of them concerns the viewer, each note
// once, and the id of the last change that it looked at: after where there was none.
func (s *Store) Changes(ctx context.Context, v Viewer, after int64, limit int) ([]Change, int64, error) {
	page := keyset.Page{
		Within: []keyset.Fixed{{Column: change.FieldOrganizationID, Value: v.OrganizationID}}, Key: change.FieldID, After: after,
	}
	rows, err := s.client.Change.Query().Where(page.Narrow(), change.UserIDIn(everybody, v.UserID)).Limit(limit).All(ctx)
	if err != nil || len(rows) == 0 {
		return nil, after, err
	}
	last, named, ids := map[string]int64{}, map[string]bool{}, []string{}
	for _, row := range rows {
		if _, known := last[row.NoteID]; !known {
			ids = append(ids, row.NoteID)
		}
		last[row.NoteID] = row.ID
		named[row.NoteID] = named[row.NoteID] || row.UserID == v.UserID
	}
	found, err := s.client.Note.Query().Where(note.IDIn(ids...), v.sees()).All(ctx)
	if err != nil {
		return nil, after, err
	}
	seen := make(map[string]*ent.Note, len(found))
	for _, each := range found {
		seen[each.ID] = each
	}
	var out []Change
	for _, row := range rows {
		// What somebody else has never seen, and does not see now, must not be heard of. Who sees all has.
		concerns := seen[row.NoteID] != nil || named[row.NoteID] || v.All
		if concerns && last[row.NoteID] == row.ID {
			out = append(out, Change{ID: row.ID, NoteID: row.NoteID, Note: seen[row.NoteID]})
		}
	}
	return out, rows[len(rows)-1].ID, nil
}

// Forget removes changes that are older than Retention.
func (s *Store) Forget(ctx context.Context) error {
	for {
		old, err := s.client.Change.Query().Where(change.CreatedAtLT(mixin.Now().Add(-Retention))).
			Order(change.ByCreatedAt()).Limit(forgetAtOnce).IDs(ctx)
		if err != nil || len(old) == 0 {
			return err
		}
		if _, err := s.client.Change.Delete().Where(change.IDIn(old...)).Exec(ctx); err != nil {
			return err
		}
	}
}
