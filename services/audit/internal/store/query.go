package store

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/event"
	"ashlar.dev/services/audit/ent/predicate"
)

// Filter says which events are wanted. Fields that are empty restrict nothing.
type Filter struct {
	OrganizationID, ActorID, Action, Resource string
	// Outcome is a number of ashlar.audit.v1.Outcome.
	Outcome int32
}

// Events returns up to limit events with a sequence below before (0: all), newest first.
func (s *Store) Events(ctx context.Context, f Filter, before int64, limit int) ([]*ent.Event, error) {
	page := keyset.Page{Descending: true}
	if before > 0 {
		page = from(page, before-1)
	}
	return s.client.Event.Query().Where(f.on(page)...).Limit(limit).All(ctx)
}

// EventsAfter returns up to limit events with a sequence above after and, unless that is 0, not above through, in the
// order of the log.
func (s *Store) EventsAfter(ctx context.Context, f Filter, after, through int64, limit int) ([]*ent.Event, error) {
	page := keyset.Page{}
	if after > 0 {
		page = from(page, after+1)
	}
	query := s.client.Event.Query().Where(f.on(page)...)
	if through > 0 {
		query.Where(event.IDLTE(through))
	}
	return query.Limit(limit).All(ctx)
}

// from begins a page with a sequence. PostgreSQL takes a row above (organization, sequence) for one of another
// organization, of which it expects none below the bound; and then any index seems good enough.
func from(page keyset.Page, sequence int64) keyset.Page {
	page.After, page.Inclusive = sequence, true
	return page
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

// on says which events are wanted of a page, and in which order. The page is read from the index of one filter, the one that is
// likely to leave least, and of the organization; what further filters leave out is read and thrown away.
func (f Filter) on(page keyset.Page) []predicate.Event {
	page.Key = event.FieldID
	var p []predicate.Event
	for _, equal := range []keyset.Fixed{
		{Column: event.FieldResource, Value: storable(f.Resource)},
		{Column: event.FieldActorID, Value: storable(f.ActorID)},
		{Column: event.FieldAction, Value: storable(f.Action)},
		{Column: event.FieldOutcome, Value: f.Outcome},
	} {
		switch {
		case equal.Value == "" || equal.Value == int32(0):
		case len(page.Within) == 0:
			page.Within = append(page.Within, equal)
		default:
			p = append(p, predicate.Event(sql.FieldEQ(equal.Column, equal.Value)))
		}
	}
	if page.Span != nil {
		page.Span.Sparse = len(p) > 0
	}
	if f.OrganizationID != "" {
		page.Within = append(page.Within, keyset.Fixed{Column: event.FieldOrganizationID, Value: storable(f.OrganizationID)})
	}
	return append(p, page.Narrow())
}
