package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/mixin"
)

// Execer runs a statement in a transaction: *sql.Tx, or the *Tx that ent
// generates with the feature sql/execquery.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Outbox is the outbox of one database. Its methods may be called from any
// goroutine.
type Outbox struct {
	db      *database.Database
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{}
}

// New returns the outbox in db. Its metrics are registered with registry, which
// may be nil; where a process has several outboxes, each needs a registry of its
// own or one wrapped with a label (prometheus.WrapRegistererWith), and New
// panics otherwise. It starts nothing.
func New(db *database.Database, log *slog.Logger, registry prometheus.Registerer) *Outbox {
	o := &Outbox{db: db, log: log, metrics: newMetrics(registry), wake: make(chan struct{}, 1)}
	db.AfterCommit(o.Wake)
	return o
}

// Append adds an event in the caller's transaction. id identifies the event for
// those who receive it, at most 64 bytes and unique; appending one id twice
// fails, and so does the transaction.
func (o *Outbox) Append(ctx context.Context, tx Execer, id string, payload []byte) error {
	if id == "" || len(id) > mixin.MaxIDLength {
		return fmt.Errorf("append an event to the outbox: its id has %d bytes, and 1 to %d are allowed", len(id), mixin.MaxIDLength)
	}
	if payload == nil {
		payload = []byte{}
	}
	query, args := entsql.Dialect(o.db.Dialect).Insert(mixin.OutboxTable).
		Columns("event_id", "payload", "created_at").
		Values(id, payload, time.Now().UnixMilli()).
		Query()
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("append the event %s to the outbox: %w", id, err)
	}
	return nil
}

// Wake makes the relay of this outbox look for events at once.
// [database.InTx] does that by itself; call it after a commit made otherwise,
// or the relay finds the event at its next look.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // it is awake already
	}
}
