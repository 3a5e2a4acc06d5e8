// Package store keeps the audit record: events, and the Merkle tree over them with its newest signed checkpoint. Events are
// added and read; nothing in it changes or removes one. It knows nothing of RPCs.
package store

import (
	"sync"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/sealedkey"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/services/audit/ent"
)

// Config is what a store is made with.
type Config struct {
	// Origin is the name that the log gets when it is begun. Later it must be the same, or empty.
	Origin string
	// SealKey has 32 bytes; the key that signs checkpoints is kept encrypted with it.
	SealKey []byte
}

// Store is safe for concurrent use. Events are appended and proved after Open only.
type Store struct {
	db     *database.Database
	client *ent.Client
	origin string
	sealer sealedkey.Sealer
	// signer is set by Open, and never again.
	signer *auditlog.Signer

	mu     sync.Mutex
	newest head
	grown  chan struct{}
}

// New returns the store in a database.
func New(db *database.Database, cfg Config) (*Store, error) {
	if cfg.Origin != "" {
		if err := auditlog.CheckOrigin(cfg.Origin); err != nil {
			return nil, err
		}
	}
	sealer, err := sealedkey.NewSealer(cfg.SealKey)
	if err != nil {
		return nil, err
	}
	return &Store{
		db: db, client: ent.NewClient(ent.Driver(db.Driver())), origin: cfg.Origin, sealer: sealer,
		grown: make(chan struct{}),
	}, nil
}

// VerifierKey is the key that checkpoints are verified with (c2sp.org/signed-note).
func (s *Store) VerifierKey() string { return s.signer.VerifierKey() }
