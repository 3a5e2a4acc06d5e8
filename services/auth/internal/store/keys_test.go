package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/services/auth/internal/store"
)

func signingKey(i int) store.NewSigningKey {
	return store.NewSigningKey{ID: fmt.Sprintf("key_%d", i), PublicKey: []byte("public"), SealedPrivateKey: []byte("sealed")}
}

func TestManyInstancesMakeOneSigningKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		allNil(t, w.atOnce(func(i int, s *store.Store) error { return s.CreateFirstSigningKey(t.Context(), signingKey(i)) }))
		keys, err := w.SigningKeys(t.Context(), time.Hour)
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.Len(t, w.events("key.create"), 1)
		assert.Equal(t, keys[0].ID, w.events("key.create")[0].GetResource())
	})
}

func TestManyInstancesReplaceTheSigningKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		require.NoError(t, w.CreateFirstSigningKey(t.Context(), signingKey(99)))
		allNil(t, w.atOnce(func(i int, s *store.Store) error {
			_, err := s.ReplaceSigningKey(t.Context(), signingKey(i))
			return err
		}))
		keys, err := w.SigningKeys(t.Context(), time.Hour)
		require.NoError(t, err)
		active := 0
		for _, k := range keys {
			if k.Active != nil {
				active++
				assert.Nil(t, k.RetiredAt)
			} else {
				assert.NotNil(t, k.RetiredAt)
			}
		}
		assert.Equal(t, 1, active)
		assert.Len(t, w.events("key.rotate"), len(keys)-1)
	})
}

func TestRetiredKeysAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.CreateFirstSigningKey(ctx, signingKey(1)))
		_, err := w.ReplaceSigningKey(ctx, signingKey(2))
		require.NoError(t, err)
		ids := func() []string {
			keys, err := w.SigningKeys(ctx, time.Minute)
			require.NoError(t, err)
			var out []string
			for _, k := range keys {
				out = append(out, k.ID)
			}
			return out
		}
		assert.Equal(t, []string{"key_1", "key_2"}, ids())
		w.pass(time.Minute)
		assert.Equal(t, []string{"key_2"}, ids())
		n, err := w.DeleteSigningKeys(ctx, time.Hour)
		require.NoError(t, err)
		assert.Zero(t, n)
		w.pass(time.Hour)
		n, err = w.DeleteSigningKeys(ctx, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}
