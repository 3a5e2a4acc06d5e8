package store

import (
	"context"
	"time"

	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/ent/signingkey"
)

// NewSigningKey is what a signing key is made from.
type NewSigningKey struct {
	ID string
	// PublicKey is Ed25519.
	PublicKey []byte
	// SealedPrivateKey is encrypted.
	SealedPrivateKey []byte
}

// CreateFirstSigningKey adds a key that signs, unless there is one. Of many that do it at once, one adds.
func (s *Store) CreateFirstSigningKey(ctx context.Context, n NewSigningKey) error {
	err := s.change(ctx, func(tx *ent.Tx) error {
		exists, err := tx.SigningKey.Query().Where(signingkey.Active(true)).Exist(ctx)
		if err != nil || exists {
			return err
		}
		return s.createSigningKey(ctx, tx, n, "key.create", itself)
	})
	if ent.IsConstraintError(err) {
		return nil
	}
	return err
}

// ReplaceSigningKey retires the key that signs and adds one in its place. It returns the id of the key that signs then:
// where somebody else replaced it at the very same time, that one's.
func (s *Store) ReplaceSigningKey(ctx context.Context, n NewSigningKey) (string, error) {
	err := s.change(ctx, func(tx *ent.Tx) error {
		err := tx.SigningKey.Update().Where(signingkey.Active(true)).ClearActive().SetRetiredAt(s.now()).Exec(ctx)
		if err != nil {
			return err
		}
		return s.createSigningKey(ctx, tx, n, "key.rotate", nil)
	})
	if ent.IsConstraintError(err) {
		audit.MarkRecorded(ctx)
		id, err := s.client.SigningKey.Query().Where(signingkey.Active(true)).OnlyID(ctx)
		return id, translate(err)
	}
	return n.ID, err
}

func (s *Store) createSigningKey(ctx context.Context, tx *ent.Tx, n NewSigningKey, action string, actor *authn.Principal) error {
	err := tx.SigningKey.Create().SetID(n.ID).SetPublicKey(n.PublicKey).SetSealedPrivateKey(n.SealedPrivateKey).
		SetActive(true).SetCreatedAt(s.now()).Exec(ctx)
	if err != nil {
		return err
	}
	return s.trail.Append(ctx, tx, audit.Change{Action: action, Resource: n.ID, Actor: actor})
}

// SigningKeys returns the key that signs and those that signed until a while ago, the oldest first.
func (s *Store) SigningKeys(ctx context.Context, ago time.Duration) ([]*ent.SigningKey, error) {
	return s.client.SigningKey.Query().
		Where(signingkey.Or(signingkey.Active(true), signingkey.RetiredAtGT(s.now().Add(-ago)))).
		Order(signingkey.ByCreatedAt(), signingkey.ByID()).All(ctx)
}

// DeleteSigningKeys forgets the keys that were retired longer ago than age, and tells how many.
func (s *Store) DeleteSigningKeys(ctx context.Context, age time.Duration) (int, error) {
	return s.client.SigningKey.Delete().Where(signingkey.RetiredAtLT(s.now().Add(-age))).Exec(ctx)
}
