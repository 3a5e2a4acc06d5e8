package account_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/services/auth/internal/account"
	"ashlar.dev/services/auth/internal/password"
)

func TestSignUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		userID, err := w.SignUp(t.Context(), applicant(first))
		require.NoError(t, err)
		assert.Equal(t, []string{userID}, w.peers.Identity.Users())
		assert.Empty(t, w.pending(t))
		assert.True(t, w.signsIn(t, userID, first))
		assert.False(t, w.signsIn(t, userID, second))
		assert.False(t, w.signsIn(t, "", first))

		_, err = w.SignUp(t.Context(), applicant(second))
		require.ErrorIs(t, err, account.ErrEmailTaken)
		assert.False(t, w.signsIn(t, userID, second))
		assert.Empty(t, w.pending(t), "nothing is left of it")
	})
}

func TestSignUpThatCrashedIsCompletedByTheNext(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		// Identity has the person, and auth never hears of it.
		w.peers.Identity.CrashAfterRegister(1)
		_, err := w.SignUp(t.Context(), applicant(first))
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
		users := w.peers.Identity.Users()
		require.Len(t, users, 1)
		assert.Equal(t, users, w.pending(t))
		assert.False(t, w.signsIn(t, users[0], first), "nobody signs in while it is pending")

		_, err = w.SignUp(t.Context(), applicant(second))
		require.ErrorIs(t, err, account.ErrEmailTaken, "only the same person completes it")
		assert.Equal(t, users, w.pending(t))

		userID, err := w.SignUp(t.Context(), applicant(first))
		require.NoError(t, err)
		assert.Equal(t, users, []string{userID})
		assert.Equal(t, users, w.peers.Identity.Users())
		assert.Empty(t, w.pending(t))
		assert.True(t, w.signsIn(t, userID, first))
		assert.False(t, w.signsIn(t, userID, second))
	})
}

func TestSignUpWhileIdentityIsAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.peers.Identity.SetDown(true)
		_, err := w.SignUp(t.Context(), applicant(first))
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
		assert.Len(t, w.pending(t), 1, "it is not known whether identity has the person")
		w.peers.Identity.SetDown(false)
		_, err = w.SignUp(t.Context(), applicant(first))
		require.NoError(t, err)
		assert.Len(t, w.pending(t), 1, "the sweeper deletes it")
	})
}

func TestSignUpWithWhatIdentityRefuses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, err := w.SignUp(t.Context(), account.Applicant{Email: "nobody", Password: first, DisplayName: "Nobody"})
		require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
		assert.Empty(t, w.pending(t))
	})
}

func TestSignUpDoesNotTakeOverPeopleWhomOthersAdded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.peers.Identity.Add("usr_added", ada)
		_, err := w.SignUp(t.Context(), applicant(first))
		require.ErrorIs(t, err, account.ErrEmailTaken)
		assert.False(t, w.signsIn(t, "usr_added", first))
		assert.Empty(t, w.pending(t))
	})
}

func TestTheCallerHangsUpAfterIdentityHasThePerson(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		w.peers.Identity.OnRegistered(func(string) { cancel() })
		_, err := w.SignUp(ctx, applicant(first))
		w.peers.Identity.OnRegistered(nil)
		users := w.peers.Identity.Users()
		require.Len(t, users, 1)
		if err == nil {
			// The answer was faster than the hanging up.
			assert.True(t, w.signsIn(t, users[0], first))
			return
		}
		userID, err := w.SignUp(t.Context(), applicant(first))
		require.NoError(t, err)
		assert.Equal(t, users[0], userID)
	})
}

func TestTwoCompleteTheSameSignUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		// While the first is between identity's answer and its own last step, the second finds it pending.
		w.peers.Identity.OnRegistered(func(userID string) {
			w.peers.Identity.OnRegistered(nil)
			_, err := w.SignUp(t.Context(), applicant(second))
			assert.ErrorIs(t, err, account.ErrEmailTaken, "somebody else takes nothing over")
			other, err := w.SignUp(t.Context(), applicant(first))
			assert.NoError(t, err)
			assert.Equal(t, userID, other)
		})
		_, err := w.SignUp(t.Context(), applicant(first))
		require.ErrorIs(t, err, account.ErrEmailTaken)
		users := w.peers.Identity.Users()
		require.Len(t, users, 1)
		assert.True(t, w.signsIn(t, users[0], first), "the one who was told so has the account")
		assert.False(t, w.signsIn(t, users[0], second))
	})
}

func TestManySignUpWithOneAddress(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids, errs := make([]string, 10), make([]error, 10)
		secret := func(i int) string { return fmt.Sprintf("the password of number %d", i) }
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() { ids[i], errs[i] = w.SignUp(t.Context(), applicant(secret(i))) })
		}
		all.Wait()
		users := w.peers.Identity.Users()
		require.Len(t, users, 1)
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				assert.Equal(t, users[0], ids[i])
			} else {
				assert.ErrorIs(t, err, account.ErrEmailTaken)
			}
			assert.Equal(t, err == nil, w.signsIn(t, users[0], secret(i)))
		}
		assert.Equal(t, 1, winners)
		assert.Empty(t, w.pending(t))
	})
}

func TestPasswordsAreHashedAnewWithNewParameters(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hash, err := password.NewHasher(password.Params{Memory: 32, Passes: 1, Threads: 1}).Hash(t.Context(), first)
		require.NoError(t, err)
		require.NoError(t, w.store.CreateActive(t.Context(), "usr_1", hash, nil))
		assert.False(t, w.signsIn(t, "usr_1", second))
		found, err := w.store.Credential(t.Context(), "usr_1")
		require.NoError(t, err)
		assert.Equal(t, hash, found.PasswordHash, "a wrong password changes nothing")
		assert.True(t, w.signsIn(t, "usr_1", first))
		found, err = w.store.Credential(t.Context(), "usr_1")
		require.NoError(t, err)
		assert.Contains(t, found.PasswordHash, "$m=64,t=1,p=1$")
		assert.True(t, w.signsIn(t, "usr_1", first))
	})
}
