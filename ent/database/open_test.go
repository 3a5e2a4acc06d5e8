package database_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/kernel/config"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.txt")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600))
	for name, test := range map[string]struct{ url, says string }{
		"nothing":               {"", "no database is configured"},
		"another kind":          {"mysql://root:hunter2@host/db", `start with "mysql"`},
		"no URL":                {"postgres://u:hunter2%zz@host/db", "is a character of the password not escaped?"},
		"a bad port":            {"postgres://u:hunter2@host:x/db", "is not a URL"},
		"a bad setting":         {"postgres://u:hunter2@host/db?sslmode=hunter2", "sslmode is invalid"},
		"a bad pool":            {"postgres://u:hunter2@host/db?pool_max_conns=many", "pool_max_conns"},
		"a host for SQLite":     {"sqlite://data/auth.db", "would be a host"},
		"a parameter to SQLite": {"sqlite:///data/auth.db?_pragma=x", "takes no parameters but busy_timeout"},
		"a bad timeout":         {"sqlite:///data/auth.db?busy_timeout=5s", "write a number of milliseconds, like 5000"},
		"no timeout":            {"sqlite:///data/auth.db?busy_timeout=0", "write a number of milliseconds"},
		"a fragment to SQLite":  {"sqlite:///data/auth.db#x", "has no fragment"},
		"a missing folder":      {"sqlite://" + folder + "/no/such/folder/auth.db", "folder " + folder + "/no/such is missing"},
		"a folder":              {"sqlite://" + folder, "it is a folder"},
		"a folder that is none": {"sqlite://" + text + "/auth.db", "its folder"},
		"another file":          {"sqlite://" + text, "not a SQLite database"},
		"a device":              {"sqlite:///dev/null", "not a regular file"},
		"nobody there":          {"postgres://u:hunter2@127.0.0.1:1/db", "cannot be reached: start it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := database.Open(t.Context(), config.Secret(test.url))
			require.Error(t, err)
			assert.Nil(t, db)
			assert.Contains(t, err.Error(), test.says)
			assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "hunter2")
		})
	}
	content, err := os.ReadFile(text)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("not a database\n", 100), string(content), "what is no database is left alone")
}

func TestOpenRefusesAReadOnlyFile(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	db := dbtest.Open(t, config.Secret("sqlite://"+folder+"/auth.db"))
	require.NoError(t, db.Close())
	if os.Geteuid() == 0 {
		t.Skip("root writes read-only files")
	}
	require.NoError(t, os.Chmod(folder+"/auth.db", 0o400))
	_, err := database.Open(t.Context(), config.Secret("sqlite://"+folder+"/auth.db"))
	require.ErrorContains(t, err, "cannot be opened for writing")
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new folder")
	db := dbtest.Open(t, config.Secret("sqlite://"+(&url.URL{Path: folder}).EscapedPath()+"/a%3Fb.db"))
	assert.Equal(t, filepath.Join(folder, "a?b.db"), db.File())
	_, err := db.DB.ExecContext(t.Context(), "CREATE TABLE t (x)")
	require.NoError(t, err)
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	assert.Len(t, files, 3, "the database, its -wal and its -shm")
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
	// On several connections at once, since each has its own settings.
	for range 3 {
		conn, err := db.DB.Conn(t.Context())
		require.NoError(t, err)
		defer func() { assert.NoError(t, conn.Close()) }()
		for name, want := range map[string]string{
			"foreign_keys": "1", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000",
		} {
			var got string
			require.NoError(t, conn.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got))
			assert.Equal(t, want, got, name)
		}
	}
}

func TestSQLiteInMemory(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, "sqlite::memory:")
	assert.Empty(t, db.File())
	_, err := db.DB.ExecContext(t.Context(), "CREATE TABLE t (x)")
	require.NoError(t, err)
	_, err = db.DB.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
	require.NoError(t, err)
}

// Ten processes that make one file at the same time.
func TestSQLiteOpenedByManyAtOnce(t *testing.T) {
	t.Parallel()
	address := dbtest.SQLiteURL(t)
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			db, err := database.Open(t.Context(), address)
			if assert.NoError(t, err) {
				assert.NoError(t, db.Close())
			}
		})
	}
	wait.Wait()
}

func TestTimesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		kind := map[bool]string{true: "timestamptz", false: "datetime"}[db.Dialect == "postgres"]
		_, err := db.DB.ExecContext(t.Context(), "CREATE TABLE t (at "+kind+")")
		require.NoError(t, err)
		local := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.FixedZone("east", 5*3600))
		_, err = db.DB.ExecContext(t.Context(), "INSERT INTO t VALUES ($1)", local)
		require.NoError(t, err)
		var got time.Time
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT at FROM t").Scan(&got))
		assert.Equal(t, local.UTC(), got)
		assert.Equal(t, time.UTC, got.Location())
	})
}

func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	address := dbtest.PostgresURL(t)
	db := dbtest.Open(t, dbtest.With(address, "lock_timeout", "7000")+"&pool_max_conns=3")
	assert.Equal(t, 3, db.DB.Stats().MaxOpenConnections)
	for name, want := range map[string]string{
		"application_name": "ashlar", "TimeZone": "UTC", "statement_timeout": "30s", "lock_timeout": "7s",
	} {
		var got string
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SHOW "+name).Scan(&got))
		assert.Equal(t, want, got, name)
	}
	pool, giveBack, err := db.OpenForMigration(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, giveBack()) }()
	var got string
	require.NoError(t, pool.QueryRowContext(t.Context(), "SHOW statement_timeout").Scan(&got))
	assert.Equal(t, "0", got)
}

