package migrate_test

import (
	"bytes"
	"log/slog"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
)

// plus are migrations and some more.
func plus(before map[string]string, more ...string) map[string]string {
	after := maps.Clone(before)
	for i := 0; i < len(more); i += 2 {
		after[more[i]] = more[i+1]
	}
	return after
}

// Four releases of a program, and which of them can work with what another left.
func TestReleasesSideBySide(t *testing.T) {
	t.Parallel()
	a := map[string]string{"1_make.sql": "CREATE TABLE t (n bigint);"}
	b := plus(a, "2_expand.sql", "ALTER TABLE t ADD COLUMN m bigint;")
	c := plus(b, "3_contract.sql", "-- ashlar:contract since=2: m is what is read\nALTER TABLE t DROP COLUMN n;")
	d := plus(c, "4_break.sql", "-- ashlar:contract: nobody has t\nDROP TABLE t;\nCREATE TABLE u (n bigint);")
	releases := map[string]map[string]string{"a": a, "b": b, "c": c, "d": d}
	for _, test := range []struct{ database, works, refused string }{
		{database: "a", works: "abcd"},
		{database: "b", works: "ab"},
		{database: "c", works: "bc", refused: "a"},
		{database: "d", works: "d", refused: "abc"},
	} {
		t.Run(test.database, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *database.Database) {
				require.NoError(t, migrate.Apply(t.Context(), db, files(releases[test.database]), quiet))
				for _, release := range test.refused {
					err := migrate.Apply(t.Context(), db, files(releases[string(release)]), quiet)
					require.ErrorIs(t, err, migrate.ErrNewer, string(release))
					assert.ErrorContains(t, err, "has removed what programs without the migration")
					require.ErrorIs(t, migrate.Verify(t.Context(), db, files(releases[string(release)])), migrate.ErrNewer)
					state, err := migrate.Inspect(t.Context(), db, files(releases[string(release)]))
					require.NoError(t, err)
					require.ErrorIs(t, state.Refusal, migrate.ErrNewer)
				}
				for _, release := range test.works {
					var log bytes.Buffer
					require.NoError(t, migrate.Apply(t.Context(), db, files(releases[string(release)]), slog.New(slog.NewTextHandler(&log, nil))), string(release))
					require.NoError(t, migrate.Verify(t.Context(), db, files(releases[string(release)])))
					if string(release) < test.database {
						assert.Contains(t, log.String(), "this program can work with that")
					}
				}
			})
		})
	}
}

// A branch that has not what a contract asks for is refused, though its newest
// migration is a newer one.
func TestContractAsksForItsMigration(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		a := map[string]string{"1_make.sql": "CREATE TABLE t (n bigint);"}
		branch := plus(a, "5_other.sql", "CREATE TABLE u (n bigint);")
		main := plus(branch, "2_expand.sql", "ALTER TABLE t ADD COLUMN m bigint;",
			"4_contract.sql", "-- ashlar:contract since=2: m is what is read\nALTER TABLE t DROP COLUMN n;")
		require.NoError(t, migrate.Apply(t.Context(), db, files(main), quiet))
		require.ErrorIs(t, migrate.Apply(t.Context(), db, files(branch), quiet), migrate.ErrNewer)
	})
}

// A database as a release before the record left it.
func TestBeforeTheRecord(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		a := map[string]string{"1_make.sql": "CREATE TABLE t (n bigint);"}
		b := plus(a, "2_expand.sql", "ALTER TABLE t ADD COLUMN m bigint;")
		require.NoError(t, migrate.Apply(t.Context(), db, files(b), quiet))
		for _, statement := range []string{
			"DROP INDEX schema_migrations_version", "ALTER TABLE schema_migrations DROP COLUMN checksum", "ALTER TABLE schema_migrations DROP COLUMN needs",
		} {
			_, err := db.DB.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		require.NoError(t, migrate.Verify(t.Context(), db, files(b)))
		require.ErrorIs(t, migrate.Apply(t.Context(), db, files(a), quiet), migrate.ErrNewer, "nobody knows what the second one is")

		// Who has the files completes the record; from then on a can work with it.
		require.NoError(t, migrate.Apply(t.Context(), db, files(b), quiet))
		require.NoError(t, migrate.Apply(t.Context(), db, files(a), quiet))
		edited := plus(b, "1_make.sql", "CREATE TABLE t (n bigint NOT NULL);")
		require.ErrorIs(t, migrate.Apply(t.Context(), db, files(edited), quiet), migrate.ErrEdited)
	})
}

func TestEditedMigration(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		a := map[string]string{"1_make.sql": "CREATE TABLE t (n bigint);", "2_more.sql": "CREATE TABLE u (n bigint);"}
		require.NoError(t, migrate.Apply(t.Context(), db, files(a), quiet))
		edited := plus(a, "2_more.sql", "CREATE TABLE v (n bigint);", "3_next.sql", "CREATE TABLE w (n bigint);")
		err := migrate.Apply(t.Context(), db, files(edited), quiet)
		require.ErrorIs(t, err, migrate.ErrEdited)
		require.ErrorContains(t, err, "2_more.sql")
		require.ErrorIs(t, migrate.Verify(t.Context(), db, files(edited)), migrate.ErrEdited)
		state, err := migrate.Inspect(t.Context(), db, files(edited))
		require.NoError(t, err)
		require.ErrorIs(t, state.Refusal, migrate.ErrEdited)
		assert.Equal(t, []string{"3_next.sql"}, state.Pending, "nothing was applied")
	})
}

func TestUnreadableDirective(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	err := migrate.Apply(t.Context(), db, files(map[string]string{"1_make.sql": "-- ashlar:contarct: x\nCREATE TABLE t (n bigint);"}), quiet)
	require.ErrorContains(t, err, "1_make.sql")
}
