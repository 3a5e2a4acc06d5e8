package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// Conn takes a connection for statements that do not go through ent. It waits for one as long as [Driver] does, and then
// fails with [ErrOverloaded]; the connection that Driver leaves over is there for it. It has to be closed.
func (d *Database) Conn(ctx context.Context) (*sql.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, d.connections.patience(ctx))
	defer cancel()
	begun := time.Now()
	conn, err := d.DB.Conn(waiting)
	d.connections.waited.Add(time.Since(begun).Seconds())
	// The queue's error is this one, bare; that of a connection that could not be made in time says so.
	if err == context.DeadlineExceeded && ctx.Err() == nil { //nolint:errorlint // see above
		d.connections.denied.Inc()
		return nil, ErrOverloaded
	}
	return conn, err
}

// badAtMost bounds how many connections are tried that have ended while they were idle. It is database/sql's own number.
const badAtMost = 3

// WithConn runs one statement on a connection of [Database.Conn]; again, on another one, where the connection turns out to have
// ended before anything was sent (driver.ErrBadConn).
func (d *Database) WithConn(ctx context.Context, run func(*sql.Conn) error) (err error) {
	for range badAtMost {
		if err = d.runOnce(ctx, run); !errors.Is(err, driver.ErrBadConn) {
			d.full.note(err)
			return err
		}
	}
	return err
}

func (d *Database) runOnce(ctx context.Context, run func(*sql.Conn) error) error {
	conn, err := d.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return run(conn)
}

// ExecContext is WithConn for a statement that answers no rows.
func (d *Database) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = d.WithConn(ctx, func(conn *sql.Conn) error {
		var failed error
		result, failed = conn.ExecContext(ctx, query, args...)
		return failed
	})
	return result, err
}

// Begin begins a transaction on a connection of [Database.Conn], for [InTx].
func (d *Database) Begin(ctx context.Context) (*DirectTx, error) {
	conn, err := d.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &DirectTx{tx, conn}, nil
}

// DirectTx is a transaction that gives its connection back at its end.
type DirectTx struct {
	*sql.Tx

	conn *sql.Conn
}

// Commit implements Tx.
func (t *DirectTx) Commit() error {
	defer func() { _ = t.conn.Close() }()
	return t.Tx.Commit()
}

// Rollback implements Tx.
func (t *DirectTx) Rollback() error {
	defer func() { _ = t.conn.Close() }()
	return t.Tx.Rollback()
}
