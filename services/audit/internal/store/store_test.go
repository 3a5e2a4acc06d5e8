package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
	"ashlar.dev/services/audit/migrations"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// each runs test on an empty record of every dialect.
func each(t *testing.T, test func(*testing.T, *store.Store)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		migrated(t, db)
		test(t, opened(t, db))
	})
}

var sealKey = workload.NewClusterKey().Derive("test")

// instance returns the store of one more instance, not opened.
func instance(t testing.TB, db *database.Database) *store.Store {
	t.Helper()
	s, err := store.New(db, store.Config{Origin: "example.com/audit", SealKey: sealKey})
	require.NoError(t, err)
	return s
}

func opened(t testing.TB, db *database.Database) *store.Store {
	t.Helper()
	s := instance(t, db)
	require.NoError(t, s.Open(t.Context()))
	return s
}

func migrated(t testing.TB, db *database.Database) {
	t.Helper()
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
}

// event returns one that differs from others in its id only.
func event(i int, change ...func(*ent.Event)) *ent.Event {
	e := &ent.Event{
		EventID: fmt.Sprintf("evt_%04d", i), OccurredAt: noon, Service: "notes", Procedure: "/acme.notes.v1.NoteService/CreateNote",
		Action: "note.create", ActorKind: 2, ActorID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a", Resource: "note_1", Outcome: 1,
		TraceID: "0af7651916cd43dd8448eb211c80319c", Attributes: map[string]string{"title": "one"},
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func proofMessage[H ~[]tlog.Hash](proof H) *auditv1.InclusionProof {
	m := &auditv1.InclusionProof{}
	for _, hash := range proof {
		m.Hashes = append(m.Hashes, hash[:])
	}
	return m
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func events(from, to int) []*ent.Event {
	var out []*ent.Event
	for i := from; i < to; i++ {
		out = append(out, event(i))
	}
	return out
}

func ids(events []*ent.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.EventID
	}
	return out
}

func all(t *testing.T, s *store.Store, f store.Filter) []*ent.Event {
	t.Helper()
	found, err := s.Events(t.Context(), f, 0, 10_000)
	require.NoError(t, err)
	return found
}

func TestAnEventIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		full := event(1, func(e *ent.Event) {
			e.OccurredAt = noon.Add(123_456_789 * time.Nanosecond)
			e.Reason, e.Outcome = "PERMISSION_DENIED", 2
		})
		bare := &ent.Event{EventID: "evt_0002", OccurredAt: noon, Service: "notes", Action: "note.sweep", ActorKind: 3, Outcome: 1}
		require.NoError(t, s.Append(t.Context(), []*ent.Event{full, bare}))

		found := all(t, s, store.Filter{})
		require.Len(t, found, 2)
		full.OccurredAt = noon.Add(123_456 * time.Microsecond) // what PostgreSQL keeps
		bare.Attributes = map[string]string{}
		bare.LeafIndex = 1
		for i, want := range []*ent.Event{bare, full} {
			require.True(t, want.OccurredAt.Equal(found[i].OccurredAt), "%s", found[i].OccurredAt)
			_, wanted, _ := strings.Cut(want.String(), "service=")
			_, got, _ := strings.Cut(found[i].String(), "service=")
			require.Equal(t, wanted, got)
			require.Equal(t, want.EventID, found[i].EventID)
		}
		require.Greater(t, found[0].ID, found[1].ID)
	})
}

func TestDuplicatesAreLeftAsTheyAre(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Append(t.Context(), events(1, 4)))
		before := all(t, s, store.Filter{})

		other := func(e *ent.Event) { e.Action, e.Attributes = "note.forge", map[string]string{"title": "forged"} }
		require.NoError(t, s.Append(t.Context(), []*ent.Event{event(2, other), event(3, other)}), "all there already")
		require.Equal(t, fmt.Sprint(before), fmt.Sprint(all(t, s, store.Filter{})))

		require.NoError(t, s.Append(t.Context(), []*ent.Event{event(3, other), event(4), event(1, other), event(5), event(5, other)}),
			"some there already, and one twice in the same call")
		found := all(t, s, store.Filter{})
		require.Equal(t, []string{"evt_0005", "evt_0004", "evt_0003", "evt_0002", "evt_0001"}, ids(found))
		require.Empty(t, all(t, s, store.Filter{Action: "note.forge"}))
	})
}

func TestAppendIsAllOrNone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		broken := event(3, func(e *ent.Event) { e.EventID = "" })
		require.Error(t, s.Append(t.Context(), []*ent.Event{event(1), event(2), broken}))
		require.Empty(t, all(t, s, store.Filter{}))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Append(ctx, events(1, 3)), context.Canceled)
		require.Empty(t, all(t, s, store.Filter{}))
	})
}

