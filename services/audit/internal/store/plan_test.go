package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/migrations"
)

// Each filter is answered from an index that has the order of the answer already; a span of time from one that bounds
// what has to be sorted.
func TestEachFilterHasAnIndex(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
	plans := &planner{Driver: db.Driver()}
	s, err := New(db, Config{SealKey: make([]byte, 32)})
	require.NoError(t, err)
	s.client = ent.NewClient(ent.Driver(plans))

	moment := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		filter Filter
		index  string
		sorts  bool
	}{
		"nothing":               {Filter{}, "INTEGER PRIMARY KEY (rowid<?)", false},
		"organization":          {Filter{OrganizationID: "org_a"}, "event_organization_id_sequence (organization_id=? AND sequence<?)", false},
		"actor":                 {Filter{ActorID: "usr_ann"}, "event_actor_id_sequence (actor_id=? AND sequence<?)", false},
		"action":                {Filter{Action: "note.create"}, "event_action_sequence (action=? AND sequence<?)", false},
		"resource":              {Filter{Resource: "note_1"}, "event_resource_sequence (resource=? AND sequence<?)", false},
		"outcome":               {Filter{Outcome: 2}, "event_outcome_sequence (outcome=? AND sequence<?)", false},
		"organization and time": {Filter{OrganizationID: "org_a", Since: &moment}, "event_organization_id_sequence (organization_id=? AND sequence<?)", false},
		"a span of time":        {Filter{Since: &moment, Until: &moment}, "event_occurred_at (occurred_at>? AND occurred_at<?)", true},
	} {
		for page, before := range map[string]int64{"first page": 0, "later page": 40} {
			t.Run(name+", "+page, func(t *testing.T) {
				_, err = s.Events(t.Context(), test.filter, before, 10)
				require.NoError(t, err)
				index := test.index
				if before == 0 {
					index = strings.NewReplacer(" AND sequence<?", "", "INTEGER PRIMARY KEY (rowid<?)", "").Replace(index)
				}
				require.Contains(t, plans.last, index)
				require.Equal(t, test.sorts, strings.Contains(plans.last, "TEMP B-TREE"), plans.last)

				// The other way round, as streams and verifiers read.
				_, err = s.EventsAfter(t.Context(), test.filter, before, 0, 10)
				require.NoError(t, err)
				require.Contains(t, plans.last, strings.NewReplacer("sequence<?", "sequence>?", "rowid<?", "rowid>?").Replace(test.index))
				require.Equal(t, test.sorts, strings.Contains(plans.last, "TEMP B-TREE"), plans.last)
			})
		}
	}
}

// planner is a driver that keeps how SQLite answers the last query.
type planner struct {
	dialect.Driver

	last string
}

// Query implements dialect.ExecQuerier.
func (p *planner) Query(ctx context.Context, query string, args, v any) error {
	var rows entsql.Rows
	if err := p.Driver.Query(ctx, "EXPLAIN QUERY PLAN "+query, args, &rows); err != nil {
		return err
	}
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		steps = append(steps, step)
	}
	p.last = strings.Join(steps, "; ")
	if err := rows.Close(); err != nil {
		return err
	}
	return p.Driver.Query(ctx, query, args, v)
}
