// Package schema is what audit keeps.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Event is one entry of the record. Nothing of it ever changes. The bounds of its fields are those of the message
// ashlar.audit.v1.Event, which is validated before it gets here.
type Event struct{ ent.Schema }

// Fields implements ent.Interface.
func (Event) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").StorageKey("sequence").Immutable().
			Comment("The order of arrival: given by the database, never used twice."),
		field.String("event_id").NotEmpty().MaxLen(mixin.MaxIDLength).Unique().Immutable(),
		field.Time("occurred_at").Immutable().Comment("By the clock of the service that recorded it."),
		field.String("service").Immutable(),
		field.String("procedure").Immutable(),
		field.String("action").Immutable(),
		field.Int32("actor_kind").Immutable().Comment("The number in ashlar.audit.v1.ActorKind."),
		field.String("actor_id").Immutable(),
		field.String("session_id").Immutable(),
		field.String("organization_id").Immutable(),
		field.String("resource").Immutable(),
		field.Int32("outcome").Immutable().Comment("The number in ashlar.audit.v1.Outcome."),
		field.String("reason").Immutable(),
		field.String("trace_id").Immutable(),
		field.JSON("attributes", map[string]string{}).Immutable(),
		field.Int64("leaf_index").NonNegative().Unique().Immutable().
			Comment("Its place on the Merkle log: from 0 on, without gaps, in the order of arrival."),
	}
}

// Indexes implements ent.Interface: one for each filter everywhere, and one for each within an organization, in both orders of
// the answer.
func (Event) Indexes() []ent.Index {
	indexes := []ent.Index{index.Fields("occurred_at", "id")}
	for _, filter := range [][]string{
		{"organization_id"},
		{"actor_id"}, {"actor_id", "organization_id"},
		{"resource"}, {"resource", "organization_id"},
		{"action"}, {"action", "organization_id"},
		{"outcome"}, {"outcome", "organization_id"},
	} {
		indexes = append(indexes, index.Fields(append(filter, "id")...), index.Fields(append(filter, "occurred_at", "id")...))
	}
	return indexes
}
