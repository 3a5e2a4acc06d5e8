package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// observed makes connections whose statements an observer is told of. SQLite's
// driver has no tracer, and is made for being wrapped like this.
type observed struct {
	driver.Connector

	observer *observer
}

// sqliteConn is what a connection of SQLite's driver can do that database/sql
// asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// Connect implements driver.Connector.
func (o observed) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := o.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("SQLite's driver does not do what is asked of it"), conn.Close())
	}
	return &observedConn{full, o.observer}, nil
}

// observedConn tells of statements that are sent at once.
type observedConn struct {
	sqliteConn

	observer *observer
}

// ExecContext implements driver.ExecerContext.
func (c *observedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ctx, s := c.observer.begin(ctx, query, func() []any { return values(args) })
	result, err := c.sqliteConn.ExecContext(ctx, query, args)
	s.end(ctx, err)
	return result, err
}

// QueryContext implements driver.QueryerContext.
func (c *observedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ctx, s := c.observer.begin(ctx, query, func() []any { return values(args) })
	return observeRows(ctx, s)(c.sqliteConn.QueryContext(ctx, query, args))
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *observedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepared, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	full, ok := prepared.(sqliteStmt)
	if !ok {
		return prepared, nil
	}
	return &observedStmt{full, c.observer, query}, nil
}

// sqliteStmt is what a prepared statement of SQLite's driver can do.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// observedStmt tells of statements that were prepared before.
type observedStmt struct {
	sqliteStmt

	observer *observer
	query    string
}

// ExecContext implements driver.StmtExecContext.
func (p *observedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	ctx, s := p.observer.begin(ctx, p.query, func() []any { return values(args) })
	result, err := p.sqliteStmt.ExecContext(ctx, args)
	s.end(ctx, err)
	return result, err
}

// QueryContext implements driver.StmtQueryContext.
func (p *observedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	ctx, s := p.observer.begin(ctx, p.query, func() []any { return values(args) })
	return observeRows(ctx, s)(p.sqliteStmt.QueryContext(ctx, args))
}

// observeRows ends a statement when its rows are closed: SQLite finds them while
// they are read.
func observeRows(ctx context.Context, s statement) func(driver.Rows, error) (driver.Rows, error) {
	return func(rows driver.Rows, err error) (driver.Rows, error) {
		if err != nil {
			s.end(ctx, err)
			return nil, err
		}
		full, ok := rows.(sqliteRows)
		if !ok {
			s.end(ctx, nil)
			return rows, nil
		}
		return &observedRows{sqliteRows: full, ctx: ctx, statement: s}, nil
	}
}

// sqliteRows is what rows of SQLite's driver can do.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

type observedRows struct {
	sqliteRows

	ctx       context.Context
	statement statement
	err       error
	closed    bool
}

// Next implements driver.Rows.
func (r *observedRows) Next(row []driver.Value) error {
	err := r.sqliteRows.Next(row)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return err
}

// Close implements driver.Rows.
func (r *observedRows) Close() error {
	err := r.sqliteRows.Close()
	if !r.closed {
		r.closed = true
		r.statement.end(r.ctx, errors.Join(r.err, err))
	}
	return err
}

func values(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		out[i] = arg.Value
	}
	return out
}
