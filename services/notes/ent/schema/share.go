package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Share lets a person see a note. Its ids sort in the order of sharing.
type Share struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Share) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Share) Fields() []ent.Field {
	return []ent.Field{
		field.String("note_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("user_id").MaxLen(mixin.MaxIDLength).Immutable(),
	}
}

// Edges implements ent.Interface.
func (Share) Edges() []ent.Edge {
	return []ent.Edge{edge.From("note", Note.Type).Ref("shares").Field("note_id").Unique().Required().Immutable()}
}

// Indexes implements ent.Interface.
func (Share) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("note_id", "user_id").Unique(),
		index.Fields("note_id", "id"),
		// What somebody else shared with a person.
		index.Fields("user_id", "note_id"),
	}
}
