package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Role is a named set of permissions.
type Role struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Role) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Role) Fields() []ent.Field {
	return []ent.Field{
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Default("").Immutable().
			Comment("Whose role it is; empty: everywhere."),
		field.String("name").MaxLen(128).Immutable(),
		field.String("description").MaxRuneLen(500).Default(""),
		field.Strings("permissions").Comment("Permissions and patterns."),
		field.String("module").MaxLen(64).Default("").Immutable().Comment("Who brings it; empty: people made it."),
		field.Bool("removed").Default(false).Comment("The module does not bring it any more."),
		field.Int64("version").Default(1).Comment("Grows with each change."),
		field.String("request_key").MaxLen(230).Optional().Nillable().Unique().Immutable().
			Comment("Where and by whom it was created, and under which request_id."),
	}
}

// Edges implements ent.Interface.
func (Role) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("grants", Grant.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes implements ent.Interface.
func (Role) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("name", "organization_id").Unique(),
		// For the list of an organization's roles.
		index.Fields("organization_id", "name"),
		index.Fields("module"),
	}
}
