package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/services/identity/ent"
	"ashlar.dev/services/identity/ent/user"
)

// NewUser is what a person is made from.
type NewUser struct {
	// ID is made up where it is empty.
	ID, Email, DisplayName string
	// RequestKey makes creating idempotent where it is not empty.
	RequestKey string
}

// NormalizeEmail returns the form in which addresses are kept and compared. The part before the @ is case-sensitive by
// RFC 5321, section 2.4, but nobody treats it so.
func NormalizeEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// CreateUser adds a person. With a request key or an id that is there already it returns that person, and changes
// nothing; an id that belongs to another address, and a taken address, fail with ErrEmailTaken.
func (s *Store) CreateUser(ctx context.Context, n NewUser) (*ent.User, error) {
	n.Email = NormalizeEmail(n.Email)
	if n.ID == "" {
		n.ID = id.New(id.User)
	}
	var created *ent.User
	err := s.change(ctx, func(tx *ent.Tx) error {
		found, err := already(ctx, tx.User, n)
		if err != nil {
			return err
		}
		if found != nil {
			created = found
			audit.MarkRecorded(ctx)
			return nil
		}
		created, err = tx.User.Create().SetID(n.ID).SetEmail(n.Email).SetDisplayName(n.DisplayName).
			SetNillableRequestKey(optional(n.RequestKey)).Save(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "user.create", Resource: n.ID, Actor: self(ctx, n.ID), Attributes: map[string]string{"display_name": n.DisplayName},
		})
	})
	if ent.IsConstraintError(err) {
		return s.afterConflict(ctx, n, err)
	}
	return created, err
}

// already returns the person that an earlier request has created, if there is one. The request key comes before the id,
// because those two can belong to different people.
func already(ctx context.Context, users *ent.UserClient, n NewUser) (*ent.User, error) {
	if n.RequestKey != "" {
		found, err := users.Query().Where(user.RequestKey(n.RequestKey)).Only(ctx)
		if err == nil || !ent.IsNotFound(err) {
			return found, err
		}
	}
	found, err := users.Get(ctx, n.ID)
	switch {
	case ent.IsNotFound(err):
		return nil, nil //nolint:nilnil // nobody is there yet
	case err == nil && found.Email != n.Email:
		return nil, ErrEmailTaken
	}
	return found, err
}

// afterConflict finds out what another transaction, that came first, has created.
func (s *Store) afterConflict(ctx context.Context, n NewUser, conflict error) (*ent.User, error) {
	found, err := already(ctx, s.client.User, n)
	switch {
	case err != nil:
		return nil, errors.Join(err, conflict)
	case found == nil:
		return nil, errors.Join(ErrEmailTaken, conflict)
	}
	audit.MarkRecorded(ctx)
	return found, nil
}

// self is the person who signs up: nobody else is answerable for it. Where the caller is known, it is nil.
func self(ctx context.Context, userID string) *authn.Principal {
	if actor := authn.FromContext(ctx).Actor(); actor.Kind == authn.User {
		return nil
	}
	return &authn.Principal{Kind: authn.User, UserID: userID}
}

// User returns a person by id.
func (s *Store) User(ctx context.Context, userID string) (*ent.User, error) {
	found, err := s.client.User.Get(ctx, userID)
	return found, translate(err)
}

// UserByEmail returns a person by address.
func (s *Store) UserByEmail(ctx context.Context, email string) (*ent.User, error) {
	found, err := s.client.User.Query().Where(user.Email(NormalizeEmail(email))).Only(ctx)
	return found, translate(err)
}

// Users returns up to limit people whose ids come after the given one, in the order of creation; with an address, only
// those who have it.
func (s *Store) Users(ctx context.Context, email, after string, limit int) ([]*ent.User, error) {
	query := s.client.User.Query().Where(user.IDGT(after)).Order(user.ByID()).Limit(limit)
	if email != "" {
		query.Where(user.Email(NormalizeEmail(email)))
	}
	return query.All(ctx)
}

// RenameUser changes how a person is called. Where version is not zero and not the present one it fails with ErrChanged.
func (s *Store) RenameUser(ctx context.Context, userID string, version int64, displayName string) (*ent.User, error) {
	var changed *ent.User
	err := s.change(ctx, func(tx *ent.Tx) error {
		// The version is asked for where it is changed: reading it first would do in serializable transactions only.
		update := tx.User.Update().Where(user.ID(userID)).SetDisplayName(displayName).AddVersion(1)
		if version != 0 {
			update.Where(user.Version(version))
		}
		n, err := update.Save(ctx)
		if err != nil {
			return err
		}
		if changed, err = tx.User.Get(ctx, userID); err != nil {
			return err
		}
		if n == 0 {
			return ErrChanged
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: "user.update", Resource: userID, Attributes: map[string]string{"display_name": displayName},
		})
	})
	return changed, err
}

// SetUserDeactivated deactivates a person or undoes it; where it is so already, nothing changes.
func (s *Store) SetUserDeactivated(ctx context.Context, userID string, deactivated bool) (*ent.User, error) {
	var changed *ent.User
	err := s.change(ctx, func(tx *ent.Tx) error {
		update := tx.User.Update().Where(user.ID(userID)).AddVersion(1)
		if deactivated {
			update.Where(user.DeactivatedAtIsNil()).SetDeactivatedAt(time.Now())
		} else {
			update.Where(user.DeactivatedAtNotNil()).ClearDeactivatedAt()
		}
		n, err := update.Save(ctx)
		if err != nil {
			return err
		}
		if changed, err = tx.User.Get(ctx, userID); err != nil {
			return err
		}
		if n == 0 {
			audit.MarkRecorded(ctx)
			return nil
		}
		return s.trail.Append(ctx, tx, audit.Change{Action: activation("user", deactivated), Resource: userID})
	})
	return changed, err
}

func activation(resource string, deactivated bool) string {
	if deactivated {
		return fmt.Sprintf("%s.deactivate", resource)
	}
	return fmt.Sprintf("%s.reactivate", resource)
}
