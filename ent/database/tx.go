package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxAttempts bounds how often a transaction is run when others are in its way.
const maxAttempts = 5

// Tx is what ent's generated *Tx and *sql.Tx have in common.
type Tx interface {
	Commit() error
	Rollback() error
}

// InTx runs a transaction: begin makes it, run does the work, and then it is
// committed, or rolled back when run returns an error or panics.
//
//	err := database.InTx(ctx, db, client.Tx, func(tx *ent.Tx) error {
//		if err := tx.Note.Create()….Exec(ctx); err != nil {
//			return err
//		}
//		return box.Append(ctx, tx, event.ID, payload)
//	})
//
// When another transaction was in the way (serialization failure, deadlock,
// SQLite busy), or the connection was lost before anything could be committed, it
// is run again, up to five times, after a short pause: so run must do nothing
// that cannot be done twice but through its transaction, and set what it returns
// by closure anew each time. A server that cannot be reached is not tried again.
// Where the connection is lost during the commit, the error is
// [ErrOutcomeUnknown], and nothing is run again. The error of run comes back as
// it is. Who waits too long for a connection, or on SQLite for a turn, is turned
// away with [ErrOverloaded]. On SQLite transactions of this process take turns, so run must not call
// InTx: it would wait for itself.
func InTx[T Tx](ctx context.Context, db *Database, begin func(context.Context) (T, error), run func(T) error) error {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: 5 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 3, MaxInterval: 250 * time.Millisecond,
	}
	pause.Reset()
	for attempt := 1; ; attempt++ {
		err := inTx(ctx, db, begin, run)
		if err == nil || IsOutcomeUnknown(err) {
			// Also where it may have been: who looks finds out.
			db.committed()
			return err
		}
		db.full.note(err)
		if attempt == maxAttempts || !isConflict(err) && !isLost(err) {
			return err
		}
		wait := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			wait.Stop()
			return errors.Join(err, ctx.Err())
		case <-wait.C:
		}
	}
}

// inTx runs the transaction once.
func inTx[T Tx](ctx context.Context, db *Database, begin func(context.Context) (T, error), run func(T) error) (err error) {
	if db.writer != nil {
		// Waiting here is in order; waiting for SQLite's lock is not, and some
		// would wait until they fail.
		end, err := db.writer.take(ctx)
		if err != nil {
			return err
		}
		defer end()
	}
	tx, err := begin(ctx)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	done := false
	defer func() {
		if done {
			return
		}
		// After a panic, too, which goes on after this.
		if failed := tx.Rollback(); failed != nil && !errors.Is(failed, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("roll back: %w", failed))
		}
	}()
	if err := run(tx); err != nil {
		return err
	}
	done = true
	return Commit(tx)
}

// Commit commits a transaction for who does not use [InTx], which is to be
// preferred. The error is [ErrOutcomeUnknown] where it is not known whether it
// was committed.
func Commit(tx Tx) error {
	err := tx.Commit()
	switch {
	case err == nil:
		return nil
	case isDecided(err):
		return fmt.Errorf("commit: %w", err)
	}
	return fmt.Errorf("commit: %w: %w", ErrOutcomeUnknown, err)
}
