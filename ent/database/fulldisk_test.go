package database_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/kernel/config"
)

// A disk that gets full and has space again, under a pool that stays open.
func TestSQLiteOnAFullDisk(t *testing.T) {
	t.Parallel()
	dbtest.EachSmallDisk(t, func(t *testing.T, disk *dbtest.SmallDisk) {
		db := dbtest.Open(t, disk.URL())
		_, err := db.DB.ExecContext(t.Context(), "CREATE TABLE t (n integer PRIMARY KEY, x text)")
		require.NoError(t, err)
		begin := func(ctx context.Context) (*sql.Tx, error) { return db.DB.BeginTx(ctx, nil) }
		insert := func() error {
			return database.InTx(t.Context(), db, begin, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), "INSERT INTO t (x) VALUES (?)", strings.Repeat("x", 10_000))
				return err
			})
		}
		count := func() (rows int) {
			require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&rows))
			return rows
		}
		require.NoError(t, insert())
		disk.Fill(t)
		written := 1
		for err = insert(); err == nil && written < 10_000; err = insert() {
			written++
		}
		require.Error(t, err, "the disk is full")
		require.True(t, database.IsUnavailable(err), "%v", err)
		require.ErrorContains(t, db.Explain(err), "the disk is full: free some space")
		require.ErrorContains(t, db.Up(t.Context()), "the disk is full: free some space")
		require.Equal(t, written, count(), "reads go on, and nothing that was acknowledged is missing")
		if disk.Mounted() { // as at a start
			_, err = database.Open(t.Context(), config.Secret(strings.Replace(disk.URL().Reveal(), "test.db", "another.db", 1)))
			require.ErrorContains(t, err, "free some space")
		}

		disk.Free(t)
		require.NoError(t, insert())
		require.Equal(t, written+1, count())
		var whole string
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&whole))
		require.Equal(t, "ok", whole)
	})
}

// Not even root can write there.
func TestSQLiteOnAReadOnlyDisk(t *testing.T) {
	t.Parallel()
	dbtest.EachSmallDisk(t, func(t *testing.T, disk *dbtest.SmallDisk) {
		if !disk.Mounted() {
			t.Skip("only a file system can be read only")
		}
		db, err := database.Open(t.Context(), disk.URL())
		require.NoError(t, err)
		_, err = db.DB.ExecContext(t.Context(), "CREATE TABLE t (n integer PRIMARY KEY)")
		require.NoError(t, err)
		file := db.File()
		require.NoError(t, db.Close())
		disk.ReadOnly(t)
		before, err := os.ReadFile(filepath.Clean(file))
		require.NoError(t, err)
		_, err = database.Open(t.Context(), disk.URL())
		require.ErrorContains(t, err, "let the user of this process write the file")
		after, err := os.ReadFile(filepath.Clean(file))
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
}

// The disk of a PostgreSQL server gets full and has space again, under a pool that stays open.
func TestPostgresOnAFullDisk(t *testing.T) {
	t.Parallel()
	dbtest.EachSmallServer(t, func(t *testing.T, server *dbtest.SmallServer) {
		db := dbtest.Open(t, server.URL)
		_, err := db.DB.ExecContext(t.Context(), "CREATE TABLE t (n int PRIMARY KEY, x text)")
		require.NoError(t, err)
		begin := func(ctx context.Context) (*sql.Tx, error) { return db.DB.BeginTx(ctx, nil) }
		n := 0
		insert := func() error {
			n++
			content := make([]byte, 20_000)
			_, _ = rand.Read(content) // what can be compressed fills nothing
			return database.InTx(t.Context(), db, begin, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), "INSERT INTO t VALUES ($1, $2)", n, hex.EncodeToString(content))
				return err
			})
		}
		count := func() (rows int) {
			require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&rows))
			return rows
		}
		require.NoError(t, insert())
		require.NoError(t, db.Up(t.Context()))
		server.Fill(t)
		written, unknown := 1, 0
		for err = insert(); err == nil && written < 10_000; err = insert() {
			written++
		}
		require.True(t, database.IsUnavailable(err), "%v", err)
		if server.Holds == dbtest.Tables {
			require.ErrorContains(t, db.Explain(err), "the server's disk is full: free some space there")
			require.ErrorContains(t, err, "No space left on device")
			require.ErrorContains(t, db.Up(t.Context()), "the server's disk is full")
			require.Equal(t, written, count(), "reads go on, and nothing that was acknowledged is missing")
		} else {
			if database.IsOutcomeUnknown(err) {
				unknown = 1
			}
			// It cannot recover either, and stays away until somebody has made room and starts it.
			require.NoError(t, server.AwaitEnd(t.Context()))
			err = insert()
			require.True(t, database.IsUnavailable(err), "%v", err)
			require.ErrorContains(t, db.Explain(err), "it cannot be reached: start it (where its disk is full, after some space is free)")
			require.Error(t, db.Up(t.Context()))
		}

		server.Free(t)
		if server.Holds == dbtest.Log {
			require.NoError(t, server.Resume(t.Context()))
		}
		require.NoError(t, insert())
		rows := count()
		require.GreaterOrEqual(t, rows, written+1)
		require.LessOrEqual(t, rows, written+1+unknown)
	})
}
