package account_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
	"ashlar.dev/services/auth/internal/account"
)

func ensure(t *testing.T, w *world, secret config.Secret) error {
	t.Helper()
	return account.NewAdministrator(w.Desk, w.clients, slog.New(slog.DiscardHandler)).Ensure(t.Context(), ada, secret)
}

// administrator asserts that there is one person, who is the administrator, and returns the id.
func administrator(t *testing.T, w *world) string {
	t.Helper()
	users := w.peers.Identity.Users()
	require.Len(t, users, 1)
	grants := w.peers.Authz.Grants()
	require.Len(t, grants, 1)
	require.Contains(t, grants, users[0]+" authz.admin ")
	assert.Empty(t, w.pending(t))
	return users[0]
}

func TestTheFirstAdministratorIsMadeOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		require.NoError(t, ensure(t, w, first))
		userID := administrator(t, w)
		assert.True(t, w.signsIn(t, userID, first))

		require.NoError(t, ensure(t, w, second))
		assert.Equal(t, userID, administrator(t, w))
		assert.True(t, w.signsIn(t, userID, first), "and keeps the password")
		assert.False(t, w.signsIn(t, userID, second))
	})
}

func TestTheFirstAdministratorAfterACrash(t *testing.T) {
	t.Run("before the password is active", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			w.peers.Identity.CrashAfterRegister(1)
			_, err := w.SignUp(t.Context(), applicant(first))
			require.Error(t, err)
			require.NoError(t, ensure(t, w, second))
			assert.True(t, w.signsIn(t, administrator(t, w), second))
		})
	})
	t.Run("before the role is granted", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			_, err := w.SignUp(t.Context(), applicant(first))
			require.NoError(t, err)
			require.NoError(t, ensure(t, w, second))
			assert.True(t, w.signsIn(t, administrator(t, w), first))
		})
	})
	t.Run("of the others, which come back", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			w.peers.Identity.CrashAfterRegister(1)
			w.peers.Authz.FailGrants(2)
			require.NoError(t, ensure(t, w, first))
			assert.True(t, w.signsIn(t, administrator(t, w), first))
		})
	})
}

func TestTheFirstAdministratorWhomSomebodyAdded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.peers.Identity.Add("usr_added", ada)
		w.peers.Identity.Deactivate("usr_added")
		require.NoError(t, ensure(t, w, first))
		assert.True(t, w.signsIn(t, administrator(t, w), first))
	})
}

func TestManyInstancesMakeTheFirstAdministrator(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		errs := make([]error, 10)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = ensure(t, w, first) })
		}
		all.Wait()
		for _, err := range errs {
			assert.NoError(t, err)
		}
		assert.True(t, w.signsIn(t, administrator(t, w), first))
	})
}

func TestThePasswordOfTheFirstAdministratorHasToBeLong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		err := ensure(t, w, "fourteen chars")
		require.ErrorContains(t, err, "ASHLAR_ADMIN_PASSWORD")
		require.ErrorContains(t, err, "15 characters")
		assert.NotContains(t, err.Error(), "fourteen chars")
		assert.Empty(t, w.peers.Identity.Users())
	})
}