func TestTheLargestBatch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Append(t.Context(), events(0, 500)))
		found := all(t, s, store.Filter{})
		want := ids(events(0, 500))
		slices.Reverse(want)
		require.Equal(t, want, ids(found), "newest first, in the order in which they came")
	})
}

// PostgreSQL's text has no place for NUL; what comes out must be the same in both dialects.
func TestNULIsReplaced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Append(t.Context(), []*ent.Event{event(1, func(e *ent.Event) {
			e.OrganizationID, e.Attributes = "org_\x00", map[string]string{"a\x00": "b\x00"}
		})}))
		found := all(t, s, store.Filter{OrganizationID: "org_\x00"})
		require.Len(t, found, 1)
		require.Equal(t, "org_\uFFFD", found[0].OrganizationID)
		require.Equal(t, map[string]string{"a\uFFFD": "b\uFFFD"}, found[0].Attributes)
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Append(t.Context(), []*ent.Event{
			event(1),
			event(2, func(e *ent.Event) { e.OrganizationID = "org_b" }),
			event(3, func(e *ent.Event) { e.ActorID = "usr_bob" }),
			event(4, func(e *ent.Event) { e.Action = "note.delete" }),
			event(5, func(e *ent.Event) { e.Resource = "note_2" }),
			event(6, func(e *ent.Event) { e.Outcome = 2; e.OrganizationID = "" }),
		}))
		for name, test := range map[string]struct {
			filter store.Filter
			want   []string
		}{
			"nothing":      {store.Filter{}, []string{"6", "5", "4", "3", "2", "1"}},
			"organization": {store.Filter{OrganizationID: "org_b"}, []string{"2"}},
			"actor":        {store.Filter{ActorID: "usr_bob"}, []string{"3"}},
			"action":       {store.Filter{Action: "note.delete"}, []string{"4"}},
			"resource":     {store.Filter{Resource: "note_2"}, []string{"5"}},
			"outcome":      {store.Filter{Outcome: 2}, []string{"6"}},
			"several":      {store.Filter{OrganizationID: "org_a", ActorID: "usr_ann", Action: "note.create", Outcome: 1}, []string{"5", "1"}},
			"none like it": {store.Filter{OrganizationID: "org_b", ActorID: "usr_bob"}, nil},
			"another case": {store.Filter{OrganizationID: "ORG_B"}, nil},
			"a wildcard":   {store.Filter{OrganizationID: "org_%"}, nil},
			"SQL":          {store.Filter{OrganizationID: "' OR 1=1 --"}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				got := []string(nil)
				for _, id := range ids(all(t, s, test.filter)) {
					got = append(got, strings.TrimPrefix(id, "evt_000"))
				}
				require.Equal(t, test.want, got)
			})
		}
	})
}

// Whoever pages while others append sees each event once that was there when it began, and none that came later.
func TestPagingWhileEventsAreAppended(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		require.NoError(t, s.Append(t.Context(), events(0, 100)))
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for w := range 2 {
			writers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := s.Append(t.Context(), []*ent.Event{event(1000 + 2*i + w), event(i % 100)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var seen []string
		var before int64
		for {
			found, err := s.Events(t.Context(), store.Filter{OrganizationID: "org_a"}, before, 7)
			require.NoError(t, err)
			if len(found) == 0 {
				break
			}
			for _, e := range found {
				require.True(t, before == 0 || e.ID < before, "newest first")
				before = e.ID
				seen = append(seen, e.EventID)
			}
		}
		close(stop)
		writers.Wait()
		want := ids(events(0, 100))
		slices.Reverse(want)
		require.Equal(t, want, seen[len(seen)-100:])
		slices.Sort(seen)
		require.Len(t, slices.Compact(seen), len(seen), "each once")
	})
}

// Whoever sees an event sees all with a lower sequence, also later: nothing slips in behind a reader.
func TestNothingComesInBehindAReader(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		const writers, rounds = 4, 25
		var writing sync.WaitGroup
		done := make(chan struct{})
		for w := range writers {
			writing.Go(func() {
				for i := range rounds {
					if err := s.Append(t.Context(), []*ent.Event{event(w*1000 + 2*i), event(w*1000 + 2*i + 1)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() { writing.Wait(); close(done) }()
		var views [][]int64
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			view := []int64{}
			for _, e := range all(t, s, store.Filter{}) {
				view = append(view, e.ID)
			}
			views = append(views, view)
		}
		last := views[len(views)-1]
		require.Len(t, last, writers*rounds*2)
		for _, view := range views {
			require.Equal(t, last[len(last)-len(view):], view)
		}
	})
}
