// Package schema is what the tests of ashlar.dev/ent store: the smallest
// service there can be.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"ashlar.dev/ent/mixin"
)

// Note is a row that people edit.
type Note struct{ ent.Schema }

// Mixin implements ent.Interface.
func (Note) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}, mixin.Time{}} }

// Fields implements ent.Interface.
func (Note) Fields() []ent.Field {
	return []ent.Field{
		field.String("title").MaxLen(200).Unique(),
		field.String("body").Default(""),
	}
}

// Indexes implements ent.Interface.
func (Note) Indexes() []ent.Index {
	return []ent.Index{index.Fields("created_at", "id")}
}
