package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
)

func hour(n int) *time.Time { at := noon.Add(time.Duration(n) * time.Hour); return &at }

// walk reads all of a span, in pages of a size.
func walk(t *testing.T, s *store.Store, f store.Filter, span store.Span, oldestFirst bool, size int) []string {
	t.Helper()
	out := []string{}
	for after := (*store.Moment)(nil); ; {
		found, err := s.EventsWithin(t.Context(), f, span, oldestFirst, after, size)
		require.NoError(t, err)
		for _, e := range found {
			out = append(out, e.EventID)
			after = &store.Moment{OccurredAt: e.OccurredAt, Sequence: e.ID}
		}
		if len(found) < size {
			return out
		}
	}
}

// What arrives in another order than it occurred, often more than one in a moment, is found in the order of occurrence, each
// event once, whatever the filter, the span and the size of a page.
func TestASpanIsReadInTheOrderOfOccurrence(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		var batch []*ent.Event
		for i := range 60 {
			batch = append(batch, event(i, func(e *ent.Event) {
				e.OccurredAt = *hour(i * 7 % 20)
				e.OrganizationID, e.ActorID = fmt.Sprintf("org_%d", i%2), fmt.Sprintf("usr_%d", i%3)
				e.Action, e.Resource, e.Outcome = fmt.Sprintf("note.%d", i%4), fmt.Sprintf("note_%d", i%5), int32(1+i%2)
			}))
		}
		require.NoError(t, s.Append(t.Context(), batch))

		endOfTime := time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC) // of google.protobuf.Timestamp
		filters := map[string]store.Filter{
			"nothing": {}, "organization": {OrganizationID: "org_1"}, "actor": {ActorID: "usr_1"}, "action": {Action: "note.1"},
			"resource": {Resource: "note_1"}, "outcome": {Outcome: 2},
			"actor of an organization": {ActorID: "usr_1", OrganizationID: "org_1"}, "two": {ActorID: "usr_1", Outcome: 2},
		}
		spans := map[string]store.Span{
			"all": {}, "since": {Since: hour(5)}, "until": {Until: hour(15)}, "both": {Since: hour(5), Until: hour(15)},
			"an hour": {Since: hour(7), Until: hour(8)}, "none": {Since: hour(8), Until: hour(8)}, "the wrong way": {Since: hour(8), Until: hour(7)},
			"before everything": {Until: new(time.Time)}, "after everything": {Since: hour(20)},
			"to the end of time": {Until: &endOfTime}, "from the end of time": {Since: &endOfTime},
		}
		for filtered, f := range filters {
			for spanned, span := range spans {
				want := ids(inMemory(batch, f, span))
				for _, size := range []int{7, 100} {
					require.Equal(t, want, walk(t, s, f, span, true, size), "%s, %s, pages of %d", filtered, spanned, size)
				}
				slices.Reverse(want)
				require.Equal(t, want, walk(t, s, f, span, false, 7), "%s, %s, newest first", filtered, spanned)
			}
		}
	})
}

// inMemory returns what the store has to answer, oldest first, of events in the order of arrival.
func inMemory(events []*ent.Event, f store.Filter, span store.Span) (out []*ent.Event) {
	for _, e := range events {
		if (f.OrganizationID == "" || f.OrganizationID == e.OrganizationID) && (f.ActorID == "" || f.ActorID == e.ActorID) &&
			(f.Action == "" || f.Action == e.Action) && (f.Resource == "" || f.Resource == e.Resource) && (f.Outcome == 0 || f.Outcome == e.Outcome) &&
			(span.Since == nil || !e.OccurredAt.Before(*span.Since)) && (span.Until == nil || e.OccurredAt.Before(*span.Until)) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *ent.Event) int { return cmp.Compare(a.OccurredAt.UnixMicro(), b.OccurredAt.UnixMicro()) })
	return out
}

// Times are kept in microseconds, and bounds have nanoseconds: an event is not within a span that begins after it, nor is one
// left out that ends after it.
func TestTheBoundsOfASpan(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		at := noon.Add(500 * time.Microsecond)
		require.NoError(t, s.Append(t.Context(), []*ent.Event{event(1, func(e *ent.Event) { e.OccurredAt = at })}))
		before, after := at.Add(-1), at.Add(1)
		elsewhere := at.In(time.FixedZone("", 3600))
		for name, test := range map[string]struct {
			span store.Span
			want int
		}{
			"from a nanosecond before": {store.Span{Since: &before}, 1},
			"from that moment":         {store.Span{Since: &at}, 1},
			"from a nanosecond after":  {store.Span{Since: &after}, 0},
			"to a nanosecond before":   {store.Span{Until: &before}, 0},
			"to that moment":           {store.Span{Until: &at}, 0},
			"to a nanosecond after":    {store.Span{Until: &after}, 1},
			"in another zone":          {store.Span{Since: &elsewhere, Until: &after}, 1},
		} {
			require.Len(t, walk(t, s, store.Filter{}, test.span, false, 10), test.want, name)
		}
	})
}

// A token names any moment that its holder likes: the span holds nevertheless.
func TestAPageThatBeginsOutsideItsSpan(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Append(t.Context(), []*ent.Event{
			event(1), event(2, func(e *ent.Event) { e.OccurredAt = *hour(1) }), event(3, func(e *ent.Event) { e.OccurredAt = *hour(2) }),
		}))
		span := store.Span{Since: hour(1), Until: hour(2)}
		for name, test := range map[string]struct {
			after       store.Moment
			oldestFirst bool
			want        int
		}{
			"before it, forwards":  {store.Moment{OccurredAt: noon}, true, 1},
			"after it, forwards":   {store.Moment{OccurredAt: *hour(3)}, true, 0},
			"before it, backwards": {store.Moment{OccurredAt: noon}, false, 0},
			"after it, backwards":  {store.Moment{OccurredAt: *hour(3), Sequence: 1 << 60}, false, 1},
		} {
			found, err := s.EventsWithin(t.Context(), store.Filter{}, span, test.oldestFirst, &test.after, 10)
			require.NoError(t, err)
			require.Len(t, found, test.want, name)
		}
	})
}
