// Package store keeps credentials, sessions and signing keys, and records each change in the transaction that makes it.
// It knows nothing of RPCs, and neither passwords nor tokens: only their hashes.
package store

import (
	"context"
	"errors"
	"time"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/auth/ent"
)

// What a caller can do about.
var (
	ErrNotFound       = errors.New("no such thing")
	ErrNotPending     = errors.New("the sign-up is not pending")
	ErrTokenReused    = errors.New("the refresh token was used before")
	ErrSessionRevoked = errors.New("the session was ended")
	ErrSessionExpired = errors.New("the session has expired")
	// errUnsettled cannot happen: a token that is current again after it was not.
	errUnsettled = errors.New("the session changed while it was refreshed")
)

// itself is the actor of what nobody asked for.
var itself = &authn.Principal{Kind: authn.Service, ServiceName: "auth"}

// Store is safe for concurrent use.
type Store struct {
	db     *database.Database
	client *ent.Client
	trail  *trail.Trail
	clock  func() time.Time
}

// New returns the store in a database. clock tells the time; production gives time.Now.
func New(db *database.Database, record *trail.Trail, clock func() time.Time) *Store {
	return &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), trail: record, clock: clock}
}

// now is the time in the precision that both databases keep.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

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
