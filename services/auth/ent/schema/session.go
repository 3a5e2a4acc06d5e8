package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// hashBytes is the size of a SHA-256 hash.
const hashBytes = 32

// Session is one place where a person is signed in. Its ids sort in the order of signing in.
type Session struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}} }

// Fields implements ent.Interface.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Default("").Immutable(),
		field.Time("created_at").Immutable(),
		field.Time("refreshed_at").Comment("When the current refresh token was made."),
		field.Time("expires_at").Comment("When it ends unless it is refreshed before."),
		field.Time("revoked_at").Optional().Nillable(),
		field.Bytes("family_hash").MaxLen(hashBytes).Immutable().Unique().Sensitive().
			Comment("SHA-256 of what all refresh tokens of the session have in common."),
		field.Bytes("token_hash").MaxLen(hashBytes).Sensitive().Comment("SHA-256 of the current refresh token."),
		field.Bytes("previous_hash").MaxLen(hashBytes).Optional().Sensitive().
			Comment("SHA-256 of the refresh token that the current one was given for."),
	}
}

// Indexes implements ent.Interface.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		// For the list of a person's sessions that are not over: most of them may have been ended, and of the others most may
		// have expired, which the index tells without the row.
		index.Fields("user_id", "id", "expires_at").StorageKey("session_live_user_id_id_expires_at").Annotations(entsql.IndexWhere("revoked_at IS NULL")),
		// For the search of those that are over.
		index.Fields("expires_at"),
	}
}
