// Package schema is what notes keeps.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Note is one of an organization's notes. Its ids sort in the order of creation.
type Note struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Note) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Note) Fields() []ent.Field {
	return []ent.Field{
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("display_name").MaxRuneLen(200),
		field.String("description").MaxRuneLen(2000),
		field.String("created_by").MaxLen(mixin.MaxIDLength).Immutable(),
		field.Int64("version").Default(1).Comment("Grows with each change."),
		field.String("request_key").MaxLen(230).Optional().Nillable().Unique().Immutable().
			Comment("Where and by whom it was created, and under which request_id."),
	}
}

// Indexes implements ent.Interface.
func (Note) Indexes() []ent.Index {
	return []ent.Index{
		// One for each way to list them.
		index.Fields("organization_id", "id"),
		index.Fields("organization_id", "created_by", "id"),
	}
}
