package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/mixin"
)

// rowLock is how relays take turns on PostgreSQL: who delivers has locked the row
// of the lease in the transaction that deletes what was delivered. Nobody waits
// for the lock (SKIP LOCKED), and it is gone with its holder: at once where the
// process died, because the server sees its connection end; where a whole machine
// or the network is gone, when the server ends the idle transaction.
//
// Relays of the release before wrote into the row who holds it until when; while
// such a one runs beside this one, that is respected.
type rowLock struct {
	outbox   *Outbox
	name     string
	duration time.Duration
}

const (
	// The setting ends with the transaction.
	lockRow = `SELECT set_config('idle_in_transaction_session_timeout', $2, true) FROM ` + mixin.OutboxLeaseTable + `
		WHERE id = $1 AND expires_at <= CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) FOR UPDATE SKIP LOCKED`
	makeRow    = `INSERT INTO ` + mixin.OutboxLeaseTable + ` (id, holder, expires_at) VALUES ($1, '-', 0) ON CONFLICT (id) DO NOTHING`
	deleteRows = `DELETE FROM ` + mixin.OutboxTable + ` WHERE id = ANY($1)`
)

// lockedRow is a lock that is held.
type lockedRow struct {
	conn     *sql.Conn
	tx       *sql.Tx // nil: it could not be begun
	stop     context.CancelFunc
	deadline time.Time // of the delivery
	ends     time.Time
}

func (l *rowLock) take(ctx context.Context) (turn, error) {
	held, err := l.lock(ctx)
	if held != nil || err != nil {
		return held.orNil(), err
	}
	// Another has it, or the row is missing.
	made, err := affected(l.outbox.db.ExecContext(ctx, makeRow, l.name))
	if err != nil {
		return nil, fmt.Errorf("make the lease %s: %w", l.name, err)
	}
	if made == 0 {
		return nil, nil //nolint:nilnil // another has it
	}
	held, err = l.lock(ctx)
	return held.orNil(), err
}

// orNil keeps a nil pointer from becoming an interface that is not nil.
func (t *lockedRow) orNil() turn {
	if t == nil {
		return nil
	}
	return t
}

func (l *rowLock) lock(ctx context.Context) (*lockedRow, error) {
	begun := time.Now()
	conn, err := l.outbox.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the lease %s: %w", l.name, err)
	}
	// The end of ctx ends the delivery, and what was delivered is deleted all the same.
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), l.duration+settleTimeout)
	t := &lockedRow{conn: conn, stop: stop, deadline: begun.Add(l.duration * 3 / 4), ends: begun.Add(l.duration)}
	if t.tx, err = conn.BeginTx(detached, nil); err == nil {
		var set string
		err = t.tx.QueryRowContext(ctx, lockRow, l.name, strconv.FormatInt(l.duration.Milliseconds(), 10)).Scan(&set)
	}
	if err == nil {
		return t, nil
	}
	failed := t.abandon(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, failed
	}
	return nil, fmt.Errorf("take the lease %s: %w", l.name, err)
}

// until leaves a quarter of the time for deleting what was delivered.
func (t *lockedRow) until() time.Time { return t.deadline }

func (t *lockedRow) head(ctx context.Context, limit int) (batch, error) {
	return head(ctx, t.tx, limit)
}

// settle deletes the batch by key, not up to the last key: an event of a
// transaction that overlapped may have been committed since, with a lower one.
func (t *lockedRow) settle(ctx context.Context, b batch) error {
	ctx, cancel := settling(ctx, t.ends)
	defer cancel()
	_, err := t.tx.ExecContext(ctx, deleteRows, b.keys)
	if err == nil {
		err = database.Commit(t.tx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("delete delivered events: %w", err), t.abandon(ctx))
	}
	t.stop()
	return t.conn.Close()
}

func (t *lockedRow) abandon(context.Context) error {
	defer t.stop()
	if t.tx != nil {
		_ = t.tx.Rollback() // within a bound; where that fails, the connection is closed, and the lock gone with it
	}
	if err := t.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("give back the connection of the lease: %w", err)
	}
	return nil
}
