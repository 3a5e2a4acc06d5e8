package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
	"ashlar.dev/ent/internal/example/migrations"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/ent/pgserver"
	"ashlar.dev/kernel/config"
)

// eachDurable runs a benchmark on SQLite and on a PostgreSQL that waits for the
// disk, as in production.
func eachDurable(b *testing.B, bench func(*testing.B, *database.Database)) {
	b.Helper()
	run := func(b *testing.B, url config.Secret) {
		b.Helper()
		db := dbtest.Open(b, url)
		require.NoError(b, migrate.Apply(b.Context(), db, migrations.FS, quiet))
		bench(b, db)
	}
	b.Run("sqlite", func(b *testing.B) { run(b, dbtest.SQLiteURL(b)) })
	b.Run("postgres", func(b *testing.B) {
		_, address := dbtest.Server(b, pgserver.Options{Durable: true})
		run(b, address)
	})
}

// fill writes n events of 500 bytes.
func fill(b *testing.B, db *database.Database, n int) {
	b.Helper()
	payload := fmt.Sprintf("zeroblob(%d)", 500)
	if db.Dialect == "postgres" {
		payload = "decode(repeat('ab', 500), 'hex')"
	}
	_, err := db.DB.ExecContext(b.Context(), fmt.Sprintf(`WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %d)
		INSERT INTO outbox_events (event_id, payload, created_at) SELECT 'evt_' || n, %s, %d FROM series`, n, payload, time.Now().UnixMilli()))
	require.NoError(b, err)
}

// How fast a relay empties an outbox, without what the sink takes. b.N is the
// number of events: -benchtime=100000x.
func BenchmarkDrain(b *testing.B) {
	eachDurable(b, func(b *testing.B, db *database.Database) {
		fill(b, db, b.N)
		var delivered atomic.Int64
		done := make(chan struct{})
		relay := outbox.NewRelay(outbox.New(db, slog.New(slog.DiscardHandler), nil), func(_ context.Context, payloads [][]byte) error {
			if delivered.Add(int64(len(payloads))) == int64(b.N) {
				close(done)
			}
			return nil
		}, outbox.Config{Batch: 100})
		b.ResetTimer()
		require.NoError(b, relay.Start(b.Context()))
		<-done
		require.NoError(b, relay.Stop(context.Background()))
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// What the database alone takes for it: read a batch, delete it, commit, by hand.
func BenchmarkDrainByHand(b *testing.B) {
	eachDurable(b, func(b *testing.B, db *database.Database) {
		fill(b, db, b.N)
		b.ResetTimer()
		for left := b.N; left > 0; left -= 100 {
			tx, err := db.DB.BeginTx(b.Context(), nil)
			require.NoError(b, err)
			rows, err := tx.QueryContext(b.Context(), "SELECT id, event_id, payload FROM outbox_events ORDER BY id LIMIT 100")
			require.NoError(b, err)
			var first, last int64
			for rows.Next() {
				var event string
				var payload []byte
				require.NoError(b, rows.Scan(&last, &event, &payload))
				if first == 0 {
					first = last
				}
			}
			require.NoError(b, rows.Close())
			_, err = tx.ExecContext(b.Context(), "DELETE FROM outbox_events WHERE id BETWEEN $1 AND $2", first, last)
			require.NoError(b, err)
			require.NoError(b, tx.Commit())
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// What an event costs the transaction that it belongs to.
func BenchmarkChange(b *testing.B) {
	eachDurable(b, func(b *testing.B, db *database.Database) {
		client := ent.NewClient(ent.Driver(db.Driver()))
		box := outbox.New(db, quiet, nil)
		payload := make([]byte, 500)
		var n atomic.Int64
		for _, with := range []bool{false, true} {
			b.Run(fmt.Sprintf("event=%t", with), func(b *testing.B) {
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						id := fmt.Sprintf("note_%d", n.Add(1))
						err := database.InTx(b.Context(), db, client.Tx, func(tx *ent.Tx) error {
							if err := tx.Note.Create().SetID(id).SetTitle(id).Exec(b.Context()); err != nil || !with {
								return err
							}
							return box.Append(b.Context(), tx, "evt_"+id, payload)
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			})
		}
	})
}
