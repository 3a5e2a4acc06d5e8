package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/internal/keyring"
	"ashlar.dev/services/auth/internal/refreshtoken"
)

// AccessTokenLifetime is how long an access token is good; it is not looked up anywhere, so it must be short.
const AccessTokenLifetime = 5 * time.Minute

// Tokens makes tokens for sessions. It is safe for concurrent use.
type Tokens struct {
	ring       *keyring.Ring
	refreshKey []byte
	clock      func() time.Time
}

// NewTokens returns tokens that are signed with the keys of a ring; refreshKey is what refresh tokens are derived with.
func NewTokens(ring *keyring.Ring, refreshKey []byte, clock func() time.Time) *Tokens {
	return &Tokens{ring, refreshKey, clock}
}

func (t *Tokens) next(token refreshtoken.Token) refreshtoken.Token { return token.Next(t.refreshKey) }

// issue returns what the client of a session keeps.
func (t *Tokens) issue(ctx context.Context, session *ent.Session, refresh refreshtoken.Token) (*authv1.Tokens, error) {
	access, expires, err := t.access(ctx, subject{
		user: session.UserID, session: session.ID, organization: session.OrganizationID, until: session.ExpiresAt,
	})
	if err != nil {
		return nil, err
	}
	return &authv1.Tokens{AccessToken: access, RefreshToken: refresh.String(), ExpiresAt: timestamppb.New(expires)}, nil
}

// subject is whom an access token speaks for, and what it must not outlive.
type subject struct {
	user, session, organization string
	until                       time.Time
}

// access returns a new access token, and when it expires.
func (t *Tokens) access(ctx context.Context, s subject) (token string, expires time.Time, err error) {
	now := t.clock()
	expires = now.Add(AccessTokenLifetime)
	if s.until.Before(expires) {
		expires = s.until
	}
	expires = expires.Truncate(time.Second) // the precision of a JWT here
	kid, key, err := t.ring.Signer(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	token, err = authn.Sign(authn.Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: s.user, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		SessionID: s.session, OrganizationID: s.organization,
	}, kid, key)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign an access token: %w", err)
	}
	return token, expires, nil
}
