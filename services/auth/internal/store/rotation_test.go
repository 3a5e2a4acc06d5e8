package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/services/auth/internal/refreshtoken"
	"ashlar.dev/services/auth/internal/store"
)

var refreshKey = []byte("a key of thirty-two bytes ......")

// signIn makes a session of usr_1 and returns its first three tokens.
func signIn(t *testing.T, w *world) (first, second, third refreshtoken.Token) {
	t.Helper()
	first = refreshtoken.New()
	_, err := w.CreateSession(t.Context(), store.NewSession{ID: "ses_1", UserID: "usr_1", OrganizationID: "org_1", Token: first})
	require.NoError(t, err)
	second = first.Next(refreshKey)
	return first, second, second.Next(refreshKey)
}

// refresh does what a call does: look, then rotate.
func refresh(t *testing.T, s *store.Store, token refreshtoken.Token) error {
	t.Helper()
	if _, err := s.TokenSession(t.Context(), token); err != nil {
		return err
	}
	_, err := s.Rotate(t.Context(), token, token.Next(refreshKey))
	return err
}

// ended asserts that the session was ended, for a reason.
func ended(t *testing.T, w *world, reason string) {
	t.Helper()
	_, err := w.LiveSession(t.Context(), "usr_1", "ses_1")
	require.ErrorIs(t, err, store.ErrSessionRevoked)
	events := w.events("session.revoke")
	require.Len(t, events, 1)
	assert.Equal(t, reason, events[0].GetAttributes()["reason"])
	assert.Equal(t, "usr_1", events[0].GetAttributes()["user"])
	assert.Equal(t, "ses_1", events[0].GetResource())
}

func TestRefreshTokensFollowEachOther(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, second, third := signIn(t, w)
		for _, token := range []refreshtoken.Token{first, second, third} {
			w.pass(10 * 24 * time.Hour)
			if token == third {
				// Thirty days are over, however often it was refreshed.
				require.ErrorIs(t, refresh(t, w.Store, token), store.ErrSessionExpired)
				continue
			}
			require.NoError(t, refresh(t, w.Store, token))
		}
		require.Len(t, w.events("session.create"), 1)
		events := w.events("session.refresh")
		require.Len(t, events, 2)
		assert.Equal(t, auditv1.ActorKind_ACTOR_KIND_USER, events[0].GetActor().GetKind())
		assert.Equal(t, "usr_1", events[0].GetActor().GetId())
		assert.Equal(t, "ses_1", events[0].GetActor().GetSessionId())
		assert.Equal(t, "org_1", events[0].GetOrganizationId())
	})
}

func TestASessionThatIsNotRefreshedExpires(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, _, _ := signIn(t, w)
		w.pass(store.MaxSessionIdle - time.Microsecond)
		_, err := w.TokenSession(t.Context(), first)
		require.NoError(t, err)
		w.pass(time.Microsecond)
		require.ErrorIs(t, refresh(t, w.Store, first), store.ErrSessionExpired)
		_, err = w.Rotate(t.Context(), first, first.Next(refreshKey))
		require.ErrorIs(t, err, store.ErrSessionExpired)
	})
}

func TestALostAnswerIsGivenAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, second, _ := signIn(t, w)
		require.NoError(t, refresh(t, w.Store, first))
		w.pass(store.RefreshGrace)
		require.NoError(t, refresh(t, w.Store, first), "within the grace")
		require.NoError(t, refresh(t, w.Store, second), "what was given twice is good once more")
		events := w.events("session.refresh")
		require.Len(t, events, 3)
		assert.Equal(t, "true", events[1].GetAttributes()["repeated"])
		assert.Empty(t, w.events("session.revoke"))
	})
}

func TestTheGraceIsNotExtended(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, _, _ := signIn(t, w)
		require.NoError(t, refresh(t, w.Store, first))
		w.pass(store.RefreshGrace / 2)
		require.NoError(t, refresh(t, w.Store, first))
		w.pass(store.RefreshGrace/2 + time.Microsecond)
		require.ErrorIs(t, refresh(t, w.Store, first), store.ErrTokenReused)
		ended(t, w, "REFRESH_TOKEN_REUSED")
	})
}

func TestReuseEndsTheSession(t *testing.T) {
	t.Run("of the token before", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			first, second, _ := signIn(t, w)
			require.NoError(t, refresh(t, w.Store, first))
			w.pass(store.RefreshGrace + time.Microsecond)
			require.ErrorIs(t, refresh(t, w.Store, first), store.ErrTokenReused)
			ended(t, w, "REFRESH_TOKEN_REUSED")
			require.ErrorIs(t, refresh(t, w.Store, second), store.ErrSessionRevoked, "also for whoever has the newest token")
			require.ErrorIs(t, refresh(t, w.Store, first), store.ErrSessionRevoked)
			assert.Len(t, w.events("session.revoke"), 1)
		})
	})
	t.Run("of an older one", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			first, second, third := signIn(t, w)
			for _, token := range []refreshtoken.Token{first, second, third} {
				require.NoError(t, refresh(t, w.Store, token))
			}
			require.ErrorIs(t, refresh(t, w.Store, first), store.ErrTokenReused)
			ended(t, w, "REFRESH_TOKEN_REUSED")
		})
	})
	t.Run("between look and rotation", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			first, second, third := signIn(t, w)
			_, err := w.TokenSession(t.Context(), first)
			require.NoError(t, err)
			require.NoError(t, refresh(t, w.Store, first))
			require.NoError(t, refresh(t, w.Store, second))
			_, err = w.Rotate(t.Context(), first, second)
			require.ErrorIs(t, err, store.ErrTokenReused)
			ended(t, w, "REFRESH_TOKEN_REUSED")
			require.ErrorIs(t, refresh(t, w.Store, third), store.ErrSessionRevoked)
		})
	})
}

func TestTokensThatWereNeverGiven(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, second, _ := signIn(t, w)
		require.ErrorIs(t, refresh(t, w.Store, refreshtoken.New()), store.ErrNotFound)
		require.NoError(t, refresh(t, w.Store, first), "and nobody is signed out by them")

		// A new cluster key within the grace: the same token cannot be derived any more.
		_, err := w.Rotate(t.Context(), first, first.Next([]byte("another key of thirty-two bytes .")))
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, refresh(t, w.Store, second))
	})
}

func TestManyInstancesRefreshWithOneToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, second, _ := signIn(t, w)
		allNil(t, w.atOnce(func(_ int, s *store.Store) error { return refresh(t, s, first) }))
		rotations := 0
		for _, e := range w.events("session.refresh") {
			if e.GetAttributes()["repeated"] == "" {
				rotations++
			}
		}
		assert.Equal(t, 1, rotations, "one changed it")
		assert.Len(t, w.events("session.refresh"), instances)
		assert.Empty(t, w.events("session.revoke"))
		require.NoError(t, refresh(t, w.Store, second))
	})
}

func TestManyInstancesSeeAReuse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, _, _ := signIn(t, w)
		require.NoError(t, refresh(t, w.Store, first))
		w.pass(store.RefreshGrace + time.Second)
		for _, err := range w.atOnce(func(_ int, s *store.Store) error { return refresh(t, s, first) }) {
			assert.Error(t, err)
		}
		ended(t, w, "REFRESH_TOKEN_REUSED")
	})
}
