// Package apikey makes and reads the secrets of API keys. A secret names its key and proves that it is known; it can be
// made again from the id by whoever has the key that it is derived with, and by nobody from what is kept of it.
package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
)

const proofBytes = sha256.Size

var encoding = base64.RawURLEncoding.Strict()

// ErrMalformed says that a string is no secret of an API key.
var ErrMalformed = errors.New("not an API key")

// Secret is the secret of an API key.
type Secret struct {
	// ID is the key's.
	ID    string
	proof [proofBytes]byte
}

// New returns the secret of the key with an id, derived (HMAC-SHA256) with a key that only auth has: a request that is
// made again, because the answer was lost, is answered the same, and nothing is kept for that.
func New(id string, key []byte) Secret {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id))
	s := Secret{ID: id}
	copy(s.proof[:], mac.Sum(nil))
	return s
}

// Parse reads a secret that String wrote.
func Parse(text string) (Secret, error) {
	rest, ok := strings.CutPrefix(text, authn.APIKeyPrefix)
	suffix, proof, found := strings.Cut(rest, ".")
	if !ok || !found || len(proof) != encoding.EncodedLen(proofBytes) {
		return Secret{}, ErrMalformed
	}
	s := Secret{ID: string(authn.APIKey) + "_" + suffix}
	if id.Check(authn.APIKey, s.ID) != nil {
		return Secret{}, ErrMalformed
	}
	b, err := encoding.DecodeString(proof)
	// The decoder passes over line breaks.
	if err != nil || len(b) != proofBytes {
		return Secret{}, ErrMalformed
	}
	copy(s.proof[:], b)
	return s, nil
}

// String returns the secret as the client keeps it.
func (s Secret) String() string {
	return authn.APIKeyPrefix + strings.TrimPrefix(s.ID, string(authn.APIKey)+"_") + "." + encoding.EncodeToString(s.proof[:])
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return "apikey.Secret{[redacted]}" }

// Hash is the SHA-256 of the proof, which nobody can guess.
func (s Secret) Hash() []byte {
	sum := sha256.Sum256(s.proof[:])
	return sum[:]
}
