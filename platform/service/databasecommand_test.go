package service_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/dbstate"
	"ashlar.dev/platform/service"
)

// program runs what the program of a service would.
func program(t *testing.T, args ...string) (string, error) {
	t.Helper()
	module := &notes{manifest: manifest.MustParse([]byte(moduleYAML))}
	var out bytes.Buffer
	cfg := struct{ service.Config }{}
	run, err := config.ParseCommand(&cfg, "notes", "", args, &out, func(int) {}, service.DatabaseCommand(module))
	require.NoError(t, err)
	require.NotNil(t, run)
	err = run(t.Context())
	return out.String(), err
}

func TestDatabaseCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	t.Setenv("ASHLAR_DATABASE_URL", "sqlite://"+path)
	status := func() (s dbstate.State) {
		out, err := program(t, "db", "status", "-o", "json")
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(out), &s))
		return s
	}
	before := status()
	require.Equal(t, dbstate.State{
		Service: "notes", Database: "SQLite " + path, Target: 20260101000000, Pending: []string{"20260101000000_init.sql"},
	}, before)
	_, err := os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)

	out, err := program(t, "db", "migrate", "--check")
	require.ErrorContains(t, err, "1 migrations are to be applied")
	var coded interface{ ExitCode() int }
	require.ErrorAs(t, err, &coded)
	require.Equal(t, dbstate.ExitPending, coded.ExitCode())
	require.Contains(t, out, "pending 20260101000000_init.sql")

	out, err = program(t, "db", "migrate")
	require.NoError(t, err)
	require.Contains(t, out, "applied 20260101000000_init.sql")
	out, err = program(t, "db", "migrate", "--check")
	require.NoError(t, err)
	require.Contains(t, out, "up to date")
	after := status()
	require.Empty(t, after.Pending)
	require.EqualValues(t, 20260101000000, after.Version)
	require.Positive(t, after.Bytes)
}

// A later release has migrated: what this program makes of that.
func TestDatabaseCommandOnANewerSchema(t *testing.T) {
	url := dbtest.SQLiteURL(t)
	db := dbtest.Open(t, url)
	t.Setenv("ASHLAR_DATABASE_URL", url.Reveal())
	later := maps.Clone(migrations)
	for _, release := range []struct{ file, sql, state, refusal string }{
		{"sqlite/20260102000000_expand.sql", "CREATE TABLE a (n bigint);", "newer, and usable", ""},
		{"sqlite/20260103000000_contract.sql", "-- ashlar:contract since=20260102000000: nobody reads it\nDROP TABLE a;", "refused", migrate.ErrNewer.Error()},
	} {
		later[release.file] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + release.sql)}
		require.NoError(t, migrate.Apply(t.Context(), db, later, slog.New(slog.DiscardHandler)))
		refused := func(err error) {
			t.Helper()
			var coded interface{ ExitCode() int }
			if release.refusal == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, release.refusal)
			require.ErrorAs(t, err, &coded)
			require.Equal(t, dbstate.ExitRefused, coded.ExitCode())
		}
		out, err := program(t, "db", "status", "-o", "json")
		refused(err)
		var state dbstate.State
		require.NoError(t, json.Unmarshal([]byte(out), &state))
		require.Equal(t, release.state, state.String())
		require.Contains(t, state.Refusal, release.refusal)
		require.Equal(t, release.refusal == "", state.Refusal == "")
		out, err = program(t, "db", "status")
		refused(err)
		require.Contains(t, out, release.refusal)
	}
	_, err := program(t, "db", "migrate", "--check")
	require.ErrorIs(t, err, migrate.ErrNewer)
}

func TestDatabaseCommandNeedsADatabase(t *testing.T) {
	t.Setenv("ASHLAR_DATABASE_URL", "")
	_, err := program(t, "db", "status")
	require.ErrorContains(t, err, "no database is configured")
	t.Setenv("ASHLAR_DATABASE_URL", "postgres://bob:hunter2@127.0.0.1:1/notes")
	_, err = program(t, "db", "status")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// The address of the database comes from a file, too, so that it is in no environment.
func TestDatabaseFromAFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "notes.dsn")
	t.Setenv("ASHLAR_DATABASE_URL_FILE", file)
	t.Setenv("ASHLAR_DATABASE_URL", "")
	_, err := program(t, "db", "status")
	require.ErrorContains(t, err, file+" does not exist")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = program(t, "db", "status")
	require.ErrorContains(t, err, "is empty")
	require.NoError(t, os.WriteFile(file, []byte("sqlite://"+folder+"/notes.db\n"), 0o600))
	out, err := program(t, "db", "migrate")
	require.NoError(t, err)
	require.Contains(t, out, folder+"/notes.db")
	require.NoError(t, os.Chmod(file, 0o640))
	_, err = program(t, "db", "status")
	require.ErrorContains(t, err, "others can read "+file)
	require.NoError(t, os.Chmod(file, 0o600))
	t.Setenv("ASHLAR_DATABASE_URL", "sqlite://"+folder+"/other.db")
	_, err = program(t, "db", "status")
	require.ErrorContains(t, err, "both set")
}

// The database of another service is left alone, by commands and by a service that starts.
func TestAnotherServicesDatabase(t *testing.T) {
	url := dbtest.SQLiteURL(t)
	db := dbtest.Open(t, url)
	theirs := fstest.MapFS{}
	theirs["sqlite/20200101000000_init.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE theirs (n bigint);")}
	require.NoError(t, migrate.Apply(t.Context(), db, theirs, slog.New(slog.DiscardHandler)))
	t.Setenv("ASHLAR_DATABASE_URL", url.Reveal())
	for _, command := range []string{"status", "migrate"} {
		_, err := program(t, "db", command)
		require.ErrorIs(t, err, migrate.ErrForeign)
		require.ErrorContains(t, err, "each service needs a file or a schema of its own")
	}
	w := newWorld(t)
	w.cfg.DatabaseURL = url
	_, err := w.start()
	require.ErrorIs(t, err, migrate.ErrForeign)
	require.NoError(t, migrate.Verify(t.Context(), db, theirs), "nothing was applied")
}
