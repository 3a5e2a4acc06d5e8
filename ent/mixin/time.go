package mixin

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
)

// Time gives a schema created_at, set once, and updated_at, set on every
// update through ent. Both are UTC and cut to microseconds, the precision that
// PostgreSQL keeps, so that a value read back equals the value written.
type Time struct{ mixin.Schema }

// Fields implements ent.Mixin.
func (Time) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Immutable().Default(Now),
		field.Time("updated_at").Default(Now).UpdateDefault(Now),
	}
}

// Now is the current time in UTC, cut to microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
