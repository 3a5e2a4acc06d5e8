package password

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cheap is for tests that are not about the cost.
var cheap = Params{Memory: 64, Passes: 1, Threads: 1}

func TestVerifyKnowsTheReferenceImplementation(t *testing.T) {
	h := NewHasher(DefaultParams)
	right, stale, err := h.Verify(t.Context(), reference, "password")
	require.NoError(t, err)
	assert.True(t, right)
	assert.True(t, stale, "other parameters than ours")
	right, _, err = h.Verify(t.Context(), reference, "passwore")
	require.NoError(t, err)
	assert.False(t, right)
}

func TestVerifyWhatHashMade(t *testing.T) {
	h := NewHasher(DefaultParams)
	const password = "correct horse battery staple"
	encoded, err := h.Hash(t.Context(), password)
	require.NoError(t, err)
	assert.Contains(t, encoded, "$argon2id$v=19$m=19456,t=2,p=1$")
	again, err := h.Hash(t.Context(), password)
	require.NoError(t, err)
	assert.NotEqual(t, encoded, again, "the salt is another one each time")
	for given, want := range map[string]bool{password: true, password + " ": false, "": false, "Correct horse battery staple": false} {
		right, stale, err := h.Verify(t.Context(), encoded, given)
		require.NoError(t, err)
		assert.Equal(t, want, right, given)
		assert.False(t, stale)
	}
}

func TestPasswordsThatLookTheSameAreTheSame(t *testing.T) {
	h := NewHasher(cheap)
	encoded, err := h.Hash(t.Context(), "caf\u00e9 au lait, s'il vous pla\u00eet")
	require.NoError(t, err)
	right, _, err := h.Verify(t.Context(), encoded, "cafe\u0301 au lait, s'il vous plai\u0302t")
	require.NoError(t, err)
	assert.True(t, right)
}

func TestNobodyHasAPassword(t *testing.T) {
	right, _, err := NewHasher(cheap).Verify(t.Context(), "", "")
	require.NoError(t, err)
	assert.False(t, right)
}

func TestTooManyAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(cheap)
		for range cap(h.slots) {
			h.slots <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range queuePerSlot * cap(h.slots) {
			waiting.Go(func() {
				_, err := h.Hash(ctx, "waits for its turn")
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		synctest.Wait()
		_, err := h.Hash(t.Context(), "one too many")
		require.ErrorIs(t, err, ErrOverloaded)
		cancel()
		waiting.Wait()

		for range cap(h.slots) {
			<-h.slots
		}
		_, err = h.Hash(t.Context(), "there is room again")
		require.NoError(t, err)
	})
}

func BenchmarkHash(b *testing.B) {
	h := NewHasher(DefaultParams)
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "correct horse battery staple"); err != nil {
			b.Fatal(err)
		}
	}
}
