// Package schema is what auth keeps.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Credential is a person's password. Its id is that of the user, whom identity keeps.
type Credential struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Credential) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Credential) Fields() []ent.Field {
	return []ent.Field{
		field.String("password_hash").MaxLen(512).Sensitive().Comment("A PHC string."),
		field.Enum("state").Values("pending", "active").Default("pending").
			Comment("Pending until identity is known to have the person; nobody can sign in before."),
	}
}

// Indexes implements ent.Interface.
func (Credential) Indexes() []ent.Index {
	return []ent.Index{
		// For the search of sign-ups that were left behind.
		index.Fields("state", "updated_at"),
	}
}
