// Package store keeps the audit record. Events are added and read; nothing in it changes or removes one. It knows
// nothing of RPCs.
package store

import (
	"ashlar.dev/ent/database"
	"ashlar.dev/services/audit/ent"
)

// Store is safe for concurrent use.
type Store struct {
	db     *database.Database
	client *ent.Client
}

// New returns the store in a database.
func New(db *database.Database) *Store {
	return &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver()))}
}
