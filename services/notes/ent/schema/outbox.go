package schema

import (
	"entgo.io/ent"

	"ashlar.dev/ent/mixin"
)

// OutboxEvent is an audit event that is still to be delivered.
type OutboxEvent struct{ ent.Schema }

// Mixin implements ent.Interface.
func (OutboxEvent) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Outbox{}} }

// OutboxLease is an instance's right to deliver events.
type OutboxLease struct{ ent.Schema }

// Mixin implements ent.Interface.
func (OutboxLease) Mixin() []ent.Mixin { return []ent.Mixin{mixin.OutboxLease{}} }
