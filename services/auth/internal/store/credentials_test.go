package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/services/auth/ent/credential"
	"ashlar.dev/services/auth/internal/store"
)

func TestSignUpIsPendingUntilActivated(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.CreatePending(ctx, "usr_1", "hash 1"))
		found, err := w.Credential(ctx, "usr_1")
		require.NoError(t, err)
		assert.Equal(t, credential.StatePending, found.State)
		assert.Empty(t, w.events("account.sign_up"), "nothing has happened that counts")

		require.NoError(t, w.Activate(ctx, "usr_1", "hash 2", nil))
		found, err = w.Credential(ctx, "usr_1")
		require.NoError(t, err)
		assert.Equal(t, credential.StateActive, found.State)
		assert.Equal(t, "hash 2", found.PasswordHash)
		events := w.events("account.sign_up")
		require.Len(t, events, 1)
		assert.Equal(t, "usr_1", events[0].GetActor().GetId())
		assert.Equal(t, auditv1.ActorKind_ACTOR_KIND_USER, events[0].GetActor().GetKind())

		require.ErrorIs(t, w.Activate(ctx, "usr_1", "hash 3", nil), store.ErrNotPending)
		require.NoError(t, w.DeletePending(ctx, "usr_1"), "and leaves it alone")
		require.NoError(t, w.CreateActive(ctx, "usr_1", "hash 4", nil), "and leaves it alone")
		found, err = w.Credential(ctx, "usr_1")
		require.NoError(t, err)
		assert.Equal(t, "hash 2", found.PasswordHash)
		assert.Len(t, w.events("account.sign_up"), 1)

		require.NoError(t, w.ReplaceHash(ctx, "usr_1", "hash 1", "hash 5"), "the old hash is not that one")
		require.NoError(t, w.ReplaceHash(ctx, "usr_1", "hash 2", "hash 6"))
		found, err = w.Credential(ctx, "usr_1")
		require.NoError(t, err)
		assert.Equal(t, "hash 6", found.PasswordHash)
	})
}

func TestOneOfManyCompletesASignUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		require.NoError(t, w.CreatePending(t.Context(), "usr_1", "hash"))
		hash := func(i int) string { return fmt.Sprint("hash of instance ", i) }
		errs := w.atOnce(func(i int, s *store.Store) error { return s.Activate(t.Context(), "usr_1", hash(i), nil) })
		assert.Equal(t, 1, countNil(errs))
		found, err := w.Credential(t.Context(), "usr_1")
		require.NoError(t, err)
		for i, err := range errs {
			if err == nil {
				assert.Equal(t, hash(i), found.PasswordHash)
			} else {
				assert.ErrorIs(t, err, store.ErrNotPending)
			}
		}
		assert.Len(t, w.events("account.sign_up"), 1)
	})
}

func TestManyGiveAPasswordToOnePerson(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		allNil(t, w.atOnce(func(_ int, s *store.Store) error { return s.CreateActive(t.Context(), "usr_1", "hash", nil) }))
		assert.Len(t, w.events("account.sign_up"), 1)
	})
}

func TestPendingSignUpsAreFoundOldestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, userID := range []string{"usr_1", "usr_2", "usr_3"} {
			require.NoError(t, w.CreatePending(ctx, userID, "hash"))
			w.pass(time.Minute)
		}
		require.NoError(t, w.CreateActive(ctx, "usr_4", "hash", nil))
		w.pass(time.Hour - 2*time.Minute)
		found, err := w.PendingSince(ctx, time.Hour, 10)
		require.NoError(t, err)
		assert.Equal(t, []string{"usr_1"}, found)

		w.pass(time.Hour)
		require.NoError(t, w.Postpone(ctx, "usr_1"))
		found, err = w.PendingSince(ctx, time.Hour, 1)
		require.NoError(t, err)
		assert.Equal(t, []string{"usr_2"}, found)
	})
}
