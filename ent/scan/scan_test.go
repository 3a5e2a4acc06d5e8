package scan_test

import (
	"fmt"
	"log/slog"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
	"ashlar.dev/ent/internal/example/ent/note"
	"ashlar.dev/ent/internal/example/ent/outboxevent"
	"ashlar.dev/ent/internal/example/migrations"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/scan"
)

// Rows share the places that they are read into, and nothing of what was read.
func TestRowsDoNotShare(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		ctx := t.Context()
		require.NoError(t, migrate.Apply(ctx, db, migrations.FS, slog.New(slog.DiscardHandler)))
		client := ent.NewClient(ent.Driver(db.Driver()))
		for i := range 3 {
			require.NoError(t, client.Note.Create().SetID(fmt.Sprint("note_", i)).SetTitle(fmt.Sprint("title ", i)).Exec(ctx))
			require.NoError(t, client.OutboxEvent.Create().SetEventID(fmt.Sprint("evt_", i)).SetPayload([]byte{byte(i)}).SetCreatedAt(int64(i)).Exec(ctx))
		}

		notes, err := client.Note.Query().Order(note.ByID()).All(ctx)
		require.NoError(t, err)
		require.Len(t, notes, 3)
		events, err := client.OutboxEvent.Query().Order(outboxevent.ByID()).All(ctx)
		require.NoError(t, err)
		require.Len(t, events, 3)
		for i := range 3 {
			require.Equal(t, fmt.Sprint("note_", i), notes[i].ID)
			require.Equal(t, fmt.Sprint("title ", i), notes[i].Title)
			require.Equal(t, []byte{byte(i)}, events[i].Payload)
		}

		// Entities keep the places of what the schema does not have.
		loud := func(s *entsql.Selector) { s.AppendSelectExpr(entsql.Raw("upper(title) AS loud")) }
		notes, err = client.Note.Query().Where(loud).Order(note.ByID()).All(ctx)
		require.NoError(t, err)
		for i, each := range notes {
			value, err := each.Value("loud")
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("TITLE ", i), fmt.Sprint(value))
		}

		n, err := client.Note.Query().Count(ctx)
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

func TestReuse(t *testing.T) {
	t.Parallel()
	calls := 0
	places := scan.Reuse(func([]string) ([]any, error) {
		if calls++; calls == 1 {
			return nil, fmt.Errorf("call %d", calls)
		}
		return []any{new(entsql.NullString)}, nil
	})
	_, err := places(nil)
	require.ErrorContains(t, err, "call 1")
	first, err := places(nil)
	require.NoError(t, err)
	second, err := places(nil)
	require.NoError(t, err)
	require.Same(t, first[0], second[0])
	require.Equal(t, 2, calls)
}
