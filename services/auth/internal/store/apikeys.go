package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/ent/apikey"
)

// MaxAPIKeys is how many keys that can be used one person may have.
const MaxAPIKeys = 50

// usedEvery is how exactly it is known when a key was used last: not each use is worth a write.
const usedEvery = time.Hour

// ErrTooManyAPIKeys says that a person has as many keys as he may.
var ErrTooManyAPIKeys = errors.New("too many API keys")

// NewAPIKey is what an API key is made from.
type NewAPIKey struct {
	ID, UserID, DisplayName string
	// OrganizationID may be empty.
	OrganizationID string
	// SecretHash is SHA-256.
	SecretHash []byte
	ExpiresAt  time.Time
	// RequestKey makes creating idempotent where it is not empty.
	RequestKey string
}

// CreateAPIKey gives a person a key. With a request key that is there already it returns that of the earlier request. It
// fails with ErrTooManyAPIKeys.
func (s *Store) CreateAPIKey(ctx context.Context, n NewAPIKey) (*ent.APIKey, error) {
	var key *ent.APIKey
	err := s.change(ctx, func(tx *ent.Tx) error {
		found, err := earlierAPIKey(ctx, tx.APIKey, n.RequestKey)
		if err != nil || found != nil {
			key = found
			return err
		}
		// Two at once may both see room for one: the bound is against heaps, and not exact.
		live, err := tx.APIKey.Query().Where(apikey.UserID(n.UserID), apikey.RevokedAtIsNil(), apikey.ExpiresAtGT(s.now())).
			Limit(MaxAPIKeys).Count(ctx)
		if err != nil {
			return err
		}
		if live >= MaxAPIKeys {
			return ErrTooManyAPIKeys
		}
		create := tx.APIKey.Create().SetID(n.ID).SetUserID(n.UserID).SetOrganizationID(n.OrganizationID).
			SetDisplayName(n.DisplayName).SetSecretHash(n.SecretHash).SetCreatedAt(s.now()).SetExpiresAt(n.ExpiresAt)
		if n.RequestKey != "" {
			create.SetRequestKey(n.RequestKey)
		}
		if key, err = create.Save(ctx); err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "api_key.create", Resource: key.ID, Organization: key.OrganizationID,
			Attributes: map[string]string{"expires_at": key.ExpiresAt.UTC().Format(time.RFC3339)},
		})
	})
	if ent.IsConstraintError(err) {
		// The same request at the very same time.
		if found, again := earlierAPIKey(ctx, s.client.APIKey, n.RequestKey); again == nil && found != nil {
			key, err = found, nil
		}
	}
	if err == nil && key.ID != n.ID {
		audit.MarkRecorded(ctx)
	}
	return key, err
}

// earlierAPIKey returns what an earlier request has created; nil where there is none.
func earlierAPIKey(ctx context.Context, keys *ent.APIKeyClient, requestKey string) (*ent.APIKey, error) {
	if requestKey == "" {
		return nil, nil //nolint:nilnil // nothing is a value here
	}
	found, err := keys.Query().Where(apikey.RequestKey(requestKey)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil //nolint:nilnil // as above
	}
	return found, err
}

// LiveAPIKeys returns up to limit of a person's keys that can be used, the newest first; with before, only those that were
// made before the key of that id.
func (s *Store) LiveAPIKeys(ctx context.Context, userID, before string, limit int) ([]*ent.APIKey, error) {
	page := keyset.Page{
		Within: []keyset.Fixed{{Column: apikey.FieldUserID, Value: userID}}, Key: apikey.FieldID, After: before, Descending: true,
	}
	return s.client.APIKey.Query().Where(page.Narrow(), apikey.RevokedAtIsNil(), apikey.ExpiresAtGT(s.now())).Limit(limit).All(ctx)
}

// LiveAPIKey returns a person's key that can be used; it fails with ErrNotFound.
func (s *Store) LiveAPIKey(ctx context.Context, userID, keyID string) (*ent.APIKey, error) {
	found, err := s.client.APIKey.Query().
		Where(apikey.ID(keyID), apikey.UserID(userID), apikey.RevokedAtIsNil(), apikey.ExpiresAtGT(s.now())).Only(ctx)
	return found, translate(err)
}

// UseAPIKey returns the key with an id and a secret of this hash, and notes that it was used. It fails with ErrNotFound where
// there is none that can be used.
func (s *Store) UseAPIKey(ctx context.Context, keyID string, secretHash []byte) (*ent.APIKey, error) {
	now := s.now()
	found, err := s.client.APIKey.Query().Where(apikey.ID(keyID)).Only(ctx)
	if err != nil {
		return nil, translate(err)
	}
	if subtle.ConstantTimeCompare(found.SecretHash, secretHash) != 1 || found.RevokedAt != nil || !found.ExpiresAt.After(now) {
		return nil, ErrNotFound
	}
	hour := now.Truncate(usedEvery)
	if found.UsedAt == nil || found.UsedAt.Before(hour) {
		err = s.client.APIKey.Update().Where(apikey.ID(keyID), apikey.Or(apikey.UsedAtIsNil(), apikey.UsedAtLT(hour))).
			SetUsedAt(hour).Exec(ctx)
	}
	return found, err
}

// RevokeAPIKey ends a person's key; where it was ended before, nothing changes. It fails with ErrNotFound where the person
// has no such key.
func (s *Store) RevokeAPIKey(ctx context.Context, userID, keyID string) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		found, err := tx.APIKey.Query().Where(apikey.ID(keyID), apikey.UserID(userID)).Only(ctx)
		if err != nil {
			return err
		}
		n, err := tx.APIKey.Update().Where(apikey.ID(keyID), apikey.RevokedAtIsNil()).SetRevokedAt(s.now()).Save(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			audit.MarkRecorded(ctx)
			return nil
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: "api_key.revoke", Resource: keyID, Organization: found.OrganizationID})
	})
}

// DeleteAPIKeys forgets up to limit keys that have been over for longer than age, and tells how many.
func (s *Store) DeleteAPIKeys(ctx context.Context, age time.Duration, limit int) (int, error) {
	ids, err := s.client.APIKey.Query().Where(apikey.ExpiresAtLT(s.now().Add(-age))).
		Order(apikey.ByExpiresAt()).Limit(limit).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return s.client.APIKey.Delete().Where(apikey.IDIn(ids...)).Exec(ctx)
}
