package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/ent/internal/example/migrations"
)

// However much has piled up, a relay reads what it delivers, and a look for the metrics what it counts.
func TestPlans(t *testing.T) {
	t.Parallel()
	plantest.Run(t, migrations.FS, func(sql plantest.SQL) []string {
		return []string{fmt.Sprintf("INSERT INTO outbox_events (id, event_id, payload, created_at) SELECT i, %s, %s, 1767225600000 + i FROM %s",
			sql.Text("evt_", "i"), sql.Bytes(sql.Text("payload ", "i")), sql.Series(sql.Rows))}
	}, func(t *testing.T, p *plantest.Plans) {
		ctx, o := t.Context(), New(p.DB, slog.New(slog.DiscardHandler), nil)
		relay := NewRelay(o, func(context.Context, [][]byte) error { return nil }, Config{})
		p.Page(t, "next", func() error { _, _, err := relay.next(ctx); return err })
		p.Page(t, "empty", func() error { _, err := o.empty(ctx); return err })
		// Counting ends where it is enough.
		p.Larger(t, "measure", plantest.Allow{Pages: 1500, Scan: true}, func() error { return o.measure(ctx) })
	})
}
