package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"ashlar.dev/ent/mixin"
)

// Administrator is a person whom the configuration made an administrator. Its id is that of the user. It is kept apart
// from the password, so that taking the password away forgets nothing.
type Administrator struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Administrator) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}} }

// Fields implements ent.Interface.
func (Administrator) Fields() []ent.Field {
	return []ent.Field{
		field.Time("granted_at").Immutable().Comment("Since when the role is for authz alone to keep, or to take away."),
	}
}
