package dbtest_test

import (
	"io/fs"
	"log/slog"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
)

func migrations(table string) fs.FS {
	return fstest.MapFS{"sqlite/20260101000000_init.sql": {Mode: fs.ModePerm, Data: []byte("-- +goose Up\nCREATE TABLE " + table + " (id integer PRIMARY KEY);\n")}}
}

// Each test has a file of its own, which has the migrations that it asked for.
func TestMigratedSQLite(t *testing.T) {
	t.Parallel()
	one, other := dbtest.Open(t, dbtest.MigratedSQLiteURL(t, migrations("notes"))), dbtest.Open(t, dbtest.MigratedSQLiteURL(t, migrations("notes")))
	third := dbtest.Open(t, dbtest.MigratedSQLiteURL(t, migrations("pads")))
	require.NoError(t, migrate.Verify(t.Context(), one, migrations("notes")))
	require.NoError(t, migrate.Apply(t.Context(), one, migrations("notes"), slog.New(slog.DiscardHandler)), "there is nothing left to do")
	_, err := one.DB.ExecContext(t.Context(), "INSERT INTO notes VALUES (1)")
	require.NoError(t, err)
	var rows int
	require.NoError(t, other.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM notes").Scan(&rows))
	require.Zero(t, rows)
	_, err = third.DB.ExecContext(t.Context(), "INSERT INTO pads VALUES (1)")
	require.NoError(t, err)
}
