// Package store keeps permissions, roles and grants, decides by them, and records each change in the transaction that
// makes it. It knows nothing of RPCs.
package store

import (
	"context"
	"errors"
	"log/slog"

	"entgo.io/ent/dialect"

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
	ErrRoleChanged       = errors.New("the role has changed meanwhile")
	ErrRoleInUse         = errors.New("too many people hold the role")
	ErrLastHolder        = errors.New("nobody else holds the role there")
	ErrUnknownPermission = errors.New("no such permission")
)

// Store is safe for concurrent use.
type Store struct {
	db     *database.Database
	client *ent.Client
	trail  *trail.Trail
	log    *slog.Logger
}

// New returns the store in a database.
func New(db *database.Database, record *trail.Trail, log *slog.Logger) *Store {
	return &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), trail: record, log: log}
}

// What can be locked.
const (
	lockRole   = `SELECT 1 FROM "roles" WHERE "id" = $1 FOR UPDATE`
	lockModule = `SELECT 1 FROM "modules" WHERE "id" = $1 FOR UPDATE`
)

// lock keeps other transactions from locking a row, and from referring to it (as granting a role does), until this one
// ends. On SQLite transactions take turns anyway.
func (s *Store) lock(ctx context.Context, tx *ent.Tx, what, id string) error {
	if s.db.Dialect != dialect.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, what, id)
	return err
}

// Allow tells whether the caller may take or change what permits this: nil, or an error that comes back as it is. It runs
// within a transaction and must not ask the database.
type Allow func(permissions []string) error

// change runs a transaction; see database.InTx for what run must not do.
func (s *Store) change(ctx context.Context, run func(*ent.Tx) error) error {
	return database.InTx(ctx, s.db, s.client.Tx, run)
}
