// Package schema is what authz keeps.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Permission is something that a module lets people do. Its id is `module.resource.action`.
type Permission struct{ ent.Schema }

// Fields implements ent.Interface.
func (Permission) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").NotEmpty().MaxLen(200).Immutable(),
		field.String("module").MaxLen(64).Immutable(),
		field.String("description").MaxRuneLen(500),
		field.Bool("removed").Default(false).Comment("The module does not declare it any more."),
	}
}
