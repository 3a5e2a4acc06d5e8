package database

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresConnector makes connections that outlive a transaction whose caller has left.
//
// database/sql rolls such a transaction back, and keeps its connection only where the driver says that it is still good
// (driver.Validator). pgx does not say so, and it rolls back under the context of the transaction, which is over then. A new
// connection costs the server a process, and both sides the thousands of hashes of SCRAM: too much for whoever cancels a lot.
type postgresConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c postgresConnector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := made.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(errors.New("pgx has made another connection than it is known to"), made.Close())
	}
	return postgresConn{conn}, nil
}

type pgxConn = stdlib.Conn // by another name, because it has a method of its own

// postgresConn is a connection that says whether it is good. It is used by one goroutine at a time, as database/sql has it.
type postgresConn struct{ *pgxConn }

// IsValid implements driver.Validator: the connection is there, and nothing is left of the transaction before.
func (c postgresConn) IsValid() bool {
	return !c.Conn().IsClosed() && c.Conn().PgConn().TxStatus() == 'I'
}

// BeginTx implements driver.ConnBeginTx.
func (c postgresConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.pgxConn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return postgresTx{tx, context.WithoutCancel(ctx), c.Conn()}, nil
}

type postgresTx struct {
	driver.Tx

	ctx  context.Context //nolint:containedctx // a transaction of database/sql ends without one
	conn *pgx.Conn
}

// Rollback implements driver.Tx. It takes postgresCancelTime, and where the server does not answer as long again; after
// that the connection is closed, which rolls back, too.
func (t postgresTx) Rollback() error {
	ctx, cancel := context.WithTimeout(t.ctx, postgresCancelTime)
	defer cancel()
	if _, err := t.conn.Exec(ctx, "rollback"); err != nil {
		// Nobody may get a connection of which it is not known whether it is in a transaction.
		return errors.Join(err, t.conn.Close(ctx))
	}
	return nil
}
