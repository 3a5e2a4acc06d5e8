package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// SigningKey is a key that access tokens are or were signed with. Its id is the kid of the tokens.
type SigningKey struct{ ent.Schema }

// Mixin implements ent.Interface.
func (SigningKey) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}} }

// Fields implements ent.Interface.
func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("public_key").MaxLen(32).Immutable().Comment("Ed25519."),
		field.Bytes("sealed_private_key").MaxLen(128).Immutable().Sensitive().
			Comment("Encrypted under a key derived from the cluster key."),
		field.Time("created_at").Immutable(),
		field.Time("retired_at").Optional().Nillable().Comment("Since when it signs no more."),
		field.Bool("active").Optional().Nillable().Comment("True for the key that signs, null for all others."),
	}
}

// Indexes implements ent.Interface.
func (SigningKey) Indexes() []ent.Index {
	// Nulls are no duplicates: so one key signs.
	return []ent.Index{index.Fields("active").Unique()}
}
