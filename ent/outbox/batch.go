package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/mixin"
)

// maxBatchBytes bounds the payloads of a batch, unless a single one is larger,
// so that a batch fits into one message.
const maxBatchBytes = 1 << 20

// batch is events from the head of the queue.
type batch struct {
	first    string // the id of the first event, for the log
	keys     []int64
	payloads [][]byte
	all      bool // nothing was left behind it
}

// empty says whether there is nothing to deliver, at little cost.
func (o *Outbox) empty(ctx context.Context) (bool, error) {
	var id int64
	err := o.number(ctx, "SELECT id FROM "+mixin.OutboxTable+" ORDER BY id LIMIT 1", &id)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into the outbox: %w", err)
	}
	return false, nil
}

// querier is a transaction or a connection.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readHead is the same in both dialects.
const readHead = "SELECT id, event_id, payload FROM " + mixin.OutboxTable + " ORDER BY id LIMIT "

// head reads at most limit events, the oldest first.
func head(ctx context.Context, from querier, limit int) (b batch, err error) {
	rows, err := from.QueryContext(ctx, readHead+strconv.Itoa(limit))
	if err != nil {
		return b, fmt.Errorf("read the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	b.all = true
	bytes := 0
	for rows.Next() {
		var key int64
		var event string
		var payload []byte
		if err := rows.Scan(&key, &event, &payload); err != nil {
			return b, fmt.Errorf("read the outbox: %w", err)
		}
		if bytes += len(payload); bytes > maxBatchBytes && len(b.keys) > 0 {
			b.all = false
			return b, nil
		}
		if b.first == "" {
			b.first = event
		}
		b.keys = append(b.keys, key)
		b.payloads = append(b.payloads, payload)
	}
	if err := rows.Err(); err != nil {
		return b, fmt.Errorf("read the outbox: %w", err)
	}
	b.all = len(b.keys) < limit
	return b, nil
}

// write runs a transaction of the relay.
func (o *Outbox) write(ctx context.Context, run func(context.Context, Execer) error) error {
	return database.InTx(ctx, o.db, o.db.Begin, func(tx *database.DirectTx) error { return run(ctx, tx) })
}

// number reads one number.
func (o *Outbox) number(ctx context.Context, query string, into *int64) error {
	return o.db.WithConn(ctx, func(conn *sql.Conn) error { return conn.QueryRowContext(ctx, query).Scan(into) })
}
