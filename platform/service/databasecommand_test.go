package service_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/dbstate"
	"ashlar.dev/platform/service"
)

// program runs what the program of a service would.
func program(t *testing.T, args ...string) (string, error) {
	t.Helper()
	module := service.Module{Manifest: manifest.MustParse([]byte(moduleYAML)), Migrations: migrations}
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

func TestDatabaseCommandNeedsADatabase(t *testing.T) {
	t.Setenv("ASHLAR_DATABASE_URL", "")
	_, err := program(t, "db", "status")
	require.ErrorContains(t, err, "no database is configured")
	t.Setenv("ASHLAR_DATABASE_URL", "postgres://bob:hunter2@127.0.0.1:1/notes")
	_, err = program(t, "db", "status")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}
