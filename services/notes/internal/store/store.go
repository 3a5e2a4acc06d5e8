// Package store keeps notes, with whom they are shared, and what changed, and records each change in the transaction that
// makes it. It knows nothing of RPCs.
package store

import (
	"context"
	"errors"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/notes/ent"
)

// What a caller can do about.
var (
	ErrNotFound      = errors.New("no such note")
	ErrNotYours      = errors.New("the note is only shared with the person")
	ErrChanged       = errors.New("the note has changed meanwhile")
	ErrTooManyShares = errors.New("the note is shared with as many people as it can be")
)

// ReasonNotYours is the reason that callers are given for ErrNotYours, and that the record has.
const ReasonNotYours = "NOTE_NOT_YOURS"

// Store is safe for concurrent use.
type Store struct {
	db      *database.Database
	client  *ent.Client
	trail   *trail.Trail
	changed func(organizationID string)
}

// New returns the store in a database. changed is told of each organization in which a note has changed, after the
// commit; it must not block.
func New(db *database.Database, record *trail.Trail, changed func(organizationID string)) *Store {
	return &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), trail: record, changed: changed}
}

// change runs a transaction that changes notes of one organization; see database.InTx for what run must not do.
func (s *Store) change(ctx context.Context, organizationID string, run func(*ent.Tx) error) error {
	err := database.InTx(ctx, s.db, s.client.Tx, run)
	if err == nil {
		s.changed(organizationID)
	}
	return translate(err)
}

// refused puts on the record that the viewer tried to change a note that is only shared with them, if that is the error.
// It is called after the transaction, which is undone.
func (s *Store) refused(ctx context.Context, action string, v Viewer, noteID string, err error) error {
	if errors.Is(err, ErrNotYours) {
		s.trail.Refused(ctx, audit.Change{Action: action, Resource: noteID, Organization: v.OrganizationID}, ReasonNotYours)
	}
	return err
}

// translate turns what ent says into what the store says.
func translate(err error) error {
	if ent.IsNotFound(err) {
		return errors.Join(ErrNotFound, err)
	}
	return err
}

// optional returns nil for an empty string, which must not be unique.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
