package sealedkey_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/sealedkey"
	"ashlar.dev/kernel/workload"
)

func TestSealedKeysOpenOnlyInTheirPlace(t *testing.T) {
	t.Parallel()
	own, err := sealedkey.NewSealer(workload.NewClusterKey().Derive("test"))
	require.NoError(t, err)
	other, err := sealedkey.NewSealer(workload.NewClusterKey().Derive("test"))
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	sealed := own.Seal("key_1", private)
	assert.NotContains(t, string(sealed), string(private.Seed()))
	assert.NotEqual(t, sealed, own.Seal("key_1", private), "the nonce is another one each time")

	opened, err := own.Open("key_1", public, sealed)
	require.NoError(t, err)
	assert.Equal(t, private, opened)

	_, err = other.Open("key_1", public, sealed)
	require.ErrorIs(t, err, sealedkey.ErrWrongKey)
	_, err = own.Open("key_2", public, sealed)
	require.ErrorIs(t, err, sealedkey.ErrWrongKey)
	for i := range sealed {
		changed := append([]byte(nil), sealed...)
		changed[i] ^= 1
		_, err = own.Open("key_1", public, changed)
		require.ErrorIs(t, err, sealedkey.ErrWrongKey)
	}
	_, err = own.Open("key_1", public, nil)
	require.ErrorIs(t, err, sealedkey.ErrWrongKey)

	foreign, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, err = own.Open("key_1", foreign, sealed)
	require.ErrorIs(t, err, sealedkey.ErrWrongPair)
	require.ErrorContains(t, err, "somebody changed the row")
}

func TestASealerNeedsAWholeKey(t *testing.T) {
	t.Parallel()
	_, err := sealedkey.NewSealer(make([]byte, 31))
	require.Error(t, err)
}
