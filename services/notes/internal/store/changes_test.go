package store

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/services/notes/ent"
	"ashlar.dev/services/notes/migrations"
)

func TestNewerChanges(t *testing.T) { dbtest.Each(t, newerChanges) }

func newerChanges(t *testing.T, db *database.Database) {
	ctx, s := t.Context(), New(db, nil, nil)
	require.NoError(t, migrate.Apply(ctx, db, migrations.FS, slog.New(slog.DiscardHandler)))
	var ids []int64
	for _, organization := range []string{"org_acme", "org_other", "org_acme", "org_unseen"} {
		row, err := s.client.Change.Create().SetOrganizationID(organization).SetNoteID("note_1").SetUserID(everybody).Save(ctx)
		require.NoError(t, err)
		ids = append(ids, row.ID)
	}
	last, err := s.LastChange(ctx, "org_acme")
	require.NoError(t, err)
	require.Equal(t, ids[2], last)
	last, err = s.LastChange(ctx, "org_none")
	require.NoError(t, err)
	require.Zero(t, last)

	newer, err := s.NewerChanges(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, newer)
	// As many as feed asks for at once.
	seen := map[string]int64{"org_acme": ids[0], "org_other": ids[1]}
	for i := len(seen); i < 500; i++ {
		seen[fmt.Sprintf("org_%d", i)] = 0
	}
	newer, err = s.NewerChanges(ctx, seen)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"org_acme": ids[2]}, newer)
}

// Changes of one organization are announced one transaction after the other, also its first ones; others do not wait.
func TestTurns(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), dbtest.Postgres(t)
	require.NoError(t, migrate.Apply(ctx, db, migrations.FS, slog.New(slog.DiscardHandler)))
	s := New(db, nil, nil)
	for _, round := range []string{"first", "later"} {
		holder, err := s.client.Tx(ctx)
		require.NoError(t, err)
		require.NoError(t, s.announce(ctx, holder, "org_acme", "note_"+round, everybody))

		announced := make(chan error, 1)
		announce := func(tx *ent.Tx) error { return s.announce(ctx, tx, "org_acme", "note_after", everybody) }
		go func() { announced <- database.InTx(ctx, db, s.client.Tx, announce) }()
		require.Eventually(t, func() bool {
			var waiting int
			err := db.DB.QueryRowContext(ctx, "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting)
			return err == nil && waiting > 0
		}, time.Minute, 10*time.Millisecond, "the other one waits")
		require.NoError(t, database.InTx(ctx, db, s.client.Tx, func(tx *ent.Tx) error {
			return s.announce(ctx, tx, "org_other", "note_1", everybody)
		}))
		require.Empty(t, announced)
		require.NoError(t, holder.Commit())
		require.NoError(t, <-announced)
	}
}
