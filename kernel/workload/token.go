package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ashlar.dev/kernel/authn"
)

const (
	tokenType     = "workload+jwt"
	tokenLifetime = 30 * time.Second
	tokenLeeway   = 5 * time.Second
	maxTokenBytes = 2048
	purpose       = "workload token"
)

// claims is the content of a proof: iss is the calling service, aud the one service it is for.
type claims struct {
	jwt.RegisteredClaims
	OnBehalfOf     string `json:"obo,omitempty"`
	SessionID      string `json:"sid,omitempty"`
	OrganizationID string `json:"org,omitempty"`
}

// Tokens proves and verifies by short-lived tokens signed with a key derived from the cluster key: whoever holds the
// cluster key can speak for any service. It implements Prover and Verifier.
type Tokens struct {
	service string
	key     []byte
	parser  *jwt.Parser
}

// NewTokens returns the proofs of the named service.
func NewTokens(service string, key ClusterKey) *Tokens {
	return &Tokens{
		service: service, key: key.Derive(purpose),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithAudience(service),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(tokenLeeway),
		),
	}
}

// Prove implements Prover.
func (t *Tokens) Prove(ctx context.Context, audience string) (string, error) {
	now := time.Now()
	c := claims{RegisteredClaims: jwt.RegisteredClaims{
		Issuer: t.service, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenLifetime)),
	}}
	if actor := authn.FromContext(ctx).Actor(); actor.Kind == authn.User {
		c.OnBehalfOf, c.SessionID, c.OrganizationID = actor.UserID, actor.SessionID, actor.OrganizationID
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	token.Header["typ"] = tokenType
	return token.SignedString(t.key)
}

// Verify implements Verifier.
func (t *Tokens) Verify(proof string) (authn.Principal, error) {
	if proof == "" {
		return authn.Principal{}, errors.New("no proof")
	}
	if len(proof) > maxTokenBytes {
		return authn.Principal{}, errors.New("proof too long")
	}
	var c claims
	_, err := t.parser.ParseWithClaims(proof, &c, func(token *jwt.Token) (any, error) {
		if typ, _ := token.Header["typ"].(string); typ != tokenType {
			return nil, fmt.Errorf("typ is %q", typ)
		}
		return t.key, nil
	})
	if err != nil {
		return authn.Principal{}, err
	}
	if c.Issuer == "" {
		return authn.Principal{}, errors.New("no iss")
	}
	p := authn.Principal{Kind: authn.Service, ServiceName: c.Issuer}
	if c.OnBehalfOf != "" {
		p.OnBehalfOf = &authn.Principal{
			Kind: authn.User, UserID: c.OnBehalfOf, SessionID: c.SessionID, OrganizationID: c.OrganizationID,
		}
	}
	return p, nil
}
