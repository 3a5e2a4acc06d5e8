package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"ashlar.dev/ent/mixin"
)

// Module is who brings permissions and roles. Its id is the module's name.
type Module struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Module) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Time{}} }

// Fields implements ent.Interface.
func (Module) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").NotEmpty().MaxLen(64).Immutable(),
		field.String("version").MaxLen(100).Default("").Comment("The newest that has registered; empty: one that did not say."),
	}
}
