package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"ashlar.dev/ent/mixin"
)

// TreeHash is the hash of one complete subtree of the Merkle log. Its id is the place that golang.org/x/mod/sumdb/tlog
// gives it (StoredHashIndex); nothing of it ever changes.
type TreeHash struct{ ent.Schema }

// Fields implements ent.Interface.
func (TreeHash) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").NonNegative().Immutable().Annotations(entsql.Annotation{Incremental: new(bool)}),
		field.Bytes("hash").MaxLen(hashBytes).Immutable().Comment("SHA-256."),
	}
}

// TreeHead is how far the log goes, and what it is signed with. There is one, with the id that the store gives it.
type TreeHead struct{ ent.Schema }

// Mixin implements ent.Interface.
func (TreeHead) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (TreeHead) Fields() []ent.Field {
	return []ent.Field{
		field.Text("checkpoint").Comment("The newest one: a signed note (c2sp.org/tlog-checkpoint)."),
		field.String("origin").Immutable().Comment("The name of the log, in its checkpoints."),
		field.Bytes("public_key").MaxLen(32).Immutable().Comment("Ed25519."),
		field.Bytes("sealed_private_key").MaxLen(128).Immutable().Sensitive().
			Comment("Encrypted under a key derived from the cluster key."),
	}
}

// Annotations implements ent.Interface.
func (TreeHead) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("tree_heads")}
}

// hashBytes is the size of SHA-256.
const hashBytes = 32
