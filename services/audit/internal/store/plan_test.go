package store_test

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
	"ashlar.dev/services/audit/migrations"
)

// How many organizations and people there are beside the big ones.
const (
	organizations = 20_000
	people        = 50_000
)

// Outcomes.
const (
	succeeded = 1
	denied    = 2
)

func fill(sql plantest.SQL) []string {
	organization := sql.Spread("org_", organizations)
	// A program did a fifth, everywhere.
	actor := fmt.Sprintf("(CASE WHEN i %% 5 = 0 THEN 'usr_%s' ELSE %s END)", plantest.Big, sql.Text("usr_", fmt.Sprintf("i %% %d", people)))
	// Most is of one kind. What is rarely done, and what is denied, is so everywhere but in the big organization.
	const action = "(CASE WHEN i % 101 = 1 THEN 'note.delete' WHEN i % 3 = 0 THEN 'note.create' ELSE 'note.update' END)"
	const outcome = "(CASE WHEN i % 2 = 1 AND i % 97 < 3 THEN 2 ELSE 1 END)"
	resource := fmt.Sprintf("(CASE WHEN i %% 10 = 0 THEN 'note_%s' ELSE %s END)", plantest.Big, sql.Text("note_", fmt.Sprintf("i %% %d", people)))
	hash, seek := "randomblob(32)", ""
	if sql.Dialect == dialect.Postgres {
		hash, seek = "sha256(convert_to(i::text, 'UTF8'))", fmt.Sprintf("SELECT setval(pg_get_serial_sequence('events', 'sequence'), %d)", sql.Rows)
	}
	statements := []string{
		fmt.Sprintf("INSERT INTO events (sequence, event_id, occurred_at, service, procedure, action, actor_kind, actor_id, session_id, "+
			"organization_id, resource, outcome, reason, trace_id, attributes, leaf_index) "+
			"SELECT i, %s, %s, 'notes', '/acme.notes.v1.NoteService/Any', %s, 2, %s, 'ses_1', %s, %s, %s, '', '', '{}', i - 1 FROM %s",
			sql.Text("evt_", "i"), sql.At("i"), action, actor, organization, resource, outcome, sql.Series(sql.Rows)),
		// Any will do: what is signed is what is there.
		fmt.Sprintf("INSERT INTO tree_hashes (id, hash) SELECT i - 1, %s FROM %s", hash, sql.Series(int(tlog.StoredHashCount(int64(sql.Rows))))),
	}
	if seek != "" {
		statements = append(statements, seek)
	}
	return statements
}

// samples are values of each field of a filter: such as many events have, and such as few have.
func samples(rows int) map[string][]any {
	return map[string][]any{
		"OrganizationID": {"org_" + plantest.Big, plantest.Name("org_", 77)},
		"ActorID":        {"usr_" + plantest.Big, plantest.Name("usr_", 78)},
		"Action":         {"note.create", "note.delete", "none.such"},
		"Resource":       {"note_" + plantest.Big, plantest.Name("note_", 79)},
		"Outcome":        {int32(succeeded), int32(denied)},
	}
}

// spans are long and short ones.
func spans(rows int) map[string]store.Span {
	moment := func(second int) *time.Time {
		at := plantest.Moment(second)
		return &at
	}
	return map[string]store.Span{
		"since the middle":       {Since: moment(rows / 2)},
		"until the middle":       {Until: moment(rows / 2)},
		"a half":                 {Since: moment(rows / 4), Until: moment(3 * rows / 4)},
		"a minute in the middle": {Since: moment(rows / 2), Until: moment(rows/2 + 60)},
		"after everything":       {Since: moment(rows + 100)},
	}
}

// lastPage begins a minute before a span ends.
func lastPage(span store.Span, rows int, oldestFirst bool) *store.Moment {
	begin, end := plantest.Moment(0), plantest.Moment(rows)
	if span.Since != nil {
		begin = *span.Since
	}
	if span.Until != nil {
		end = *span.Until
	}
	if oldestFirst {
		return &store.Moment{OccurredAt: end.Add(-time.Minute)}
	}
	return &store.Moment{OccurredAt: begin.Add(time.Minute), Sequence: 1}
}

