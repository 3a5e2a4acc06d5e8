package database

import (
	"context"
	"errors"
	"sync"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// Driver is ent's driver on the pool, with a bound on the time that is waited for a connection: see [ErrOverloaded].
// It implements dialect.Driver.
type Driver struct {
	*entsql.Driver

	turns *turns
	full  *full
}

// Exec implements dialect.Driver.
func (d *Driver) Exec(ctx context.Context, query string, args, v any) error {
	end, err := d.turns.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = d.Driver.Exec(ctx, query, args, v)
	d.full.note(err)
	return err
}

// Query implements dialect.Driver. The connection is taken until the rows are closed.
func (d *Driver) Query(ctx context.Context, query string, args, v any) error {
	end, err := d.turns.take(ctx)
	if err != nil {
		return err
	}
	err = d.Driver.Query(ctx, query, args, v)
	d.full.note(err)
	rows, ok := v.(*entsql.Rows)
	if err != nil || !ok {
		end()
		return err
	}
	rows.ColumnScanner = &takenRows{rows.ColumnScanner, sync.OnceFunc(end)}
	return nil
}

// Tx implements dialect.Driver.
func (d *Driver) Tx(ctx context.Context) (dialect.Tx, error) { return d.BeginTx(ctx, nil) }

// BeginTx begins a transaction with options. The connection is taken until its end, or that of ctx, which ends it, too.
func (d *Driver) BeginTx(ctx context.Context, options *entsql.TxOptions) (dialect.Tx, error) {
	end, err := d.turns.take(ctx)
	if err != nil {
		return nil, err
	}
	begun, err := d.Driver.BeginTx(ctx, options)
	if err != nil {
		end()
		return nil, err
	}
	tx, ok := begun.(fullTx)
	if !ok {
		end()
		return nil, errors.Join(errors.New("ent's transaction does not do what is asked of it"), begun.Rollback())
	}
	end = sync.OnceFunc(end)
	stop := context.AfterFunc(ctx, end)
	return &takenTx{tx, func() { stop(); end() }}, nil
}

type takenRows struct {
	entsql.ColumnScanner

	end func()
}

// Close implements entsql.ColumnScanner.
func (r *takenRows) Close() error {
	defer r.end()
	return r.ColumnScanner.Close()
}

// fullTx is what a transaction of ent can do; who writes statements by hand asks for the second.
type fullTx interface {
	dialect.Tx
	entsql.ExecQuerier
}

type takenTx struct {
	fullTx

	end func()
}

// Commit implements driver.Tx.
func (t *takenTx) Commit() error {
	defer t.end()
	return t.fullTx.Commit()
}

// Rollback implements driver.Tx.
func (t *takenTx) Rollback() error {
	defer t.end()
	return t.fullTx.Rollback()
}
