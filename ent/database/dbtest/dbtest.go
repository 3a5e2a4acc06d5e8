package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/pgserver"
	"ashlar.dev/kernel/config"
)

// Each runs test on an empty database of every dialect, as subtests sqlite and
// postgres.
func Each(t *testing.T, test func(*testing.T, *database.Database)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url config.Secret) { test(t, Open(t, url)) })
}

// EachURL is like Each for tests that open the database themselves, or twice.
func EachURL(t *testing.T, test func(*testing.T, config.Secret)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, PostgresURL(t)) })
}

// SQLite opens an empty SQLite file.
func SQLite(t testing.TB) *database.Database {
	t.Helper()
	return Open(t, SQLiteURL(t))
}

// Postgres opens an empty PostgreSQL database; see [PostgresURL].
func Postgres(t testing.TB) *database.Database {
	t.Helper()
	return Open(t, PostgresURL(t))
}

// Open opens the database at url until the end of the test.
func Open(t testing.TB, url config.Secret) *database.Database {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// SQLiteURL is the address of a SQLite file that does not exist yet, in a folder
// of the test.
func SQLiteURL(t testing.TB) config.Secret {
	t.Helper()
	return fileURL(filepath.Join(t.TempDir(), "test.db"))
}

// fileURL is the address of a SQLite file, for a process on a machine that may stall, like that of [patient]. The folder of
// a subtest can have characters in its name that mean something in a URL.
func fileURL(path string) config.Secret {
	address := url.URL{Scheme: "sqlite", Path: filepath.ToSlash(path)}
	return With(config.Secret(address.String()), "busy_timeout", "60000")
}

// PostgresURL is the address of an empty PostgreSQL database, as a role that may
// do anything on its server. Without PostgreSQL on the machine the test is
// skipped, or fails where CI=true.
func PostgresURL(t testing.TB) config.Secret {
	t.Helper()
	server, err := server()
	needs(t, err)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	admin(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { admin(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	return patient(server, name)
}

// patient is the address of a database for a process on a machine that may stall: a connection may take longer than in
// production, and so may who holds a lock. Parameters can be changed with [With].
func patient(server *pgserver.Server, database string) config.Secret {
	return With(With(config.Secret(server.URL(database)), "connect_timeout", "60"), "lock_timeout", "60000")
}

// With is an address that this package has given with a parameter; empty: without it.
func With(address config.Secret, parameter, value string) config.Secret {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		panic(err) // it is made of one
	}
	query := u.Query()
	query.Set(parameter, value)
	if value == "" {
		query.Del(parameter)
	}
	u.RawQuery = query.Encode()
	return config.Secret(u.String())
}

// Server starts a PostgreSQL of the test's own, for one that ends it or looks at all
// of it, and gives the address of a database there; see [PostgresURL].
func Server(t testing.TB, options pgserver.Options) (*pgserver.Server, config.Secret) {
	t.Helper()
	server, err := pgserver.StartWith(t.Context(), options)
	needs(t, err)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server, patient(server, "postgres")
}

// needs ends a test whose server did not start: it is skipped without PostgreSQL,
// but not in CI.
func needs(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

var (
	// server starts the server of this test binary, which ends with it.
	server    = sync.OnceValues(func() (*pgserver.Server, error) { return pgserver.Start(context.Background()) })
	databases atomic.Int64
)

// admin runs a statement as the superuser.
func admin(t testing.TB, server *pgserver.Server, statement string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), statement); err != nil {
		t.Error(err)
	}
}
