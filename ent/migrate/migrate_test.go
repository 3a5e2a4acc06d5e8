package migrate_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
	"ashlar.dev/ent/internal/example/migrations"
	"ashlar.dev/ent/migrate"
)

var quiet = slog.New(slog.DiscardHandler)

// files are migrations for both dialects, from name to SQL.
func files(statements map[string]string) fs.FS {
	all := fstest.MapFS{}
	for name, statement := range statements {
		for _, dialect := range []string{"sqlite", "postgres"} {
			all[dialect+"/"+name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statement)}
		}
	}
	return all
}

// A schema that is migrated is the schema that ent wants.
func TestMigrationsMakeTheSchema(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		require.ErrorIs(t, migrate.Verify(t.Context(), db, migrations.FS), migrate.ErrPending)
		require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, quiet))
		require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, quiet))
		require.NoError(t, migrate.Verify(t.Context(), db, migrations.FS))
		var missing bytes.Buffer
		require.NoError(t, ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, db.DB))).Schema.WriteTo(t.Context(), &missing))
		var statements []string
		for line := range strings.Lines(missing.String()) {
			if !strings.HasPrefix(line, "--") && strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "BEGIN") && !strings.HasPrefix(line, "COMMIT") && !strings.HasPrefix(line, "PRAGMA") {
				statements = append(statements, line)
			}
		}
		assert.Empty(t, statements)
	})
}

func TestInMemory(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, "sqlite::memory:")
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, quiet))
	var on int
	require.NoError(t, db.DB.QueryRowContext(t.Context(), "PRAGMA foreign_keys").Scan(&on))
	assert.Equal(t, 1, on)
}

func TestFailingMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		err := migrate.Apply(t.Context(), db, files(map[string]string{
			"1_make.sql": "CREATE TABLE t (n bigint);",
			"2_half.sql": "CREATE TABLE half (n bigint);\nINSERT INTO nowhere VALUES (1);",
		}), quiet)
		require.ErrorContains(t, err, "2_half.sql")
		// The same version, mended.
		require.NoError(t, migrate.Apply(t.Context(), db, files(map[string]string{
			"1_make.sql": "CREATE TABLE t (n bigint);",
			"2_half.sql": "CREATE TABLE half (n bigint);",
		}), quiet))
	})
}

func TestNoMigrations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		require.ErrorContains(t, migrate.Apply(t.Context(), db, fstest.MapFS{}, quiet), "ashlar-ent diff")
	})
}

// SQLite changes a column by copying the table. What refers to its rows, here
// with ON DELETE CASCADE, must not go with the old table.
func TestSQLiteKeepsChildrenOfACopiedTable(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	const made = `
CREATE TABLE parent (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parent (id) ON DELETE CASCADE);
INSERT INTO parent VALUES (1, 'one');
INSERT INTO child VALUES (1, 1);
`
	require.NoError(t, migrate.Apply(t.Context(), db, files(map[string]string{"1_make.sql": made}), quiet))
	copied := `
CREATE TABLE new_parent (id integer PRIMARY KEY, name text NULL);
INSERT INTO new_parent SELECT id, name FROM parent;
DROP TABLE parent;
ALTER TABLE new_parent RENAME TO parent;
`
	require.NoError(t, migrate.Apply(t.Context(), db, files(map[string]string{"1_make.sql": made, "2_copy.sql": copied}), quiet))
	var children int
	require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM child").Scan(&children))
	assert.Equal(t, 1, children)
	_, err := db.DB.ExecContext(t.Context(), "INSERT INTO child VALUES (2, 99)")
	require.ErrorContains(t, err, "FOREIGN KEY")
	err = migrate.Apply(t.Context(), db, files(map[string]string{"1_make.sql": made, "2_copy.sql": copied, "3_lose.sql": "DELETE FROM parent;"}), quiet)
	require.ErrorContains(t, err, "of the table child refers to a row of parent that is not there")
}
