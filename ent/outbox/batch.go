package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/mixin"
)

// maxBatchBytes bounds the payloads of a batch, unless a single one is larger,
// so that a batch fits into one message.
const maxBatchBytes = 1 << 20

// batch is events from the head of the queue.
type batch struct {
	first    string // the id of the first event, for the log
	last     int64
	rows     []any // their keys
	payloads [][]byte
	all      bool // nothing was left behind it
}

// empty says whether there is nothing to deliver, at little cost.
func (o *Outbox) empty(ctx context.Context) (bool, error) {
	query, args := entsql.Dialect(o.db.Dialect).Select("id").From(entsql.Table(mixin.OutboxTable)).Limit(1).Query()
	var id int64
	err := o.db.DB.QueryRowContext(ctx, query, args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into the outbox: %w", err)
	}
	return false, nil
}

// head reads at most limit events, the oldest first.
func (o *Outbox) head(ctx context.Context, limit int) (b batch, err error) {
	query, args := entsql.Dialect(o.db.Dialect).Select("id", "event_id", "payload").
		From(entsql.Table(mixin.OutboxTable)).OrderBy(entsql.Asc("id")).Limit(limit).Query()
	rows, err := o.db.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return b, fmt.Errorf("read the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	b.all = true
	bytes := 0
	for rows.Next() {
		var event string
		var payload []byte
		if err := rows.Scan(&b.last, &event, &payload); err != nil {
			return b, fmt.Errorf("read the outbox: %w", err)
		}
		if bytes += len(payload); bytes > maxBatchBytes && len(b.rows) > 0 {
			b.all = false
			return b, nil
		}
		if b.first == "" {
			b.first = event
		}
		b.rows = append(b.rows, b.last)
		b.payloads = append(b.payloads, payload)
	}
	if err := rows.Err(); err != nil {
		return b, fmt.Errorf("read the outbox: %w", err)
	}
	b.all = len(b.rows) < limit
	return b, nil
}

// remove deletes the events of a batch, and extends the lease, or gives it back
// where the batch was the last. By key, not up to the last key: an event of a
// transaction that overlapped may have been committed since, with a lower one.
func (o *Outbox) remove(ctx context.Context, b batch, l *lease) (held bool, err error) {
	err = o.settle(ctx, func(ctx context.Context, tx Execer) error {
		query, args := entsql.Dialect(o.db.Dialect).Delete(mixin.OutboxTable).
			Where(entsql.In("id", b.rows...)).Query()
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("delete delivered events: %w", err)
		}
		if b.all {
			return l.giveBack(ctx, tx)
		}
		held, err = l.take(ctx, tx)
		return err
	})
	return held, err
}

// settleTimeout bounds what has to be written although the relay is to end.
const settleTimeout = 2 * time.Second

// settle is like write, also after the end of ctx: what was delivered is
// recorded as delivered.
func (o *Outbox) settle(ctx context.Context, run func(context.Context, Execer) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return o.write(ctx, run)
}

// write runs a transaction of the relay.
func (o *Outbox) write(ctx context.Context, run func(context.Context, Execer) error) error {
	begin := func(ctx context.Context) (*sql.Tx, error) { return o.db.DB.BeginTx(ctx, nil) }
	return database.InTx(ctx, o.db, begin, func(tx *sql.Tx) error { return run(ctx, tx) })
}

// measure counts what is left for the metrics.
func (o *Outbox) measure(ctx context.Context) error {
	query, args := entsql.Dialect(o.db.Dialect).Select(entsql.Count("*"), entsql.Min("created_at")).
		From(entsql.Table(mixin.OutboxTable)).Query()
	var depth int64
	var oldest sql.NullInt64
	if err := o.db.DB.QueryRowContext(ctx, query, args...).Scan(&depth, &oldest); err != nil {
		return fmt.Errorf("measure the outbox: %w", err)
	}
	o.metrics.depth.Set(float64(depth))
	o.metrics.oldest.Set(0)
	if oldest.Valid {
		o.metrics.oldest.Set(max(0, time.Since(time.UnixMilli(oldest.Int64)).Seconds()))
	}
	return nil
}
