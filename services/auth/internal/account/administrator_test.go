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
			require.NoError(t, ensure(t, w, first))
			assert.True(t, w.signsIn(t, administrator(t, w), first))
		})
	})
	t.Run("before the role is granted", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			_, err := w.SignUp(t.Context(), applicant(first))
			require.NoError(t, err)
			require.NoError(t, ensure(t, w, first))
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

// What was revoked stays revoked, whatever starts later.
func TestTheRoleIsGivenOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 3 {
			require.NoError(t, ensure(t, w, first))
		}
		userID := administrator(t, w)
		_, err := w.db.DB.ExecContext(t.Context(), "DELETE FROM credentials") // as docs/playbook.md says
		require.NoError(t, err)
		require.NoError(t, ensure(t, w, second))
		assert.True(t, w.signsIn(t, userID, second), "an administrator whose password was taken away gets the new one")
		assert.Equal(t, map[string]int{userID + " authz.admin ": 1}, w.peers.Authz.Grants())
	})
}

func TestAnAddressAloneMakesNobodyAdministrator(t *testing.T) {
	refused := func(t *testing.T, w *world, userID, says string) {
		t.Helper()
		for range 2 {
			err := ensure(t, w, second)
			require.ErrorContains(t, err, ada+" belongs to "+userID)
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, "set ASHLAR_ADMIN_EMAIL to an address that nobody has")
			assert.NotContains(t, err.Error(), second)
		}
		assert.Empty(t, w.peers.Authz.Grants())
		assert.False(t, w.signsIn(t, userID, second))
	}
	t.Run("somebody signed up with it", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			userID, err := w.SignUp(t.Context(), applicant(first))
			require.NoError(t, err)
			refused(t, w, userID, "another password")
			assert.True(t, w.signsIn(t, userID, first))
		})
	})
	t.Run("somebody was interrupted signing up with it", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			w.peers.Identity.CrashAfterRegister(1)
			_, err := w.SignUp(t.Context(), applicant(first))
			require.Error(t, err)
			refused(t, w, w.peers.Identity.Users()[0], "another password")
			assert.Len(t, w.pending(t), 1)
		})
	})
	t.Run("somebody was added with it", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			w.peers.Identity.Add("usr_added", ada)
			refused(t, w, "usr_added", "has no password")
		})
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
