package mixin

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
)

// MaxIDLength is the greatest length of a resource id in bytes.
const MaxIDLength = 64

// ID gives a schema the platform's kind of primary key: a string made of a
// prefix and a base32 UUIDv7 ("usr_…"). The caller sets it (kernel/id makes
// one), so that an id is known before the row is written. It never changes.
type ID struct{ mixin.Schema }

// Fields implements ent.Mixin.
func (ID) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").NotEmpty().MaxLen(MaxIDLength).Immutable().
			Comment("A prefix and a base32 UUIDv7, set by the service."),
	}
}
