package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/services/auth/internal/refreshtoken"
	"ashlar.dev/services/auth/internal/store"
)

func TestSessionsAreListedNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for i := range 5 {
			_, err := w.CreateSession(ctx, store.NewSession{ID: fmt.Sprintf("ses_%d", i), UserID: "usr_1", Token: refreshtoken.New()})
			require.NoError(t, err)
			w.pass(time.Hour)
		}
		_, err := w.CreateSession(ctx, store.NewSession{ID: "ses_9", UserID: "usr_2", Token: refreshtoken.New()})
		require.NoError(t, err)
		require.NoError(t, w.RevokeSession(ctx, "usr_1", "ses_3"))
		require.NoError(t, w.RevokeSession(ctx, "usr_1", "ses_3"), "again changes nothing")
		assert.Len(t, w.events("session.revoke"), 1)
		require.ErrorIs(t, w.RevokeSession(ctx, "usr_1", "ses_9"), store.ErrNotFound, "somebody else's")

		list := func(before string, limit int) []string {
			found, err := w.LiveSessions(ctx, "usr_1", before, limit)
			require.NoError(t, err)
			ids := []string{}
			for _, s := range found {
				ids = append(ids, s.ID)
			}
			return ids
		}
		assert.Equal(t, []string{"ses_4", "ses_2"}, list("", 2))
		assert.Equal(t, []string{"ses_1", "ses_0"}, list("ses_2", 5))

		w.pass(store.MaxSessionIdle - 4*time.Hour)
		assert.Equal(t, []string{"ses_4", "ses_2"}, list("", 5), "the first two have expired")
		_, err = w.LiveSession(ctx, "usr_1", "ses_1")
		require.ErrorIs(t, err, store.ErrSessionExpired)
		_, err = w.LiveSession(ctx, "usr_2", "ses_4")
		require.ErrorIs(t, err, store.ErrNotFound)

		w.pass(time.Hour)
		n, err := w.DeleteSessions(ctx, 0, 2)
		require.NoError(t, err)
		assert.Equal(t, 2, n, "no more than asked for at once")
		n, err = w.DeleteSessions(ctx, 0, 2)
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

func TestRefusedSignInsAreRecorded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.RefuseSession(t.Context(), "usr_1", "INVALID_CREDENTIALS")
		w.RefuseSession(t.Context(), "", "INVALID_CREDENTIALS")
		events := w.events("session.create")
		require.Len(t, events, 2)
		for i, resource := range []string{"usr_1", ""} {
			assert.Equal(t, resource, events[i].GetResource())
			assert.Equal(t, auditv1.Outcome_OUTCOME_DENIED, events[i].GetOutcome())
			assert.Equal(t, "INVALID_CREDENTIALS", events[i].GetReason())
			assert.Equal(t, auditv1.ActorKind_ACTOR_KIND_ANONYMOUS, events[i].GetActor().GetKind())
		}
	})
}
