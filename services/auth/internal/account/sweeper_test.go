package account_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/services/auth/internal/password"
	"ashlar.dev/services/auth/internal/refreshtoken"
	"ashlar.dev/services/auth/internal/store"
)

func TestSweepDeletesWhatNobodyCanComplete(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.store.CreatePending(ctx, "usr_nobody", "hash"))
		hash, err := password.NewHasher(cheap).Hash(ctx, first)
		require.NoError(t, err)
		require.NoError(t, w.store.CreatePending(ctx, "usr_somebody", hash))
		w.peers.Identity.Add("usr_somebody", ada)
		w.pass(59 * time.Minute)
		require.NoError(t, w.store.CreatePending(ctx, "usr_young", "hash"))
		require.NoError(t, w.sweeper.Sweep(ctx))
		assert.Len(t, w.pending(t), 3, "none is an hour old")

		w.pass(2 * time.Minute)
		w.peers.Identity.SetDown(true)
		require.Error(t, w.sweeper.Sweep(ctx))
		assert.Len(t, w.pending(t), 3, "it cannot be told which may go")
		w.peers.Identity.SetDown(false)
		require.NoError(t, w.sweeper.Sweep(ctx))
		assert.ElementsMatch(t, []string{"usr_somebody", "usr_young"}, w.pending(t))

		userID, err := w.SignUp(ctx, applicant(first))
		require.NoError(t, err)
		assert.Equal(t, "usr_somebody", userID, "however late, the person can still complete it")
	})
}

func TestSweepDeletesSessionsAndKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		token := refreshtoken.New()
		_, err := w.store.CreateSession(ctx, store.NewSession{ID: "ses_1", UserID: "usr_1", Token: token})
		require.NoError(t, err)
		require.NoError(t, w.store.CreateFirstSigningKey(ctx, store.NewSigningKey{ID: "key_1", PublicKey: []byte("p"), SealedPrivateKey: []byte("s")}))
		_, err = w.store.ReplaceSigningKey(ctx, store.NewSigningKey{ID: "key_2", PublicKey: []byte("p"), SealedPrivateKey: []byte("s")})
		require.NoError(t, err)
		w.pass(store.MaxSessionIdle + 23*time.Hour)
		require.NoError(t, w.sweeper.Sweep(ctx))
		_, err = w.store.TokenSession(ctx, token)
		require.ErrorIs(t, err, store.ErrSessionExpired, "for a day it can still be said why")
		w.pass(2 * time.Hour)
		require.NoError(t, w.sweeper.Sweep(ctx))
		_, err = w.store.TokenSession(ctx, token)
		require.ErrorIs(t, err, store.ErrNotFound)
		keys, err := w.store.SigningKeys(ctx, 1000*time.Hour)
		require.NoError(t, err)
		require.Len(t, keys, 1)
		assert.Equal(t, "key_2", keys[0].ID)
	})
}

func TestSweeperStops(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		require.NoError(t, w.sweeper.Start(t.Context()))
		require.NoError(t, w.sweeper.Stop(t.Context()))
	})
}
