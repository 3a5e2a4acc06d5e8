package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
	"ashlar.dev/ent/internal/example/migrations"
	"ashlar.dev/ent/migrate"
)

// notes migrates db and returns a client of the example.
func notes(t *testing.T, db *database.Database) *ent.Client {
	t.Helper()
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
	return ent.NewClient(ent.Driver(db.Driver()))
}

func TestInTx(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		client := notes(t, db)
		create := func(id string) func(*ent.Tx) error {
			return func(tx *ent.Tx) error { return tx.Note.Create().SetID(id).SetTitle(id).Exec(t.Context()) }
		}
		commits := 0
		db.AfterCommit(func() { commits++ })

		require.NoError(t, database.InTx(t.Context(), db, client.Tx, create("note_1")))
		assert.Equal(t, 1, commits)

		broken := errors.New("changed my mind")
		err := database.InTx(t.Context(), db, client.Tx, func(tx *ent.Tx) error {
			require.NoError(t, create("note_2")(tx))
			return broken
		})
		require.ErrorIs(t, err, broken)

		assert.PanicsWithValue(t, "oh", func() {
			_ = database.InTx(t.Context(), db, client.Tx, func(tx *ent.Tx) error {
				require.NoError(t, create("note_3")(tx))
				panic("oh")
			})
		})

		err = database.InTx(t.Context(), db, client.Tx, create("note_1"))
		require.True(t, ent.IsConstraintError(err), "%v", err)

		ctx, cancel := context.WithCancel(t.Context())
		err = database.InTx(ctx, db, client.Tx, func(tx *ent.Tx) error {
			require.NoError(t, create("note_4")(tx))
			cancel()
			return nil
		})
		require.Error(t, err)

		assert.Equal(t, []string{"note_1"}, client.Note.Query().IDsX(t.Context()))
		assert.Equal(t, 1, commits)
	})
}

func TestNotesTitleIsUnique(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		client := notes(t, db)
		require.NoError(t, client.Note.Create().SetID("note_1").SetTitle("one").Exec(t.Context()))
		err := client.Note.Create().SetID("note_2").SetTitle("one").Exec(t.Context())
		require.True(t, ent.IsConstraintError(err), "%v", err)
		assert.False(t, database.IsUnavailable(err))
	})
}

// Transactions that read, then write what they read plus one: each has to be
// run again when another came between, and none may be lost.
func TestInTxRunsAgainAfterAConflict(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		_, err := db.DB.ExecContext(t.Context(), "CREATE TABLE counter (n bigint)")
		require.NoError(t, err)
		_, err = db.DB.ExecContext(t.Context(), "INSERT INTO counter VALUES (0)")
		require.NoError(t, err)
		const each = 20
		begin := func(ctx context.Context) (*sql.Tx, error) {
			return db.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
		}
		if db.Dialect == "sqlite3" {
			begin = func(ctx context.Context) (*sql.Tx, error) { return db.DB.BeginTx(ctx, nil) }
		}
		var wait sync.WaitGroup
		done := make([]int, 2)
		for i := range done {
			wait.Go(func() {
				for range each {
					err := database.InTx(t.Context(), db, begin, func(tx *sql.Tx) error {
						var n int
						if err := tx.QueryRowContext(t.Context(), "SELECT n FROM counter").Scan(&n); err != nil {
							return err
						}
						_, err := tx.ExecContext(t.Context(), fmt.Sprintf("UPDATE counter SET n = %d", n+1))
						return err
					})
					// Five conflicts in a row are unlikely, but nothing forbids them.
					if err == nil {
						done[i]++
					} else {
						assert.True(t, database.IsUnavailable(err), "%v", err)
					}
				}
			})
		}
		wait.Wait()
		var n int
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT n FROM counter").Scan(&n))
		assert.Equal(t, done[0]+done[1], n)
		assert.Greater(t, n, each)
	})
}