func TestPostgresRefuses(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(dbtest.PostgresURL(t).Reveal())
	require.NoError(t, err)
	password, _ := address.User.Password()
	for name, test := range map[string]struct {
		change func(*url.URL)
		says   string
	}{
		"a wrong password": {func(u *url.URL) { u.User = url.UserPassword("ashlar", "hunter2") }, "refuses the user or the password"},
		"a wrong database": {func(u *url.URL) { u.Path = "/nowhere" }, "create it with CREATE DATABASE"},
		"a reader":         {func(u *url.URL) { u.RawQuery += "&default_transaction_read_only=on" }, "can be read only"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *address
			test.change(&changed)
			_, err := database.Open(t.Context(), config.Secret(changed.String()))
			require.ErrorContains(t, err, test.says)
			assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "hunter2")
			assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), password)
		})
	}
}

// What a role that was not set up for it is told.
func TestPostgresRefusesARole(t *testing.T) {
	t.Parallel()
	address := dbtest.PostgresURL(t)
	admin := dbtest.Open(t, address)
	u, err := url.Parse(address.Reveal())
	require.NoError(t, err)
	name := strings.Trim(u.Path, "/")
	do := func(statement string) {
		t.Helper()
		_, err := admin.DB.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	do("CREATE ROLE limited LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 1")
	t.Cleanup(func() {
		for _, statement := range []string{"DROP OWNED BY limited", "DROP ROLE limited"} {
			_, err := admin.DB.ExecContext(context.Background(), statement)
			require.NoError(t, err)
		}
	})
	u.User = url.UserPassword("limited", "hunter2")
	as := config.Secret(u.String())
	refused := func(says ...string) {
		t.Helper()
		_, err := database.Open(t.Context(), as)
		require.Error(t, err)
		for _, text := range says {
			require.ErrorContains(t, err, text)
		}
		assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "hunter2")
	}

	one := dbtest.Open(t, as) // and it keeps its connection
	refused("has no connection left", "CONNECTION LIMIT")
	connections, err := one.Connections(t.Context())
	require.NoError(t, err)
	require.Equal(t, &database.Connections{Open: 0, Most: 1}, connections)
	require.NoError(t, one.Close())
	do("ALTER ROLE limited CONNECTION LIMIT -1")

	do("REVOKE ALL ON DATABASE " + name + " FROM PUBLIC")
	refused("may not connect to it", "GRANT CONNECT")
	do("GRANT CONNECT ON DATABASE " + name + " TO limited")

	do("REVOKE ALL ON SCHEMA public FROM PUBLIC")
	refused("no schema that limited may use", "platformctl db provision")

	// One that may look and not make anything: the service of a team that applies migrations with another role can do
	// with that, and one that has to apply them is told.
	do("GRANT USAGE ON SCHEMA public TO limited")
	looking := dbtest.Open(t, as)
	_, err = looking.DB.ExecContext(t.Context(), "CREATE TABLE t (x int)")
	err = looking.Explain(err)
	require.ErrorContains(t, err, "the role lacks a right")
	require.ErrorContains(t, err, "platformctl db provision")
	require.False(t, database.IsUnavailable(err))
	require.NoError(t, looking.Close())
	require.NoError(t, looking.Explain(nil))
}

// The size is that of what one service has, however many share a database; and connections are those of its role.
func TestPostgresSizeIsTheSchemas(t *testing.T) {
	t.Parallel()
	address := dbtest.PostgresURL(t)
	u, err := url.Parse(address.Reveal())
	require.NoError(t, err)
	in := func(schema string) *database.Database {
		query := u.Query()
		query.Set("search_path", schema)
		v := *u
		v.RawQuery = query.Encode()
		return dbtest.Open(t, config.Secret(v.String()))
	}
	admin := dbtest.Open(t, address)
	for _, statement := range []string{
		"CREATE SCHEMA big", "CREATE SCHEMA small", "CREATE TABLE small.t (x text)",
		"CREATE TABLE big.t AS SELECT repeat(n::text, 100) AS x FROM generate_series(1, 2000) n",
	} {
		_, err := admin.DB.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	big, small := in("big"), in("small")
	most, err := big.Bytes(t.Context())
	require.NoError(t, err)
	least, err := small.Bytes(t.Context())
	require.NoError(t, err)
	assert.Greater(t, most, int64(500_000))
	assert.Less(t, least, int64(50_000))
	connections, err := big.Connections(t.Context())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, connections.Open, 2, "the others of this test")
	assert.Equal(t, 200, connections.Most, "the server's")

	none, err := dbtest.SQLite(t).Connections(t.Context())
	require.NoError(t, err)
	assert.Nil(t, none)
}

func TestDatabaseDoesNotShowThePassword(t *testing.T) {
	t.Parallel()
	address := dbtest.PostgresURL(t)
	u, err := url.Parse(address.Reveal())
	require.NoError(t, err)
	password, _ := u.User.Password()
	db := dbtest.Open(t, address)
	assert.NotContains(t, fmt.Sprintf("%v %+v %s", db, db, db), password)
	assert.Contains(t, db.String(), "as ashlar")
}
