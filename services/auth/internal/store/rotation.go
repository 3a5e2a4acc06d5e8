package store

import (
	"context"
	"crypto/subtle"
	"time"

	"ashlar.dev/kernel/audit"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/ent/session"
	"ashlar.dev/services/auth/internal/refreshtoken"
)

// RefreshGrace is how long a refresh token is taken again after it was used: whoever lost the answer, or refreshed in two
// windows at once, is not signed out. It is given the same next token, so nobody gets further with it than once.
const RefreshGrace = 30 * time.Second

// reasonReused is the reason of a revocation that is recorded.
const reasonReused = "REFRESH_TOKEN_REUSED"

// use is what a refresh token is to its session.
type use int

const (
	current  use = iota // the session's newest token
	repeated            // the one before, within the grace
	reused              // any other that the session has had: somebody else may hold it (RFC 9700, section 4.14.2)
)

// judge tells what a token of its family is to a session.
func judge(found *ent.Session, hash []byte, now time.Time) use {
	switch {
	case subtle.ConstantTimeCompare(found.TokenHash, hash) == 1:
		return current
	case subtle.ConstantTimeCompare(found.PreviousHash, hash) == 1 && now.Sub(found.RefreshedAt) <= RefreshGrace:
		return repeated
	default:
		return reused
	}
}

// TokenSession returns the session that a refresh token is good for, and changes nothing, unless the token was used before:
// that ends the session and fails with ErrTokenReused. It fails with ErrNotFound where no session has had the token, and
// with ErrSessionRevoked or ErrSessionExpired where the session is over.
func (s *Store) TokenSession(ctx context.Context, token refreshtoken.Token) (*ent.Session, error) {
	found, err := s.client.Session.Query().Where(session.FamilyHash(token.FamilyHash())).Only(ctx)
	if err != nil {
		return nil, translate(err)
	}
	now := s.now()
	if err := over(found, now); err != nil {
		return nil, err
	}
	if judge(found, token.Hash(), now) != reused {
		return found, nil
	}
	if err := s.EndSession(ctx, found, reasonReused); err != nil {
		return nil, err
	}
	return nil, ErrTokenReused
}

// Rotate makes next, which must be derived from token, the token of the session that token is good for; it fails like
// TokenSession. Of many that do it at once, in any number of processes, one changes the session, and the others find that
// it was done.
func (s *Store) Rotate(ctx context.Context, token, next refreshtoken.Token) (*ent.Session, error) {
	var after *ent.Session
	var verdict error
	err := s.change(ctx, func(tx *ent.Tx) error {
		after, verdict = nil, nil
		// The second look is for who finds that another was faster; then the token is current no more.
		for range 2 {
			found, err := tx.Session.Query().Where(session.FamilyHash(token.FamilyHash())).Only(ctx)
			if err != nil {
				return err
			}
			now := s.now()
			if verdict = over(found, now); verdict != nil {
				return nil //nolint:nilerr // an error would undo the transaction; the verdict is handed out beside it
			}
			switch judge(found, token.Hash(), now) {
			case reused:
				verdict = ErrTokenReused
				return s.revoke(ctx, tx, found, itself, reasonReused)
			case repeated:
				if subtle.ConstantTimeCompare(found.TokenHash, next.Hash()) != 1 {
					// The key that tokens are derived with is another one now: what was given out cannot be given again.
					verdict = ErrNotFound
					return nil
				}
				after = found
				return s.appendRefresh(ctx, tx, found, map[string]string{"repeated": "true"})
			case current:
				n, err := tx.Session.Update().Where(session.ID(found.ID), session.TokenHash(token.Hash()), session.RevokedAtIsNil()).
					SetTokenHash(next.Hash()).SetPreviousHash(token.Hash()).
					SetRefreshedAt(now).SetExpiresAt(expiry(found.CreatedAt, now)).Save(ctx)
				if err != nil {
					return err
				}
				if n == 0 {
					continue
				}
				found.RefreshedAt, found.ExpiresAt = now, expiry(found.CreatedAt, now)
				after = found
				return s.appendRefresh(ctx, tx, found, nil)
			}
		}
		return errUnsettled
	})
	if err != nil {
		return nil, err
	}
	return after, verdict
}

func (s *Store) appendRefresh(ctx context.Context, tx *ent.Tx, found *ent.Session, attributes map[string]string) error {
	return s.trail.Append(ctx, tx, audit.Change{
		Action: actionRefresh, Resource: found.ID, Organization: found.OrganizationID, Actor: owner(found), Attributes: attributes,
	})
}
