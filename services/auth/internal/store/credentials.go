package store

import (
	"context"
	"time"

	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/ent/credential"
)

// actionSignUp is what is recorded when a person gets a first password.
const actionSignUp = "account.sign_up"

// CreatePending keeps the password of a sign-up that is under way, for a user who may not exist yet.
func (s *Store) CreatePending(ctx context.Context, userID, passwordHash string) error {
	now := s.now()
	return s.client.Credential.Create().SetID(userID).SetPasswordHash(passwordHash).
		SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx)
}

// DeletePending forgets a sign-up; one that is not pending is left alone.
func (s *Store) DeletePending(ctx context.Context, userID string) error {
	_, err := s.client.Credential.Delete().Where(credential.ID(userID), credential.StateEQ(credential.StatePending)).Exec(ctx)
	return err
}

// Activate completes a sign-up with a password, and records it as done by actor; where actor is nil, by the person. Where
// it is not pending, or no longer, it changes nothing and fails with ErrNotPending: of several that complete the same
// sign-up, one succeeds.
func (s *Store) Activate(ctx context.Context, userID, passwordHash string, actor *authn.Principal) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		n, err := tx.Credential.Update().Where(credential.ID(userID), credential.StateEQ(credential.StatePending)).
			SetState(credential.StateActive).SetPasswordHash(passwordHash).SetUpdatedAt(s.now()).Save(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotPending
		}
		return s.trail.Append(ctx, tx, signUp(userID, actor))
	})
}

// CreateActive gives a password to a user who has none. Where the user has one, pending or active, it changes nothing.
func (s *Store) CreateActive(ctx context.Context, userID, passwordHash string, actor *authn.Principal) error {
	err := s.change(ctx, func(tx *ent.Tx) error {
		now := s.now()
		err := tx.Credential.Create().SetID(userID).SetPasswordHash(passwordHash).SetState(credential.StateActive).
			SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, signUp(userID, actor))
	})
	if ent.IsConstraintError(err) {
		return nil
	}
	return err
}

func signUp(userID string, actor *authn.Principal) audit.Change {
	if actor == nil {
		actor = &authn.Principal{Kind: authn.User, UserID: userID}
	}
	return audit.Change{Action: actionSignUp, Resource: userID, Actor: actor}
}

// Credential returns a user's credential, pending or active.
func (s *Store) Credential(ctx context.Context, userID string) (*ent.Credential, error) {
	found, err := s.client.Credential.Get(ctx, userID)
	return found, translate(err)
}

// ReplaceHash keeps the same password under another hash; where the hash is not the old one any more, nothing changes.
func (s *Store) ReplaceHash(ctx context.Context, userID, oldHash, newHash string) error {
	return s.client.Credential.Update().Where(credential.ID(userID), credential.PasswordHash(oldHash)).
		SetPasswordHash(newHash).SetUpdatedAt(s.now()).Exec(ctx)
}

// PendingSince returns the users of up to limit sign-ups that have been pending for longer than age, or that Postpone put
// off longer ago than that; the oldest first.
func (s *Store) PendingSince(ctx context.Context, age time.Duration, limit int) ([]string, error) {
	return s.client.Credential.Query().
		Where(credential.StateEQ(credential.StatePending), credential.UpdatedAtLT(s.now().Add(-age))).
		Order(credential.ByUpdatedAt(), credential.ByID()).Limit(limit).IDs(ctx)
}

// Postpone makes a pending sign-up as young as if it were new.
func (s *Store) Postpone(ctx context.Context, userID string) error {
	return s.client.Credential.Update().Where(credential.ID(userID), credential.StateEQ(credential.StatePending)).
		SetUpdatedAt(s.now()).Exec(ctx)
}
