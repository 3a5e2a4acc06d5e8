package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/hashicorp/golang-lru/v2"

	"ashlar.dev/kernel/rpcerror"
)

const (
	// tokenType is the media type of access tokens (RFC 9068, section 2.1).
	tokenType = "at+jwt"
	// maxTokenBytes bounds what is parsed; our own tokens have about 500 bytes.
	maxTokenBytes = 4096
	// leeway is how far clocks of two machines may differ.
	leeway = 5 * time.Second
	// rememberedFor is how long a verification holds at most, so that a key that is withdrawn is soon out of use.
	rememberedFor = 5 * time.Minute
	// cachedTokens bounds the tokens whose verification is remembered: about 10 MB.
	cachedTokens = 50_000
)

// MaxLifetime is the longest time between a token's iat and its exp. Whoever gets hold of a key for a moment must not
// be able to make tokens that last for years.
const MaxLifetime = 15 * time.Minute

// Issuer and Audience of the platform's access tokens.
const (
	Issuer   = "ashlar"
	Audience = "ashlar"
)

// Claims is the content of an access token (RFC 9068, section 2.2): no roles, no permissions.
type Claims struct {
	jwt.RegisteredClaims
	SessionID      string `json:"sid"`
	OrganizationID string `json:"org,omitempty"`
}

// ErrUnknownKey is what a KeySource returns where no key has the id.
var ErrUnknownKey = errors.New("no such key")

// KeySource finds the public key that a token names. It returns ErrUnknownKey where there is none, and any other
// error where it cannot tell. It is safe for concurrent use.
type KeySource interface {
	Key(ctx context.Context, kid string) (ed25519.PublicKey, error)
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	keys   KeySource
	parser *jwt.Parser
	cache  *lru.Cache[[sha256.Size]byte, verified]
	now    func() time.Time
}

// verified is a verification that is remembered.
type verified struct {
	principal Principal
	until     time.Time
}

// NewVerifier returns a verifier with keys from a source.
func NewVerifier(keys KeySource) *Verifier {
	cache, err := lru.New[[sha256.Size]byte, verified](cachedTokens)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	v := &Verifier{keys: keys, cache: cache, now: time.Now}
	v.parser = jwt.NewParser(
		// One algorithm only: neither "none" nor a public key taken for an HMAC secret (RFC 8725, sections 3.1 and 3.2).
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(Issuer), jwt.WithAudience(Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(func() time.Time { return v.now() }),
	)
	return v
}

// Sign returns an access token with these claims, signed with a key that has an id.
func Sign(claims Claims, kid string, key ed25519.PrivateKey) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["typ"], token.Header["kid"] = tokenType, kid
	return token.SignedString(key)
}

// Verify returns whom an access token speaks for. It fails with unauthenticated (TOKEN_EXPIRED, TOKEN_INVALID), or with
// unavailable (KEYS_UNAVAILABLE) where the keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	if len(token) > maxTokenBytes {
		return Principal{}, invalid(errors.New("too long"))
	}
	sum := sha256.Sum256([]byte(token))
	now := v.now()
	if known, ok := v.cache.Get(sum); ok {
		if now.Before(known.until) {
			return known.principal, nil
		}
		v.cache.Remove(sum)
	}
	p, err := v.parse(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	until := p.ExpiresAt.Add(leeway)
	if latest := now.Add(rememberedFor); latest.Before(until) {
		until = latest
	}
	v.cache.Add(sum, verified{principal: p, until: until})
	return p, nil
}

func (v *Verifier) parse(ctx context.Context, token string) (Principal, error) {
	var claims Claims
	var unavailable error
	_, err := v.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		if typ, _ := t.Header["typ"].(string); typ != tokenType {
			return nil, fmt.Errorf("typ is %q", typ)
		}
		kid, _ := t.Header["kid"].(string)
		key, err := v.keys.Key(ctx, kid)
		if err != nil && !errors.Is(err, ErrUnknownKey) {
			unavailable = err
		}
		return key, err
	})
	switch {
	case unavailable != nil:
		return Principal{}, rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonKeysUnavailable,
			"access tokens cannot be verified at the moment", rpcerror.Cause(unavailable))
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, expired()
	case err != nil:
		return Principal{}, invalid(err)
	case claims.Subject == "" || claims.SessionID == "":
		return Principal{}, invalid(errors.New("no sub or no sid"))
	case claims.IssuedAt == nil:
		return Principal{}, invalid(errors.New("no iat"))
	case claims.ExpiresAt.Sub(claims.IssuedAt.Time) > MaxLifetime:
		return Principal{}, invalid(fmt.Errorf("good for more than %s", MaxLifetime))
	}
	return Principal{
		Kind: User, UserID: claims.Subject, SessionID: claims.SessionID, OrganizationID: claims.OrganizationID,
		ExpiresAt: claims.ExpiresAt.Time,
	}, nil
}

func expired() error {
	return rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenExpired, "the access token has expired")
}

func invalid(cause error) error {
	return rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenInvalid, "the access token is not valid", rpcerror.Cause(cause))
}
