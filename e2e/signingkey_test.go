package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/workload"
)

// signingKey returns the key that the platform signs access tokens with, and its id. Whoever holds the cluster key and
// auth's database can sign; only so can a test make a token in which one thing alone is wrong.
func (p *platform) signingKey(t testing.TB) (kid string, key ed25519.PrivateKey) {
	t.Helper()
	var sealed []byte
	err := p.open(t, "auth").QueryRowContext(t.Context(), "SELECT id, sealed_private_key FROM signing_keys WHERE active").Scan(&kid, &sealed)
	require.NoError(t, err)

	cluster, err := workload.ReadClusterKey(filepath.Join(p.home, "cluster.key"))
	require.NoError(t, err)
	block, err := aes.NewCipher(cluster.Derive("auth signing key"))
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	seed, err := aead.Open(nil, nil, sealed, []byte(kid))
	require.NoError(t, err)
	return kid, ed25519.NewKeyFromSeed(seed)
}
