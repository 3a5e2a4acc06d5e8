package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/kernel/config"
)

// everyConnection takes all connections of a pool, and gives them back after the test has seen each.
func everyConnection(t *testing.T, db *sql.DB, want int, see func(*sql.Conn)) {
	t.Helper()
	require.Equal(t, want, db.Stats().MaxOpenConnections)
	taken := make([]*sql.Conn, want)
	for i := range taken {
		var err error
		taken[i], err = db.Conn(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, want, db.Stats().OpenConnections)
	for _, conn := range taken {
		see(conn)
		require.NoError(t, conn.Close())
	}
}

func TestEveryConnectionToSQLite(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.With(dbtest.SQLiteURL(t), "busy_timeout", ""))
	for range 2 { // new ones, and those that were kept
		everyConnection(t, db.DB, 8, func(conn *sql.Conn) {
			for setting, want := range map[string]string{
				"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "synchronous": "2", // FULL
			} {
				var got string
				require.NoError(t, conn.QueryRowContext(t.Context(), "PRAGMA "+setting).Scan(&got))
				require.Equal(t, want, got, setting)
			}
		})
		require.Equal(t, 8, db.DB.Stats().Idle)
	}
}

func TestEveryConnectionToPostgres(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.With(dbtest.PostgresURL(t), "lock_timeout", ""))
	lives := map[time.Time]bool{}
	everyConnection(t, db.DB, 16, func(conn *sql.Conn) {
		for setting, want := range map[string]string{
			"statement_timeout": "30s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "1min",
			"TimeZone": "UTC", "plan_cache_mode": "force_custom_plan", "application_name": "ashlar",
		} {
			var got string
			require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT current_setting($1)", setting).Scan(&got))
			require.Equal(t, want, got, setting)
		}
		ends := endOfLife(t, conn, time.Time{})
		require.WithinRange(t, ends, time.Now().Add(23*time.Minute), time.Now().Add(30*time.Minute))
		lives[ends] = true
	})
	require.Greater(t, len(lives), 8, "they do not end together")
	require.Equal(t, 16, db.DB.Stats().Idle)
}

// endOfLife is when a connection ends; with a time it is changed.
func endOfLife(t *testing.T, conn *sql.Conn, to time.Time) (ends time.Time) {
	t.Helper()
	require.NoError(t, conn.Raw(func(driver any) error {
		raw, ok := driver.(interface{ Conn() *pgx.Conn })
		require.True(t, ok)
		data := raw.Conn().PgConn().CustomData()
		ends, _ = data["ashlar.dev/ent/database: end of life"].(time.Time)
		if !to.IsZero() {
			data["ashlar.dev/ent/database: end of life"] = to
		}
		return nil
	}))
	return ends
}

// one is a pool of one connection, and which process of the server that is.
func one(t *testing.T, url config.Secret, parameters string) (db *database.Database, process func() int) {
	t.Helper()
	db = dbtest.Open(t, config.Secret(url.Reveal()+"&pool_max_conns=1"+parameters))
	return db, func() (pid int) {
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
		return pid
	}
}

func TestAConnectionIsReplacedAtTheEndOfItsLife(t *testing.T) {
	t.Parallel()
	db, process := one(t, dbtest.PostgresURL(t), "")
	first := process()
	require.Equal(t, first, process(), "until then it is kept")
	conn, err := db.DB.Conn(t.Context())
	require.NoError(t, err)
	endOfLife(t, conn, time.Now().Add(-time.Second))
	require.NoError(t, conn.Close())
	second := process()
	require.NotEqual(t, first, second)
	require.Equal(t, second, process())
}

// A caller who leaves has the statement ended on the server, and the transaction rolled back; the connection stays, and
// nothing of the transaction is left on it.
func TestACallerWhoLeaves(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgresURL(t)
	watcher := dbtest.Open(t, url)
	_, err := watcher.DB.ExecContext(t.Context(), "CREATE TABLE left_by (name text)")
	require.NoError(t, err)
	db, process := one(t, url, "")
	first := process()
	is := func(state string) func() bool {
		return func() bool {
			var n int
			require.NoError(t, watcher.DB.QueryRowContext(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = $2", first, state).Scan(&n))
			return n == 1
		}
	}
	const sleep = "SELECT pg_sleep(600)"
	inTx := func(run func(context.Context, *sql.Tx) error) func(context.Context) error {
		return func(ctx context.Context) error {
			begin := func(ctx context.Context) (*sql.Tx, error) { return db.DB.BeginTx(ctx, nil) }
			return database.InTx(ctx, db, begin, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO left_by VALUES ('somebody')")
				return errors.Join(err, run(ctx, tx))
			})
		}
	}
	for name, test := range map[string]struct {
		state string
		call  func(context.Context) error
	}{
		"a statement": {"active", func(ctx context.Context) error { _, err := db.DB.ExecContext(ctx, sleep); return err }},
		"a statement of a transaction": {"active", inTx(func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, sleep)
			return err
		})},
		"a transaction, between statements": {"idle in transaction", inTx(func(ctx context.Context, _ *sql.Tx) error {
			<-ctx.Done()
			return ctx.Err()
		})},
		"a transaction that has failed": {"idle in transaction (aborted)", inTx(func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "SELECT 1 / 0")
			<-ctx.Done()
			return err
		})},
	} {
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- test.call(ctx) }()
		require.Eventually(t, is(test.state), time.Minute, 5*time.Millisecond, name)
		leave()
		require.Error(t, <-done, name)
		require.Eventually(t, is("idle"), time.Minute, 5*time.Millisecond, name)
		require.Equal(t, first, process(), "%s: the connection was kept", name)
		var left int
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM left_by").Scan(&left))
		require.Zero(t, left, name)
	}
}

// The server stops a statement that takes too long: nothing is wrong with it that would not be right later.
func TestAStatementThatTakesTooLong(t *testing.T) {
	t.Parallel()
	db, process := one(t, dbtest.PostgresURL(t), "&statement_timeout=50")
	first := process()
	begin := func(ctx context.Context) (*sql.Tx, error) { return db.DB.BeginTx(ctx, nil) }
	runs := 0
	err := database.InTx(t.Context(), db, begin, func(tx *sql.Tx) error {
		runs++
		_, err := tx.ExecContext(t.Context(), "SELECT pg_sleep(600)")
		return fmt.Errorf("sleep: %w", err)
	})
	require.True(t, database.IsUnavailable(err), "%v", err)
	require.False(t, database.IsOutcomeUnknown(err))
	require.False(t, errors.Is(err, context.DeadlineExceeded))
	require.Equal(t, 1, runs, "it would take as long again")
	require.Equal(t, first, process())
}
