package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Membership is a person's belonging to an organization. Its ids sort in the order of joining.
type Membership struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Membership) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Membership) Fields() []ent.Field {
	return []ent.Field{
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("user_id").MaxLen(mixin.MaxIDLength).Immutable(),
	}
}

// Indexes implements ent.Interface.
func (Membership) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "user_id").Unique(),
		// One for each list.
		index.Fields("organization_id", "id"),
		index.Fields("user_id", "id"),
	}
}
