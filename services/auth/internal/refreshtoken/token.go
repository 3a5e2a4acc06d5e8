// Package refreshtoken makes and reads refresh tokens. A token has two parts: a family, which all tokens of a session
// share and by which the session is found, and a secret, which each token has of its own. So any token that a session
// ever had can be told from one that was made up, though only hashes of the last two are kept. The package knows
// neither sessions nor where hashes are kept.
package refreshtoken

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

const (
	prefix      = "rt_"
	familyBytes = 16
	secretBytes = 32
)

var encoding = base64.RawURLEncoding.Strict()

// ErrMalformed says that a string is no refresh token.
var ErrMalformed = errors.New("not a refresh token")

// Token is a refresh token.
type Token struct {
	family [familyBytes]byte
	secret [secretBytes]byte
}

// New returns the first token of a new session.
func New() Token {
	var t Token
	_, _ = rand.Read(t.family[:]) // never fails (crypto/rand)
	_, _ = rand.Read(t.secret[:])
	return t
}

// Parse reads a token that String wrote.
func Parse(s string) (Token, error) {
	text, ok := strings.CutPrefix(s, prefix)
	if !ok || len(text) != encoding.EncodedLen(familyBytes+secretBytes) {
		return Token{}, ErrMalformed
	}
	b, err := encoding.DecodeString(text)
	// The decoder passes over line breaks.
	if err != nil || len(b) != familyBytes+secretBytes {
		return Token{}, ErrMalformed
	}
	var t Token
	copy(t.family[:], b[:familyBytes])
	copy(t.secret[:], b[familyBytes:])
	return t, nil
}

// String returns the token as the client keeps it.
func (t Token) String() string {
	return prefix + encoding.EncodeToString(append(t.family[:], t.secret[:]...))
}

// GoString keeps %#v from showing the token.
func (t Token) GoString() string { return "refreshtoken.Token{[redacted]}" }

// FamilyHash is the SHA-256 of the family.
func (t Token) FamilyHash() []byte {
	sum := sha256.Sum256(t.family[:])
	return sum[:]
}

// Hash is the SHA-256 of the whole token. Tokens are random, so that a plain hash is enough (OWASP, Session Management
// Cheat Sheet).
func (t Token) Hash() []byte {
	sum := sha256.Sum256(append(t.family[:], t.secret[:]...))
	return sum[:]
}

// Next returns the token that follows this one in its session. It is derived (HMAC-SHA256) from this one and a key that
// only auth has: whoever refreshes with the same token, at the same time or again after the answer was lost, is given the
// same next token by every instance, and nothing that could be replayed has to be kept for that.
func (t Token) Next(key []byte) Token {
	mac := hmac.New(sha256.New, key)
	mac.Write(t.family[:])
	mac.Write(t.secret[:])
	next := Token{family: t.family}
	copy(next.secret[:], mac.Sum(nil))
	return next
}