// filters are one with each field alone, and one with each beside the organization.
func filters(t *testing.T, rows int) map[string]store.Filter {
	t.Helper()
	out, values := map[string]store.Filter{"": {}}, samples(rows)
	kind := reflect.TypeFor[store.Filter]()
	// The organization is the first field.
	for field := range kind.Fields() {
		require.NotEmpty(t, values[field.Name], "say what to filter by: "+field.Name)
		for name, f := range maps.Clone(out) {
			if f != (store.Filter{OrganizationID: f.OrganizationID}) {
				continue
			}
			for _, value := range values[field.Name] {
				reflect.ValueOf(&f).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(value))
				out[fmt.Sprintf("%s%s=%v/", name, field.Name, reflect.Indirect(reflect.ValueOf(value)))] = f
			}
		}
	}
	return out
}

func TestPlans(t *testing.T) {
	t.Parallel()
	plantest.Run(t, migrations.FS, fill, func(t *testing.T, p *plantest.Plans) {
		ctx, s := t.Context(), opened(t, p.DB)
		const limit = 51
		for name, filter := range filters(t, p.Rows) {
			for page, at := range map[string]int64{"first": 0, "middle": int64(p.Rows / 2), "last": 60} {
				p.Page(t, "Events/"+name+page, func() error { _, err := s.Events(ctx, filter, at, limit); return err })
				p.Page(t, "EventsAfter/"+name+page, func() error { _, err := s.EventsAfter(ctx, filter, at, 0, limit); return err })
			}
			for of, span := range spans(p.Rows) {
				for _, oldestFirst := range []bool{false, true} {
					for page, after := range map[string]*store.Moment{"first": nil, "last": lastPage(span, p.Rows, oldestFirst)} {
						p.Page(t, fmt.Sprintf("EventsWithin/%s%s/%s/oldest first=%t", name, of, page, oldestFirst), func() error {
							_, err := s.EventsWithin(ctx, filter, span, oldestFirst, after, limit)
							return err
						})
					}
				}
			}
		}
		p.Page(t, "LastSequence", func() error { _, err := s.LastSequence(ctx); return err })
		p.Page(t, "SequenceBefore", func() error { _, _, err := s.SequenceBefore(ctx, int64(p.Rows/2)); return err })
		p.Page(t, "LeafIndex", func() error {
			_, _, err := s.LeafIndex(ctx, plantest.Name("evt_", 78), "org_"+plantest.Big)
			return err
		})
		places := make([]int64, 200)
		for i := range places {
			places[i] = int64(i * p.Rows / len(places))
		}
		p.Page(t, "AllOf", func() error { _, err := s.AllOf(ctx, "org_"+plantest.Big, places); return err })
		// Each proof has a hash from each level of the tree.
		p.Larger(t, "ProveInclusion", plantest.Allow{Pages: 20_000}, func() error { _, err := s.ProveInclusion(ctx, int64(p.Rows), places); return err })
		p.Page(t, "ProveConsistency", func() error { _, err := s.ProveConsistency(ctx, int64(p.Rows), int64(p.Rows/3)); return err })
		p.Page(t, "Checkpoint", func() error { _, _, err := s.Checkpoint(ctx); return err })
		p.Page(t, "Open", func() error { return s.Open(ctx) })
		// Some of them are there.
		batch := []*ent.Event{event(1), event(2)}
		for i := range 98 {
			batch = append(batch, event(3, func(e *ent.Event) { e.EventID = plantest.Name("evt_", i*p.Rows/100) }))
		}
		p.Page(t, "Append", func() error { return s.Append(ctx, batch) })
		p.Complete(t, s, map[string]string{"Grown": "asks no database", "VerifierKey": "asks no database"})
	})
}
