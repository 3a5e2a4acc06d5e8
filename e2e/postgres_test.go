package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/pgserver"
)

// provisionWithin is how long provisioning and asking for states may take.
const provisionWithin = time.Minute

// startPostgreSQL starts a server with an empty database for a platform, and returns the administrator's address of that.
func startPostgreSQL(t testing.TB) (server *pgserver.Server, administrator string) {
	t.Helper()
	server, err := pgserver.Start(t.Context())
	if errors.Is(err, pgserver.ErrNotFound) {
		missing(t, err.Error())
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	query(t, server.URL("postgres"), "CREATE DATABASE ashlar")
	return server, server.URL("ashlar")
}

// provision makes schemas, roles and the files with their addresses, and returns what it says.
func provision(t testing.TB, administrator, databases string) []map[string]any {
	t.Helper()
	p, code := run(t, provisionWithin, environ("ASHLAR_ADMIN_DSN="+administrator), built(t, "platformctl"), "db", "provision", "--out", databases, "-o", "json")
	require.Zero(t, code, "%s", p.stderr)
	var outcomes []map[string]any
	require.NoError(t, json.Unmarshal([]byte(p.stdout.String()), &outcomes))
	return outcomes
}

// The whole platform on PostgreSQL, from nothing to an entry on the record; and what the catalog says then.
func TestThePlatformOnPostgreSQL(t *testing.T) {
	_, administrator := startPostgreSQL(t)
	platformctl := built(t, "platformctl")
	databases := filepath.Join(t.TempDir(), "databases")
	require.Len(t, provision(t, administrator, databases), len(services)-1, "all but the gateway")

	s := newSettings(t)
	s.flags = []string{"--databases", databases}
	p := up(t, s)
	admin := p.admin(t)
	org := newOrganization(t, p.url(), admin)
	require.NoError(t, eventually(startWithin, func() error { return recorded(t, p, admin, org, "organization.create", 1) }))

	// Each service's tables are in its schema and belong to its role; there is nothing else.
	var schemas []string
	for _, row := range query(t, administrator, `SELECT n.nspname, r.rolname, count(*) FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
		WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' GROUP BY 1, 2 ORDER BY 1, 2`) {
		schema, _ := row[0].(string)
		require.Equal(t, "ashlar_"+schema, row[1])
		schemas = append(schemas, schema)
	}
	require.Equal(t, []string{"audit", "auth", "authz", "identity", "notes"}, schemas)
	require.Empty(t, query(t, administrator, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
	require.NotEmpty(t, query(t, administrator, "SELECT 1 FROM identity.organizations WHERE id = '"+org+"'"))
	files, err := filepath.Glob(filepath.Join(s.home, "*.db"))
	require.NoError(t, err)
	require.Empty(t, files, "nothing is in SQLite")

	// No password is in what up wrote for people, nor in any log, nor in the arguments of a process.
	for _, secret := range passwords(t, databases) {
		for _, folder := range []string{"env", "logs"} {
			written, err := filepath.Glob(filepath.Join(s.home, folder, "*"))
			require.NoError(t, err)
			require.NotEmpty(t, written)
			for _, file := range written {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				require.NotContains(t, string(content), secret, file)
			}
		}
		for name, row := range p.rows {
			for _, file := range []string{"cmdline", "environ"} {
				content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(row.pid), file))
				if err == nil { // Linux has it
					require.NotContains(t, string(content), secret, name)
				}
			}
		}
	}

	// Provisioning again, while the platform runs, changes nothing.
	for _, outcome := range provision(t, administrator, databases) {
		require.Empty(t, outcome["made"], outcome["service"])
	}
	newOrganization(t, p.url(), admin)

	status, code := run(t, provisionWithin, environ("ASHLAR_HOME="+s.home), platformctl, "db", "status", "-o", "json")
	require.Zero(t, code, "%s", status.stderr)
	var states []struct {
		Service     string   `json:"service"`
		Pending     []string `json:"pending"`
		Bytes       int64    `json:"bytes"`
		Connections struct {
			Open int `json:"open"`
		} `json:"connections"`
	}
	require.NoError(t, json.Unmarshal([]byte(status.stdout.String()), &states))
	require.Len(t, states, len(services)-1)
	for _, state := range states {
		assert.Empty(t, state.Pending, state.Service)
		assert.Positive(t, state.Bytes, state.Service)
		assert.Positive(t, state.Connections.Open, state.Service)
	}

	// A platform on another one's address says so, and leaves it alone.
	foreign, code := run(t, provisionWithin, environ("ASHLAR_DATABASE_URL_FILE="+filepath.Join(databases, "identity.dsn")), filepath.Join(root, ".bin", "notes"), "db", "migrate")
	require.NotZero(t, code)
	require.Contains(t, foreign.stderr.String(), "the database is another service's")
	p.stop(t)
}

// query runs a statement, and returns the rows.
func query(t testing.TB, address, statement string) [][]any {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), statement)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	require.NoError(t, err)
	return values
}

// passwords are those in the files of a folder.
func passwords(t testing.TB, folder string) []string {
	t.Helper()
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file.Name()))
		require.NoError(t, err)
		u, err := url.Parse(strings.TrimSpace(string(content)))
		require.NoError(t, err)
		secret, _ := u.User.Password()
		require.NotEmpty(t, secret)
		found = append(found, secret)
	}
	return found
}
