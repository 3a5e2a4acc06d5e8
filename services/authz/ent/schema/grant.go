package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Grant is a role that a person holds somewhere. Its ids sort in the order of granting.
type Grant struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Grant) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Grant) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Default("").Immutable().Comment("Where; empty: everywhere."),
		field.String("role_id").MaxLen(mixin.MaxIDLength).Immutable(),
	}
}

// Edges implements ent.Interface.
func (Grant) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("role", Role.Type).Ref("grants").Field("role_id").Unique().Required().Immutable(),
	}
}

// Indexes implements ent.Interface.
func (Grant) Indexes() []ent.Index {
	return []ent.Index{
		// Decisions ask by person and organization.
		index.Fields("user_id", "organization_id", "role_id").Unique(),
		// One for each way to list them.
		index.Fields("organization_id", "id"),
		index.Fields("organization_id", "user_id", "id"),
		index.Fields("role_id"),
	}
}
