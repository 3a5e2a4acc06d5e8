package store

import (
	"context"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"ashlar.dev/ent/database"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/event"
)

// appendLock is the number of the advisory lock that appends take on PostgreSQL.
const appendLock = 0x61756469

// Append adds events, all or none, in their order. An event whose id is there already is left as it is. Whoever sees
// an event sees all that have a lower sequence: so a reader that goes on where it stopped misses none.
func (s *Store) Append(ctx context.Context, events []*ent.Event) error {
	return database.InTx(ctx, s.db, s.client.Tx, func(tx *ent.Tx) error {
		if s.db.Dialect == dialect.Postgres {
			// Sequences are given out when a row is written, and seen when it is committed: one append at a time keeps
			// the two in the same order. On SQLite it is so anyway.
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", appendLock); err != nil {
				return err
			}
		}
		rows := make([]*ent.EventCreate, len(events))
		for i, e := range events {
			rows[i] = create(tx.Event, e)
		}
		return tx.Event.CreateBulk(rows...).OnConflictColumns(event.FieldEventID).DoNothing().Exec(ctx)
	})
}

func create(events *ent.EventClient, e *ent.Event) *ent.EventCreate {
	attributes := make(map[string]string, len(e.Attributes))
	for key, value := range e.Attributes {
		attributes[storable(key)] = storable(value)
	}
	return events.Create().
		SetEventID(storable(e.EventID)).
		// What PostgreSQL keeps, so that both dialects answer the same.
		SetOccurredAt(e.OccurredAt.UTC().Truncate(time.Microsecond)).
		SetService(storable(e.Service)).SetProcedure(storable(e.Procedure)).SetAction(storable(e.Action)).
		SetActorKind(e.ActorKind).SetActorID(storable(e.ActorID)).SetSessionID(storable(e.SessionID)).
		SetOrganizationID(storable(e.OrganizationID)).SetResource(storable(e.Resource)).
		SetOutcome(e.Outcome).SetReason(storable(e.Reason)).SetTraceID(storable(e.TraceID)).
		SetAttributes(attributes)
}

// storable returns s without NUL, which PostgreSQL's text cannot hold: one such event, made by whoever sends a strange
// request, would hold up all that come after it in the outbox.
func storable(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }
