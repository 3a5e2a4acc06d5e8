// Package store keeps permissions, roles and grants, decides by them, and records each change in the transaction that
// makes it. It knows nothing of RPCs.
package store

import (
	"context"
	"errors"

	"ashlar.dev/ent/database"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/authz/ent"
)

// What a caller can do about.
var (
	ErrRoleNotFound      = errors.New("no such role")
	ErrRoleExists        = errors.New("a role of this name exists")
	ErrRoleOfModule      = errors.New("the role belongs to a module")
	ErrRoleRemoved       = errors.New("the module does not bring the role any more")
	ErrUnknownPermission = errors.New("no such permission")
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
	return database.InTx(ctx, s.db, s.client.Tx, run)
}
