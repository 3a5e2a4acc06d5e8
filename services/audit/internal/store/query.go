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

// EventsAfter returns up to limit events with a sequence above after and, unless that is 0, not above through, in the
// order of the log.
func (s *Store) EventsAfter(ctx context.Context, f Filter, after, through int64, limit int) ([]*ent.Event, error) {
	query := s.client.Event.Query().Where(f.predicates()...).Where(event.IDGT(after))
	if through > 0 {
		query.Where(event.IDLTE(through))
	}
	return query.Order(event.ByID()).Limit(limit).All(ctx)
}

// LastSequence returns the sequence of the newest event, 0 where there is none.
func (s *Store) LastSequence(ctx context.Context) (int64, error) {
	last, err := s.client.Event.Query().Order(event.ByID(sql.OrderDesc())).FirstID(ctx)
	if ent.IsNotFound(err) {
		return 0, nil
	}
	return last, err
}

// SequenceBefore returns the sequence after which the event at a place of the log comes, whether it is there yet or not;
// false where the one before it is not there either.
func (s *Store) SequenceBefore(ctx context.Context, leafIndex int64) (int64, bool, error) {
	if leafIndex == 0 {
		return 0, true, nil
	}
	before, err := s.client.Event.Query().Where(event.LeafIndex(leafIndex - 1)).OnlyID(ctx)
	if ent.IsNotFound(err) {
		return 0, false, nil
	}
	return before, err == nil, err
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
