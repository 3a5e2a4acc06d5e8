// Package schema is what notes keeps.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Note is what somebody wrote down. Its ids sort in the order of creation. Its words are indexed for search by migrations
// that ent knows nothing of; on SQLite a migration that copies the table has to make their triggers anew.
type Note struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Note) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Note) Fields() []ent.Field {
	return []ent.Field{
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("title").MaxRuneLen(200),
		field.String("body").MaxRuneLen(20_000),
		field.String("owner_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.Int64("version").Default(1).Comment("Grows with each change."),
		field.String("request_key").MaxLen(230).Optional().Nillable().Unique().Immutable().
			Comment("Where and by whom it was created, and under which request_id."),
	}
}

// Edges implements ent.Interface.
func (Note) Edges() []ent.Edge {
	return []ent.Edge{edge.To("shares", Share.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// Indexes implements ent.Interface.
func (Note) Indexes() []ent.Index {
	return []ent.Index{
		// One for each way to list them.
		index.Fields("organization_id", "id"),
		index.Fields("organization_id", "owner_id", "id"),
	}
}
