// Package store keeps people, organizations and memberships, and records each change in the transaction that makes it.
// It knows nothing of RPCs.
package store

import (
	"context"
	"errors"

	"ashlar.dev/ent/database"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/identity/ent"
)

// What a caller can do about.
var (
	ErrNotFound                = errors.New("no such thing")
	ErrUserNotFound            = errors.New("no such user")
	ErrEmailTaken              = errors.New("the email address belongs to somebody")
	ErrOrganizationDeactivated = errors.New("the organization is deactivated")
	// ErrChanged says that somebody else has made another version meanwhile.
	ErrChanged = errors.New("it has another version")
)

// Store is safe for concurrent use.
type Store struct {
	db     *database.Database
	client *ent.Client
	trail  *trail.Trail
}

// New returns the store in a database.
func New(db *database.Database, record *trail.Trail) *Store {
	return &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), trail: record}
}

// change runs a transaction; see database.InTx for what run must not do.
func (s *Store) change(ctx context.Context, run func(*ent.Tx) error) error {
	return translate(database.InTx(ctx, s.db, s.client.Tx, run))
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
