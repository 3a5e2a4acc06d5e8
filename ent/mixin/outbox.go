package mixin

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
)

// Names of the outbox's tables. ent/outbox reads and writes them.
const (
	OutboxTable      = "outbox_events"
	OutboxLeaseTable = "outbox_leases"
)

// Outbox is everything of the table outbox_events: events that were committed
// together with a change and still have to be delivered. A service has
//
//	type OutboxEvent struct{ ent.Schema }
//
//	func (OutboxEvent) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Outbox{}} }
//
// and beside it a type with [OutboxLease]. Rows are written and deleted by
// ent/outbox only.
type Outbox struct{ mixin.Schema }

// Annotations implements ent.Mixin.
func (Outbox) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: OutboxTable}}
}

// Fields implements ent.Mixin.
func (Outbox) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable().
			Comment("The order of delivery: given by the database, never used twice."),
		field.String("event_id").NotEmpty().MaxLen(MaxIDLength).Immutable().Unique(),
		field.Bytes("payload").Immutable(),
		field.Int64("created_at").Immutable().
			Comment("Milliseconds since 1970 UTC, for the lag."),
	}
}

// OutboxLease is everything of the table outbox_leases: which instance of a
// service drains the outbox at the moment.
//
//	type OutboxLease struct{ ent.Schema }
//
//	func (OutboxLease) Mixin() []ent.Mixin { return []ent.Mixin{mixin.OutboxLease{}} }
type OutboxLease struct{ mixin.Schema }

// Annotations implements ent.Mixin.
func (OutboxLease) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: OutboxLeaseTable}}
}

// Fields implements ent.Mixin.
func (OutboxLease) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").NotEmpty().MaxLen(MaxIDLength).Immutable().
			Comment("Names the relay, so that one database can have several."),
		field.String("holder").NotEmpty().MaxLen(MaxIDLength),
		field.Int64("expires_at").
			Comment("Milliseconds since 1970 by the database's clock."),
	}
}
