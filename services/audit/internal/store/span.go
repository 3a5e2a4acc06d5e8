package store

import (
	"cmp"
	"context"
	"math"
	"time"

	"ashlar.dev/ent/keyset"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/event"
)

// Span is a span of time by the clocks of the services that recorded what happened.
type Span struct {
	// Since is the first moment that is wanted, Until the first that is not any more; nil: no bound.
	Since, Until *time.Time
}

// Moment is where an event is in the order of occurrence: by time, and of the same time by sequence.
type Moment struct {
	OccurredAt time.Time
	Sequence   int64
}

// EventsWithin returns up to limit events of a span in the order of occurrence, newest first or oldest first: those after the
// place of an event (nil: all). An event that arrives while others are read can be put among those that were read already.
func (s *Store) EventsWithin(ctx context.Context, f Filter, span Span, oldestFirst bool, after *Moment, limit int) ([]*ent.Event, error) {
	begin, end := span.ends(oldestFirst, after)
	if end.beyond(begin, !oldestFirst) {
		return nil, nil
	}
	found, err := s.client.Event.Query().Where(f.on(keyset.Page{
		Span:  &keyset.Span{Column: event.FieldOccurredAt, After: begin.OccurredAt, Last: end.OccurredAt, LastKey: end.Sequence},
		After: begin.Sequence, Inclusive: true, Descending: !oldestFirst,
	})...).Limit(limit).All(ctx)
	for i, e := range found {
		if (Moment{e.OccurredAt, e.ID}).beyond(end, oldestFirst) {
			return found[:i], nil
		}
	}
	return found, err
}

// ends returns the first and the last moment that are wanted, whether an event has them or not: see from.
func (s Span) ends(oldestFirst bool, after *Moment) (begin, end Moment) {
	low, high := Moment{}, lastMoment // sequences begin with 1
	if s.Since != nil {
		low = firstAt(*s.Since)
	}
	if s.Until != nil {
		high = firstAt(*s.Until)
	}
	begin, end = low, high
	if !oldestFirst {
		begin, end = high, low
	}
	if after == nil {
		return begin, end
	}
	next := Moment{after.OccurredAt.UTC(), after.Sequence + 1}
	if !oldestFirst {
		next.Sequence = after.Sequence - 1
	}
	if next.beyond(begin, oldestFirst) {
		begin = next
	}
	return begin, end
}

// lastMoment is after all events: times are kept in microseconds, and end with the year 9999.
var lastMoment = Moment{time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), math.MaxInt64}

// firstAt returns the first moment not before t that an event can have. What PostgreSQL gets it cuts to microseconds, and SQLite
// compares as text, of which that of the year 10000 is low.
func firstAt(t time.Time) Moment {
	t = t.UTC()
	if cut := t.Truncate(time.Microsecond); cut.Before(t) {
		t = cut.Add(time.Microsecond)
	}
	if t.After(lastMoment.OccurredAt) {
		return lastMoment
	}
	return Moment{t, 0}
}

// beyond tells whether m comes after another moment in an order.
func (m Moment) beyond(other Moment, oldestFirst bool) bool {
	order := cmp.Or(m.OccurredAt.Compare(other.OccurredAt), cmp.Compare(m.Sequence, other.Sequence))
	return oldestFirst && order > 0 || !oldestFirst && order < 0
}
