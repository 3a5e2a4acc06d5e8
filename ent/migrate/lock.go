package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ashlar.dev/ent/internal/filelock"
)

// lockInterval is the time between two attempts to get the lock.
const lockInterval = 50 * time.Millisecond

// lockKey names the platform's lock among advisory locks ("ashlar").
const lockKey int32 = 0x617368

// advisoryLock is a lock of the session, one per schema, for goose. goose's own
// looks once in five seconds, and an instance that starts would wait for that.
// It asks again and again and does not wait in the server, where the wait would
// be a transaction that CREATE INDEX CONCURRENTLY has to wait for in turn.
type advisoryLock struct{}

// SessionLock implements lock.SessionLocker.
func (advisoryLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	tick := time.NewTicker(lockInterval)
	defer tick.Stop()
	for {
		var locked bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))", lockKey).Scan(&locked)
		if err != nil {
			return fmt.Errorf("take the lock for migrations: %w", err)
		}
		if locked {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another instance to finish its migrations: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// SessionUnlock implements lock.SessionLocker.
func (advisoryLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1, hashtext(current_schema()))", lockKey)
	return err
}

// fileLock is a lock beside a SQLite file, for goose.
type fileLock struct {
	path   string
	unlock func() error
}

// Lock implements lock.Locker.
func (l *fileLock) Lock(ctx context.Context, _ *sql.DB) error {
	var err error
	l.unlock, err = filelock.Lock(ctx, l.path)
	return err
}

// Unlock implements lock.Locker.
func (l *fileLock) Unlock(context.Context, *sql.DB) error { return l.unlock() }
