package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Change says that something about a note is new to somebody. What, is seen by looking at the note.
type Change struct{ ent.Schema }

// Fields implements ent.Interface.
func (Change) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable().
			Comment("Given by the database; within an organization visible in this order."),
		field.String("organization_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("note_id").MaxLen(mixin.MaxIDLength).Immutable(),
		field.String("user_id").MaxLen(mixin.MaxIDLength).Immutable().
			Comment("Whom it is about, where it is about one person: who may see the note now, or not any more. Else empty."),
		field.Time("created_at").Immutable().Default(mixin.Now),
	}
}

// Indexes implements ent.Interface.
func (Change) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "id"),
		// For a watcher, who must not read again and again what is about others.
		index.Fields("organization_id", "user_id", "id"),
		// For forgetting old ones.
		index.Fields("created_at"),
	}
}

// Turn is an organization in which notes have changed. Transactions that announce a change there take turns by locking its
// row.
type Turn struct{ ent.Schema }

// Fields implements ent.Interface.
func (Turn) Fields() []ent.Field {
	return []ent.Field{field.String("id").NotEmpty().MaxLen(mixin.MaxIDLength).Immutable().Comment("The organization's.")}
}
