package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// APIKey is a key with which programs act for a person.
type APIKey struct{ ent.Schema }

// Mixin implements ent.Interface.
func (APIKey) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}} }

// Fields implements ent.Interface.
func (APIKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Default("").Immutable(),
		field.String("display_name").MaxLen(200).Immutable(),
		field.Bytes("secret_hash").MaxLen(hashBytes).Immutable().Sensitive().Comment("SHA-256 of the secret."),
		field.Time("created_at").Immutable(),
		field.Time("expires_at").Immutable(),
		field.Time("used_at").Optional().Nillable().Comment("To the hour."),
		field.Time("revoked_at").Optional().Nillable(),
		field.String("request_key").MaxLen(160).Optional().Nillable().Unique().Immutable().
			Comment("Who created it and under which request_id."),
	}
}

// Indexes implements ent.Interface.
func (APIKey) Indexes() []ent.Index {
	return []ent.Index{
		// For the list of a person's keys, and their number: as for sessions.
		index.Fields("user_id", "id", "expires_at").StorageKey("apikey_live_user_id_id_expires_at").Annotations(entsql.IndexWhere("revoked_at IS NULL")),
		// For the search of those that are over.
		index.Fields("expires_at"),
	}
}
