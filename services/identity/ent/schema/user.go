// Package schema is what identity keeps.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"ashlar.dev/ent/mixin"
)

// User is a person.
type User struct{ ent.Schema }

// Mixin implements ent.Interface.
func (User) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("email").MaxLen(254).Unique().Comment("In lower case."),
		field.String("display_name").MaxRuneLen(200),
		field.Time("deactivated_at").Optional().Nillable().Comment("Since when; nil where the person is active."),
		field.Int64("version").Default(1).Comment("Grows with each change."),
		field.String("request_key").MaxLen(160).Optional().Nillable().Unique().Immutable().
			Comment("Who created it and under which request_id."),
	}
}
