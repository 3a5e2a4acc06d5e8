package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5/pgconn"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/internal/filelock"
)

// lockInterval is the time between two attempts to get the lock.
const lockInterval = 50 * time.Millisecond

// lockTable holds one row, and who has locked that row may migrate.
const lockTable = "schema_migrations_lock"

// lock is held by the one instance that migrates. It ends with the process.
type lock struct {
	// check says whether it is still held.
	check   func(context.Context) error
	release func() error
}

// takeLock waits for the lock of db.
func takeLock(ctx context.Context, db *database.Database, pool *sql.DB) (*lock, error) {
	switch {
	case db.Dialect == dialect.Postgres:
		return lockRow(ctx, pool)
	case db.File() == "": // in memory, and nobody else's
		return &lock{check: func(context.Context) error { return nil }, release: func() error { return nil }}, nil
	}
	unlock, err := filelock.Lock(ctx, db.File()+".migrate.lock")
	if err != nil {
		return nil, err
	}
	return &lock{check: func(context.Context) error { return nil }, release: unlock}, nil
}

// lockRow locks the row in a transaction that lasts as long as the migrations. It
// uses nothing but what every database that speaks PostgreSQL's protocol has;
// advisory locks are not among that, and a pooler loses them. It asks again and
// again and does not wait in the server, where the wait would be a transaction
// that CREATE INDEX CONCURRENTLY has to wait for in turn.
func lockRow(ctx context.Context, pool *sql.DB) (*lock, error) {
	if err := makeLockTable(ctx, pool); err != nil {
		return nil, fmt.Errorf("make the lock for migrations: %w", err)
	}
	tick := time.NewTicker(lockInterval)
	defer tick.Stop()
	for {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("take the lock for migrations: %w", err)
		}
		var one int
		err = tx.QueryRowContext(ctx, "SELECT id FROM "+lockTable+" WHERE id = 1 FOR UPDATE NOWAIT").Scan(&one)
		if err == nil {
			return &lock{
				check: func(ctx context.Context) error {
					if err := tx.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
						return fmt.Errorf("the lock for migrations is lost with its connection: %w", err)
					}
					return nil
				},
				// Where the connection is gone, so is the lock.
				release: func() error { _ = tx.Rollback(); return nil },
			}, nil
		}
		_ = tx.Rollback()
		if !isLocked(err) {
			return nil, fmt.Errorf("take the lock for migrations: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another instance to finish its migrations: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// makeLockTable makes the table with its row, if it is not there.
func makeLockTable(ctx context.Context, pool *sql.DB) error {
	there := func() (bool, error) {
		var tables int
		err := pool.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = '"+lockTable+"'").Scan(&tables)
		return tables > 0, err
	}
	if found, err := there(); found || err != nil {
		return err
	}
	failure := func() error {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "CREATE TABLE "+lockTable+" (id integer NOT NULL PRIMARY KEY)"); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+lockTable+" (id) VALUES (1)"); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if failure == nil {
		return nil
	}
	// Another instance was first.
	if found, err := there(); !found || err != nil {
		return errors.Join(failure, err)
	}
	return nil
}

// isLocked says whether a statement did not get its lock at once, or within
// lock_timeout.
func isLocked(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == "55P03"
}
