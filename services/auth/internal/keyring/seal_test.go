package keyring

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/workload"
)

func TestSealedKeysOpenOnlyInTheirPlace(t *testing.T) {
	own, err := newSealer(workload.NewClusterKey().Derive("test"))
	require.NoError(t, err)
	other, err := newSealer(workload.NewClusterKey().Derive("test"))
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	sealed := own.seal("key_1", private)
	assert.NotContains(t, string(sealed), string(private.Seed()))
	assert.NotEqual(t, sealed, own.seal("key_1", private), "the nonce is another one each time")

	opened, err := own.open("key_1", public, sealed)
	require.NoError(t, err)
	assert.Equal(t, private, opened)

	_, err = other.open("key_1", public, sealed)
	require.ErrorIs(t, err, ErrWrongClusterKey)
	assert.ErrorContains(t, err, "the cluster key is not the one")
	_, err = own.open("key_2", public, sealed)
	require.ErrorIs(t, err, ErrWrongClusterKey)
	for i := range sealed {
		changed := append([]byte(nil), sealed...)
		changed[i] ^= 1
		_, err = own.open("key_1", public, changed)
		require.ErrorIs(t, err, ErrWrongClusterKey)
	}
	_, err = own.open("key_1", public, nil)
	require.ErrorIs(t, err, ErrWrongClusterKey)

	foreign, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, err = own.open("key_1", foreign, sealed)
	require.ErrorContains(t, err, "somebody changed the row")
}
