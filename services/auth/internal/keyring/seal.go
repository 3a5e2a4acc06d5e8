package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"fmt"
)

// ErrWrongClusterKey says that a signing key was sealed under another cluster key, or was changed.
var ErrWrongClusterKey = errors.New("the cluster key is not the one that this database's signing keys were sealed with: " +
	"start with that cluster key; if it is lost, delete the rows of the table signing_keys, and every access token has to be refreshed once")

// sealer encrypts private keys with AES-256-GCM; the key's id is authenticated with it, so that one row's secret cannot be
// put into another's place.
type sealer struct{ aead cipher.AEAD }

// newSealer returns a sealer with a key of 32 bytes.
func newSealer(key []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("signing keys: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("signing keys: %w", err)
	}
	return sealer{aead}, nil
}

func (s sealer) seal(kid string, key ed25519.PrivateKey) []byte {
	return s.aead.Seal(nil, nil, key.Seed(), []byte(kid)) //nolint:gosec // this AEAD makes a random nonce itself, and refuses any other
}

// open returns the private key of a public key.
func (s sealer) open(kid string, public ed25519.PublicKey, sealed []byte) (ed25519.PrivateKey, error) {
	seed, err := s.aead.Open(nil, nil, sealed, []byte(kid))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("signing key %s: %w", kid, ErrWrongClusterKey)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if !public.Equal(key.Public()) {
		return nil, fmt.Errorf("signing key %s: its public key does not belong to its private key: somebody changed the row", kid)
	}
	return key, nil
}
