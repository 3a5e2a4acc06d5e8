package store

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/event"
	"ashlar.dev/services/audit/ent/predicate"
)

// Filter says which events are wanted. Fields that are empty restrict nothing.
type Filter struct {
	OrganizationID, ActorID, Action, Resource string
	// Outcome is a number of ashlar.audit.v1.Outcome.
	Outcome int32
	// Since is the first moment that is wanted, Until the first that is not any more.
	Since, Until *time.Time
}

// Events returns up to limit events with a sequence below before (0: all), newest first.
func (s *Store) Events(ctx context.Context, f Filter, before int64, limit int) ([]*ent.Event, error) {
	query := s.client.Event.Query().Where(f.predicates()...)
	if before > 0 {
		query.Where(event.IDLT(before))
	}
	return query.Order(event.ByID(sql.OrderDesc())).Limit(limit).All(ctx)
}

func (f Filter) predicates() []predicate.Event {
	var p []predicate.Event
	for _, equal := range []struct {
		value string
		is    func(string) predicate.Event
	}{
		{f.OrganizationID, event.OrganizationID}, {f.ActorID, event.ActorID}, {f.Action, event.Action}, {f.Resource, event.Resource},
	} {
		if equal.value != "" {
			p = append(p, equal.is(storable(equal.value)))
		}
	}
	if f.Outcome != 0 {
		p = append(p, event.Outcome(f.Outcome))
	}
	if f.Since != nil {
		p = append(p, event.OccurredAtGTE(f.Since.UTC()))
	}
	if f.Until != nil {
		p = append(p, event.OccurredAtLT(f.Until.UTC()))
	}
	return p
}
