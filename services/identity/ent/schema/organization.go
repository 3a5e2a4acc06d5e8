package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"ashlar.dev/ent/mixin"
)

// Organization is a group of people who work together.
type Organization struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Organization) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Organization) Fields() []ent.Field {
	return []ent.Field{
		field.String("display_name").MaxRuneLen(200),
		field.Bool("deactivated").Default(false),
		field.Int64("version").Default(1).Comment("Grows with each change."),
		field.String("request_key").MaxLen(160).Optional().Nillable().Unique().Immutable().
			Comment("Who created it and under which request_id."),
	}
}
