package store

import (
	"context"
	"time"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/ent/session"
	"ashlar.dev/services/auth/internal/refreshtoken"
)

// How long sessions live.
const (
	// MaxSessionAge is when a session ends however often it is refreshed.
	MaxSessionAge = 30 * 24 * time.Hour
	// MaxSessionIdle is when a session ends that is not refreshed.
	MaxSessionIdle = 14 * 24 * time.Hour
)

const (
	actionCreate  = "session.create"
	actionRefresh = "session.refresh"
	actionRevoke  = "session.revoke"
)

// NewSession is what a session is made from.
type NewSession struct {
	ID, UserID string
	// OrganizationID may be empty.
	OrganizationID string
	Token          refreshtoken.Token
}

// CreateSession signs a person in.
func (s *Store) CreateSession(ctx context.Context, n NewSession) (*ent.Session, error) {
	var created *ent.Session
	err := s.change(ctx, func(tx *ent.Tx) error {
		now := s.now()
		var err error
		created, err = tx.Session.Create().SetID(n.ID).SetUserID(n.UserID).SetOrganizationID(n.OrganizationID).
			SetCreatedAt(now).SetRefreshedAt(now).SetExpiresAt(expiry(now, now)).
			SetFamilyHash(n.Token.FamilyHash()).SetTokenHash(n.Token.Hash()).Save(ctx)
		if err != nil {
			return err
		}
		return s.trail.Append(ctx, tx, audit.Change{
			Action: actionCreate, Resource: n.ID, Organization: n.OrganizationID, Actor: owner(created),
		})
	})
	return created, err
}

// RefuseSession records that somebody tried to sign in and was refused. userID is whose account it was about, and empty
// where there is no such person: whoever tried has proven nothing, so nobody is named as the actor.
func (s *Store) RefuseSession(ctx context.Context, userID, reason string) {
	s.trail.Refused(ctx, audit.Change{Action: actionCreate, Resource: userID}, reason)
}

// expiry is when a session ends that was created and last refreshed then.
func expiry(created, refreshed time.Time) time.Time {
	oldest, idle := created.Add(MaxSessionAge), refreshed.Add(MaxSessionIdle)
	if oldest.Before(idle) {
		return oldest
	}
	return idle
}

// owner is the person of a session as an actor.
func owner(found *ent.Session) *authn.Principal {
	return &authn.Principal{Kind: authn.User, UserID: found.UserID, SessionID: found.ID}
}

// LiveSession returns a person's session. It fails with ErrSessionRevoked or ErrSessionExpired where it is over, and
// with ErrNotFound where the person has no such session.
func (s *Store) LiveSession(ctx context.Context, userID, sessionID string) (*ent.Session, error) {
	found, err := s.client.Session.Query().Where(session.ID(sessionID), session.UserID(userID)).Only(ctx)
	if err != nil {
		return nil, translate(err)
	}
	return found, over(found, s.now())
}

// LiveSessions returns up to limit of a person's sessions that are not over, the newest first; with before, only those
// that began before the session of that id.
func (s *Store) LiveSessions(ctx context.Context, userID, before string, limit int) ([]*ent.Session, error) {
	page := keyset.Page{
		Within: []keyset.Fixed{{Column: session.FieldUserID, Value: userID}}, Key: session.FieldID, After: before, Descending: true,
	}
	return s.client.Session.Query().Where(page.Narrow(), session.RevokedAtIsNil(), session.ExpiresAtGT(s.now())).Limit(limit).All(ctx)
}

// over tells why a session can be used no more; nil where it can.
func over(found *ent.Session, now time.Time) error {
	switch {
	case found.RevokedAt != nil:
		return ErrSessionRevoked
	case !found.ExpiresAt.After(now):
		return ErrSessionExpired
	default:
		return nil
	}
}

// RevokeSession ends a person's session; where it was ended before, nothing changes. It fails with ErrNotFound where the
// person has no such session.
func (s *Store) RevokeSession(ctx context.Context, userID, sessionID string) error {
	return s.change(ctx, func(tx *ent.Tx) error {
		found, err := tx.Session.Query().Where(session.ID(sessionID), session.UserID(userID)).Only(ctx)
		if err != nil {
			return err
		}
		return s.revoke(ctx, tx, found, nil, "")
	})
}

// EndSession ends a session because of a reason that its person did not give.
func (s *Store) EndSession(ctx context.Context, found *ent.Session, reason string) error {
	return s.change(ctx, func(tx *ent.Tx) error { return s.revoke(ctx, tx, found, itself, reason) })
}

func (s *Store) revoke(ctx context.Context, tx *ent.Tx, found *ent.Session, actor *authn.Principal, reason string) error {
	n, err := tx.Session.Update().Where(session.ID(found.ID), session.RevokedAtIsNil()).SetRevokedAt(s.now()).Save(ctx)
	if err != nil {
		return err
	}
	if n == 0 {
		audit.MarkRecorded(ctx)
		return nil
	}
	attributes := map[string]string{"user": found.UserID}
	if reason != "" {
		attributes["reason"] = reason
	}
	return s.trail.Append(ctx, tx, audit.Change{
		Action: actionRevoke, Resource: found.ID, Organization: found.OrganizationID, Actor: actor, Attributes: attributes,
	})
}

// DeleteSessions forgets up to limit sessions that have been over for longer than age, and tells how many.
func (s *Store) DeleteSessions(ctx context.Context, age time.Duration, limit int) (int, error) {
	ids, err := s.client.Session.Query().Where(session.ExpiresAtLT(s.now().Add(-age))).
		Order(session.ByExpiresAt()).Limit(limit).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return s.client.Session.Delete().Where(session.IDIn(ids...)).Exec(ctx)
}
