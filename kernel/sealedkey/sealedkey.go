// Package sealedkey encrypts Ed25519 private keys that a service keeps in its database, so that a copy of the database is
// no copy of the keys. It knows nothing of what they sign, or of where they are kept.
package sealedkey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"fmt"
)

var (
	// ErrWrongKey says that a private key was sealed under another key than the sealer's, in another place, or was changed.
	ErrWrongKey = errors.New("it was sealed under another key, or somebody changed it")
	// ErrWrongPair says that a private key is not that of the public key beside it.
	ErrWrongPair = errors.New("its public key does not belong to its private key: somebody changed the row")
)

// Sealer encrypts private keys with AES-256-GCM. The id of a key is authenticated with it, so that one row's secret cannot
// be put into another's place. It is safe for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// NewSealer returns a sealer with a key of 32 bytes.
func NewSealer(key []byte) (Sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return Sealer{}, fmt.Errorf("sealed keys: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Sealer{}, fmt.Errorf("sealed keys: %w", err)
	}
	return Sealer{aead}, nil
}

// Seal returns the private key of an id, encrypted.
func (s Sealer) Seal(id string, key ed25519.PrivateKey) []byte {
	return s.aead.Seal(nil, nil, key.Seed(), []byte(id)) //nolint:gosec // this AEAD makes a random nonce itself, and refuses any other
}

// Open returns the private key of a public key. It fails with ErrWrongKey or ErrWrongPair.
func (s Sealer) Open(id string, public ed25519.PublicKey, sealed []byte) (ed25519.PrivateKey, error) {
	seed, err := s.aead.Open(nil, nil, sealed, []byte(id))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, ErrWrongKey
	}
	key := ed25519.NewKeyFromSeed(seed)
	if !public.Equal(key.Public()) {
		return nil, ErrWrongPair
	}
	return key, nil
}
